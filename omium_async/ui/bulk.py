"""Bulk replays: a dry run that lists what would be replayed, then exactly that, with a verdict for each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

from omium_async import AsyncOmium, Execution, OmiumError, ReplayOutcome

from .moves import Moves
from .view import View

__all__ = ["AT_ONCE", "Bulk", "Bulks"]

AT_ONCE: Final = 16
_KEPT: Final = 50
_LAST_VERDICTS: Final = 5.0  # seconds for what has begun when the console is stopped

_log = logging.getLogger("omium_async.ui")

State = Literal["planning", "planned", "replaying", "done"]


class Bulk:
    """One bulk replay, from its dry run to its end.

    :ivar planned: what the dry run found, in its order. :ivar outcomes: by id, as they came.
    :ivar sent: of each that was found, how many replays and rollbacks the console had sent by then.
    :ivar passed_over: not sent, for it has sent another since.
    :ivar error: what ended it early. :ivar stopping: whether it was told to stop.
    """

    def __init__(self, name: str, view: View, limit: int) -> None:
        self.name = name
        self.view = view
        self.limit = limit
        self.state: State = "planning"
        self.planned: list[Execution] = []
        self.sent: dict[str, int] = {}
        self.passed_over: set[str] = set()
        self.outcomes: dict[str, ReplayOutcome] = {}
        self.error: Exception | None = None
        self.stopping = False
        self.began = datetime.now(UTC)
        self.task: asyncio.Task[None] | None = None

    @property
    def statuses(self) -> tuple[str, ...]:
        """What it looks for; the failed ones where the view does not say."""
        return self.view.statuses or ("failed",)

    def tally(self) -> dict[str, int]:
        """How many came to which end so far; ``not sent`` are those without any."""
        found = {"replayed": 0, "rejected": 0, "unknown": 0}
        for outcome in self.outcomes.values():
            found[outcome.state] = found.get(outcome.state, 0) + 1
        return {**found, "not sent": len(self.planned) - len(self.outcomes)}

    def verdicts(self) -> Iterator[tuple[Execution, ReplayOutcome | None]]:
        """Each execution and what became of it, ``None`` if it was not sent (yet). What went wrong comes first."""
        order = {"unknown": 0, "rejected": 1}
        pairs = [(execution, self.outcomes.get(execution.id)) for execution in self.planned]
        pairs.sort(key=lambda pair: 3 if pair[1] is None else order.get(pair[1].state, 2))
        return iter(pairs)


class Bulks:
    """The bulk replays of one console, the last so many.

    :param omium: replays.
    :param moves: told of each replay before it is sent.
    :param replayed: told of each replay: the execution, and the one to follow.
    :param written: told when a bulk replay has ended.
    """

    def __init__(
        self,
        omium: AsyncOmium,
        moves: Moves,
        replayed: Callable[[str, str], object],
        written: Callable[[], object],
    ) -> None:
        self._omium = omium
        self._moves = moves
        self._replayed = replayed
        self._written = written
        self._known: dict[str, Bulk] = {}

    def find(self, name: str) -> Bulk | None:
        """The one of that name."""
        return self._known.get(name)

    def plan(self, view: View, limit: int) -> Bulk:
        """Begin the dry run of a view."""
        bulk = Bulk(os.urandom(6).hex(), view, limit)
        self._known[bulk.name] = bulk
        self._forget()
        bulk.task = asyncio.create_task(self._plan(bulk))
        return bulk

    def replay(self, bulk: Bulk) -> None:
        """Replay what the dry run found; once."""
        if bulk.state == "planned" and bulk.planned:
            bulk.state, bulk.stopping, bulk.error = "replaying", False, None
            bulk.task = asyncio.create_task(self._replay(bulk))

    def stop(self, bulk: Bulk) -> None:
        """End a dry run; begin nothing more of a replay. What has begun gets its verdict."""
        bulk.stopping = True
        if bulk.state == "planning" and bulk.task is not None:
            bulk.task.cancel()

    async def close(self) -> None:
        """Begin nothing more, give what has begun a moment, cut off the rest, and log how far each replay came."""
        replaying = [bulk for bulk in self._known.values() if bulk.state == "replaying"]
        tasks = [bulk.task for bulk in self._known.values() if bulk.task is not None and not bulk.task.done()]
        for bulk in self._known.values():
            self.stop(bulk)
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_VERDICTS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bulk in replaying:
            tally = bulk.tally()
            _log.warning(
                "the console was stopped during a bulk replay of %d executions: "
                "%d were replayed, %d rejected, %d are unknown, %d have no verdict",
                len(bulk.planned),
                *tally.values(),
                extra={"omium_planned": len(bulk.planned)}
                | {f"omium_{state.replace(' ', '_')}": count for state, count in tally.items()},
            )

    async def _plan(self, bulk: Bulk) -> None:
        wanted: dict[str, Any] = {"status": "failed", **bulk.view.arguments(), "limit": bulk.limit, "dry_run": True}
        try:
            rows = self._omium.executions.replay_many(**wanted)
            async with contextlib.aclosing(rows):
                async for outcome in rows:
                    bulk.planned.append(outcome.execution)
                    bulk.sent[outcome.execution.id] = self._moves.sent(outcome.execution.id)
        except (OmiumError, TypeError, ValueError) as error:
            bulk.error = error
        finally:
            bulk.state = "planned"

    async def _replay(self, bulk: Bulk) -> None:
        room = asyncio.Semaphore(AT_ONCE)  # a batch takes more ahead, which could not be stopped
        try:
            outcomes = self._omium.executions.replay_many(self._to_send(bulk, room), concurrency=AT_ONCE)
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    room.release()
                    bulk.outcomes[outcome.execution.id] = outcome
                    if outcome.result is not None:
                        self._replayed(outcome.execution.id, outcome.result.execution_id)
        except (OmiumError, TypeError, ValueError) as error:
            bulk.error = error
        finally:
            bulk.state = "done"
            self._written()

    async def _to_send(self, bulk: Bulk, room: asyncio.Semaphore) -> AsyncGenerator[str]:
        """What was planned, each as its turn comes; not what the console has replayed or rolled back since."""
        for execution in bulk.planned:
            await room.acquire()
            if bulk.stopping:
                return
            if self._moves.sent(execution.id) != bulk.sent[execution.id]:
                bulk.passed_over.add(execution.id)
                room.release()
                continue
            self._moves.send(execution.id)
            yield execution.id

    def _forget(self) -> None:
        ended = [name for name, bulk in self._known.items() if bulk.task is None or bulk.task.done()]
        for name in ended[: max(0, len(self._known) - _KEPT)]:
            del self._known[name]

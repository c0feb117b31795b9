"""Bulk replays: a dry run that lists what would be replayed, then exactly that, with a verdict for each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

from omium_async import (
    AsyncOmium,
    AuthenticationError,
    Execution,
    OmiumError,
    PermissionDeniedError,
    ReplayOutcome,
)

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
    :ivar begun: handed over to be replayed. Once it is done, what has no outcome of these may have been replayed.
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
        self.begun: set[str] = set()
        self.outcomes: dict[str, ReplayOutcome] = {}
        self.error: Exception | None = None
        self.stopping = False
        self.began = datetime.now(UTC)
        self.task: asyncio.Task[None] | None = None

    @property
    def statuses(self) -> tuple[str, ...]:
        """What it looks for; the failed ones where the view does not say."""
        return self.view.statuses or ("failed",)

    def fate(self, execution_id: str) -> str:
        """What became of one that was found: the state of its outcome, ``unknown`` or ``not sent`` (yet)."""
        outcome = self.outcomes.get(execution_id)
        if outcome is not None:
            return outcome.state
        return "unknown" if self.state == "done" and execution_id in self.begun else "not sent"

    def tally(self) -> dict[str, int]:
        """How many came to which end so far."""
        found = Counter(self.fate(execution.id) for execution in self.planned)
        return {state: found[state] for state in ("replayed", "rejected", "unknown", "not sent")}

    def verdicts(self) -> list[tuple[Execution, str, ReplayOutcome | None]]:
        """Each execution, what became of it, and its outcome if it has one.

        What went wrong comes first; all else keeps its place, so that no row moves away from under a finger.
        """
        order = {"unknown": 0, "rejected": 1}
        found = [(execution, self.fate(execution.id), self.outcomes.get(execution.id)) for execution in self.planned]
        return sorted(found, key=lambda each: order.get(each[1], 2))


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
        bulk.stopping = bulk.stopping or bulk.state in ("planning", "replaying")
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
                "%d were replayed, %d rejected, %d are unknown, %d were not sent",
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
                    bulk.sent[outcome.execution.id] = self._moves.sent(outcome.execution.id)
                    bulk.planned.append(outcome.execution)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was found is not all
            _ended_early(bulk, error)
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
        except Exception as error:  # noqa: BLE001 - whatever it is, what was under way must not be called "not sent"
            _ended_early(bulk, error)
            if _tells_of_all(error):
                bulk.begun.clear()
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
            bulk.begun.add(execution.id)
            yield execution.id

    def _forget(self) -> None:
        ended = [name for name, bulk in self._known.items() if bulk.task is None or bulk.task.done()]
        for name in ended[: max(0, len(self._known) - _KEPT)]:
            del self._known[name]


def _ended_early(bulk: Bulk, error: Exception) -> None:
    bulk.error = error
    if not isinstance(error, OmiumError):
        _log.error("a bulk replay or its dry run ended early, and not by an error of a call", exc_info=error)


def _tells_of_all(error: Exception) -> bool:
    """Whether a batch that ended with this gave an outcome for all that may have been written.

    Not by a defect, and not where the key was refused: the call that met it has no outcome, and where the client sends
    writes again, the answer to an earlier attempt of it may have been lost.
    """
    if isinstance(error, AuthenticationError | PermissionDeniedError):
        return not error.outcome_unknown
    return isinstance(error, OmiumError)

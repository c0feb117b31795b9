"""Bulk replays: a dry run that lists what would be replayed, then exactly that, with an outcome for each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

import attrs

from omium_async import (
    AsyncOmium,
    Attempt,
    Execution,
    OmiumError,
    ReplayOutcome,
)

from .._errors.calls import ends_batch
from .._errors.statuses import status_meaning
from .._statuses import FAILED
from .reading import Reader
from .view import View
from .words import cut, message_of
from .writes import Writes

CONCURRENCY: Final = 16
_KEPT: Final = 50  # bulk replays
_KEPT_BYTES: Final = 32 * 2**20  # of all that have ended, about
_LAST_OUTCOMES: Final = 5.0  # seconds that replays in progress have when the console stops

_log = logging.getLogger("omium_async.ui")

State = Literal["planning", "planned", "replaying", "done"]


@attrs.define
class BulkItem:
    """One execution of a bulk replay, with what its page shows.

    :ivar outcome: ``"not sent"``, ``"sending"``, or the state of its outcome.
    :ivar target: the execution to follow. :ivar note: the error, or why it was not sent.
    :ivar number: of the last write of this console to it before the dry run; 0: none.
    """

    id: str
    status: str | None
    workflow_id: str
    created_at: datetime | None
    note: str
    number: int
    outcome: str = "not sent"
    target: str = ""

    @classmethod
    def of(cls, execution: Execution, number: int) -> BulkItem:
        """Keep what is shown of an execution."""
        workflow_id, note = cut(execution.workflow_id or "", 100), cut(execution.error or "")
        return cls(execution.id, execution.status, workflow_id, execution.created_at, note, number)

    @property
    def has_outcome(self) -> bool:
        """Whether its outcome is known, or known to be unknown."""
        return self.outcome not in ("not sent", "sending")


class Bulk:
    """One bulk replay, from its dry run to its end.

    :param limit: how many executions the dry run lists at most. :param mark: see `Writes`.
    :ivar error: what ended it early.
    """

    def __init__(self, view: View, limit: int, mark: int) -> None:
        self.name = os.urandom(6).hex()
        self.view = view
        self.limit = limit
        self.mark = mark
        self.state: State = "planning"
        self.items: list[BulkItem] = []
        self.error: Exception | None = None
        self.is_stopping = False
        self.began = datetime.now(UTC)
        self.task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it changes by itself."""
        return self.state in ("planning", "replaying")

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that it looks for."""
        return self.view.statuses or (FAILED if self.view.error else ("failed",))

    @property
    def size(self) -> int:
        """The approximate size in bytes."""
        return sum(600 + len(item.id) + len(item.target) for item in self.items)

    def tally(self) -> dict[str, int]:
        """Count the items by outcome."""
        found = Counter(item.outcome for item in self.items)
        return {state: found[state] for state in ("replayed", "rejected", "unknown", "sending", "not sent")}

    def by_importance(self) -> list[BulkItem]:
        """Return the items, failures first; all others keep their places, so no row moves while it is clicked."""
        order = {"unknown": 0, "rejected": 1}
        return sorted(self.items, key=lambda item: order.get(item.outcome, 2))


class Bulks:
    """The bulk replays of one console, the newest ones.

    :param omium: replays. :param reader: reads groups of failures. :param writes: allows one write at a time.
    """

    def __init__(self, omium: AsyncOmium, reader: Reader, writes: Writes) -> None:
        self._omium = omium.with_options(on_attempt=self._saw)
        self._reader = reader
        self._writes = writes
        self._latest: Attempt | None = None
        self._known: dict[str, Bulk] = {}

    @property
    def outage(self) -> Attempt | None:
        """The last attempt, if the service did not respond as it should."""
        latest = self._latest
        if latest is None or latest.error is None:
            return None
        return latest if latest.status is None or status_meaning(latest.status).outage else None

    def _saw(self, attempt: Attempt) -> None:
        self._latest = attempt

    def find(self, name: str) -> Bulk | None:
        """Return the bulk replay of that name."""
        return self._known.get(name)

    def plan(self, view: View, limit: int) -> Bulk:
        """Begin the dry run of a view."""
        bulk = Bulk(view, limit, self._writes.mark)
        self._forget()
        self._known[bulk.name] = bulk
        bulk.task = asyncio.create_task(self._plan(bulk))
        return bulk

    def replay(self, bulk: Bulk) -> None:
        """Replay what the dry run listed, unless that has begun."""
        if bulk.state == "planned" and bulk.items:
            bulk.state, bulk.is_stopping, bulk.error = "replaying", False, None
            bulk.task = asyncio.create_task(self._replay(bulk))

    def stop(self, bulk: Bulk) -> None:
        """End a dry run, or send no more replays; those in progress get their outcome."""
        bulk.is_stopping = bulk.is_stopping or bulk.is_busy
        if bulk.state == "planning" and bulk.task is not None:
            bulk.task.cancel()

    def being_sent(self, bulk: Bulk) -> int:
        """Count the listed executions that this console is writing to now, elsewhere."""
        return sum(1 for item in bulk.items if self._writes.in_progress(item.id))

    def is_passed_over(self, bulk: Bulk, item: BulkItem) -> bool:
        """Whether this console writes to an execution now, or has written to it since the dry run began."""
        return self._writes.in_progress(item.id) or self._writes.last(item.id) > bulk.mark

    async def close(self) -> None:
        """Send no more replays, wait a moment for those in progress, and log the progress of each bulk replay."""
        replaying = [bulk for bulk in self._known.values() if bulk.state == "replaying"]
        tasks = [bulk.task for bulk in self._known.values() if bulk.task is not None and not bulk.task.done()]
        for bulk in self._known.values():
            self.stop(bulk)
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_OUTCOMES)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bulk in replaying:
            tally = bulk.tally()
            _log.warning(
                "the console was stopped during a bulk replay of %d executions: "
                "%d were replayed, %d rejected, %d are unknown, %d were not sent",
                len(bulk.items),
                *(tally[state] for state in ("replayed", "rejected", "unknown", "not sent")),
                extra={f"omium_{state.replace(' ', '_')}": count for state, count in tally.items()},
            )

    async def _plan(self, bulk: Bulk) -> None:
        try:
            async with contextlib.aclosing(self._listed(bulk)) as rows:
                async for row in rows:
                    bulk.items.append(BulkItem.of(row, self._writes.last(row.id)))
        except Exception as error:  # noqa: BLE001 - the page says that the list is not complete
            _end_early(bulk, error)
        finally:
            bulk.state = "planned"

    async def _listed(self, bulk: Bulk) -> AsyncGenerator[Execution]:
        if bulk.view.error:
            for row in (await self._reader.group(bulk.view))[: bulk.limit]:
                yield row
            return
        wanted: dict[str, Any] = {"status": "failed", **bulk.view.arguments(), "limit": bulk.limit, "dry_run": True}
        async with contextlib.aclosing(self._omium.executions.replay_many(**wanted)) as outcomes:
            async for outcome in outcomes:
                yield outcome.execution

    async def _replay(self, bulk: Bulk) -> None:
        items = {item.id: item for item in bulk.items}
        sending: dict[str, asyncio.Lock] = {}
        places = asyncio.Semaphore(CONCURRENCY)  # a batch reads further ahead, and that could not be stopped
        ids = self._to_send(bulk, sending, places)
        try:
            outcomes = self._omium.executions.replay_many(ids, concurrency=CONCURRENCY)
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    _settle(items[outcome.execution.id], outcome)
                    self._end(outcome.execution.id, sending)
                    places.release()
        except Exception as error:  # noqa: BLE001 - replays in progress must not count as not sent
            _end_early(bulk, error)
            if _has_all_outcomes(error):
                for name in sending:
                    items[name].outcome = "not sent"
        finally:
            for name in list(sending):
                self._end(name, sending)
            for item in bulk.items:
                if item.outcome == "sending":
                    item.outcome = "unknown"
                    item.note = "it was being replayed when the bulk replay ended early: it may have been replayed"
            bulk.state = "done"

    async def _to_send(
        self, bulk: Bulk, sending: dict[str, asyncio.Lock], places: asyncio.Semaphore
    ) -> AsyncIterator[str]:
        """Yield each execution when its turn comes, except those that this console has written to meanwhile."""
        for item in bulk.items:
            await places.acquire()
            if bulk.is_stopping:
                return
            if self.is_passed_over(bulk, item):
                item.note = "this console has written to it since the dry run"
                places.release()
                continue
            sending[item.id] = self._writes.lock(item.id)
            await sending[item.id].acquire()  # at once: nothing holds it
            self._writes.begin(item.id, item.status, item.note)
            item.outcome = "sending"
            yield item.id

    def _end(self, execution_id: str, sending: dict[str, asyncio.Lock]) -> None:
        self._writes.end(execution_id)
        sending.pop(execution_id).release()

    def _forget(self) -> None:
        """Forget the oldest bulk replays that have ended, so that the memory of all is bounded."""
        kept = sum(bulk.size for bulk in self._known.values())
        for bulk in [bulk for bulk in self._known.values() if not bulk.is_busy]:
            if kept <= _KEPT_BYTES and len(self._known) < _KEPT:
                return
            del self._known[bulk.name]
            kept -= bulk.size


def _settle(item: BulkItem, outcome: ReplayOutcome) -> None:
    item.outcome = outcome.state
    item.target = "" if outcome.result is None else outcome.result.execution_id
    item.note = "" if outcome.error is None else cut(message_of(outcome.error))


def _end_early(bulk: Bulk, error: Exception) -> None:
    bulk.error = error
    if not isinstance(error, OmiumError):
        _log.error("a bulk replay or its dry run ended early by a defect", exc_info=error)


def _has_all_outcomes(error: Exception) -> bool:
    """Whether a batch that ended with this error yielded an outcome for everything that may have been written.

    It did not after a defect. It did not either if the key, the account or the address was refused on a second attempt
    of a write: the response to the first may have been lost.
    """
    if isinstance(error, OmiumError) and ends_batch(error):
        return not error.outcome_unknown
    return isinstance(error, OmiumError)

"""Waiting for many executions on one shared poller, whose cost is that of pages of the list and not of executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, NoReturn, TypeVar

import attrs

from .. import _endpoints as endpoints
from .. import _lists as lists
from .._arguments import execution_segment
from .._caller import Caller
from .._errors import MissingExecutionsError, NotFoundError, OmiumError, UnstableListError, WaitTimeoutError
from .._models.types import Execution
from .._pool.limit import Limit
from .._pool.pool import Pool
from .._streaming.filters import Filters
from .._transport.retry import could_mend
from .outage import Outage
from .pending import PendingForLong
from .polling import Pace, Polling
from .singles import Singles

__all__ = ["wait_for_each"]

T = TypeVar("T")

_FEW: Final = 2  # executions that are looked at one by one
_FEW_DETAILS: Final = 8  # where each is read by itself in the end anyhow
_AT_ONCE: Final = 16  # single reads under way
_PAGE_SIZES: Final = (100, 1000)
_GRACE: Final = 0.1  # seconds past the deadline, for what a look ends with at the deadline
_NAMED: Final = 5  # ids in a message


@attrs.frozen
class _Look:
    """What one look at the list brought.

    :ivar ready: rows at a status that was asked for.
    :ivar alone: ids to read one by one.
    """

    ready: list[Execution]
    alone: list[str]


@attrs.frozen
class _Read:
    """What a single read brought: the execution, or that there is none, or nothing as yet."""

    id: str
    execution: Execution | None
    failed: bool = False


async def wait_for_each(
    caller: Caller, execution_ids: Iterable[str] | AsyncIterable[str], polling: Polling, *, details: bool
) -> AsyncGenerator[Execution]:
    """Each execution once its status is one that was asked for.

    :param details: give each as a read of it by itself shows it; else as the list does, where the list shows it.
    :raises WaitTimeoutError: it was not so with all in time.
    :raises MissingExecutionsError: some do not exist.
    :raises OmiumError: what no later look could mend; or the last failure of an outage longer than ``patience``.
    """
    crowd = _Crowd(caller, polling.begin(), details=details)
    await crowd.gather(execution_ids)
    while crowd.pending:
        moved = False
        look = await crowd.look()
        for row in look.ready:
            crowd.done(row)
            moved = True
            yield row
        pool = Pool(look.alone, crowd.read, Limit(_AT_ONCE))
        try:
            while await crowd.in_time(pool.more):
                while (read := pool.pop()) is not None:
                    found = crowd.take(read)
                    if found is not None:
                        moved = True
                        yield found
        finally:
            await pool.close()
        if crowd.pending and not crowd.outage.lasts:  # which has pauses of its own
            await crowd.pause(moved=moved)
    if crowd.missing:
        raise MissingExecutionsError(
            f"the service knows no executions {_some(map(repr, crowd.missing), len(crowd.missing))}",
            missing=tuple(crowd.missing),
            outcome="not_applied",
        )


class _Crowd:
    """The executions that are waited for.

    :ivar pending: those not at a wanted status yet, and the status that was last seen of each.
    :ivar missing: those that the service does not know.
    :ivar outage: of the service, for all of them.
    """

    def __init__(self, caller: Caller, polling: Polling, *, details: bool) -> None:
        self.pending: dict[str, str | None] = {}
        self.missing: list[str] = []
        self._caller = caller
        self._polling = polling
        self._details = details
        self._few = _FEW_DETAILS if details else _FEW
        self._pace = Pace(polling)
        self.outage = Outage(
            "wait for executions",
            0.0 if polling.once else caller.options.patience,
            polling.interval[0],
            deadline=polling.deadline,
            telemetry=caller.telemetry,
        )
        self._singles = Singles(self.outage)
        self._pending_for_long = PendingForLong()
        self._alone: set[str] = set()  # those that the list does not show, or not cheaply
        # Beside others they have a pace of their own, for what moves in the list says nothing about them.
        self._pace_alone = Pace(polling)
        self._rest = 0.0  # seconds until they are read again
        self._pages = 0  # that the last look at the list took
        self._requests = 0
        self._failure: OmiumError | None = None

    async def gather(self, execution_ids: Iterable[str] | AsyncIterable[str]) -> None:
        """Take the ids, each once."""
        if not isinstance(execution_ids, AsyncIterable):
            self.pending = dict.fromkeys(execution_ids)
            return

        async def collect() -> None:
            async for execution_id in execution_ids:
                execution_segment(execution_id, "execution_ids")
                self.pending[execution_id] = None

        await self.in_time(collect)

    async def in_time(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run one step, but not past the deadline.

        :raises WaitTimeoutError: it would go on longer.
        """
        left = self._polling.left()
        scope = asyncio.timeout(None if left is None else left + _GRACE)
        try:
            async with scope:
                return await step()
        except OmiumError as error:
            if self._polling.left() != 0 or not could_mend(error):
                raise
            self._raise_late(error)
        except TimeoutError:
            if not scope.expired():
                raise
            self._raise_late()

    async def pause(self, *, moved: bool) -> None:
        """Sleep until the next look."""
        seconds = self._pace.next(moved=moved, requests=self._requests)
        self._rest -= seconds
        if not await self._polling.sleep(seconds):
            self._raise_late()

    def _raise_late(self, failure: OmiumError | None = None) -> NoReturn:
        count = len(self.pending)
        last = (f"{id!r} ({status or 'never seen'})" for id, status in self.pending.items())
        missing = f"; the service does not know {_some(map(repr, self.missing), len(self.missing))}"
        failure = failure or self.outage.last or self._failure
        raise WaitTimeoutError(
            f"{count} {'execution' if count == 1 else 'executions'} {self._polling.missed()}; "
            f"last seen: {_some(last, count)}{missing if self.missing else ''}"
            f"{'' if failure is None else f'; the last failure: {failure}'}",
            pending=tuple(self.pending),
            outcome="not_applied",
        ) from failure

    # -- looking -------------------------------------------------------------------------------------------------

    async def look(self) -> _Look:
        """What the list shows of those that it shows cheaply."""
        self._requests = 0
        self._singles.begin_round()
        listed = [execution_id for execution_id in self.pending if execution_id not in self._alone]
        if len(listed) <= max(self._few, self._pages):
            self._alone.update(listed)
            return _Look([], list(self.pending))
        resting = self._resting()
        ready = await self.in_time(lambda: self._look_at_list(listed))
        self._requests += self._pages
        alone = [
            execution_id for execution_id in self.pending if execution_id in self._alone and execution_id not in resting
        ]
        return _Look([], [row.id for row in ready] + alone) if self._details else _Look(ready, alone)

    def _resting(self) -> set[str]:
        """Those not to be read by themselves in this look."""
        if self._rest > 0:
            return self._alone.copy()
        self._rest = self._pace_alone.next()
        return set()

    async def _look_at_list(self, listed: list[str]) -> list[Execution]:
        """Those that the list shows to be ready; it is read from its newest to the last one of these."""
        unseen = set(listed)
        ready: list[Execution] = []
        size = min(max(len(listed), _PAGE_SIZES[0]), _PAGE_SIZES[1])
        batches = lists.batches(self._caller, Filters(), page_size=size, prefetch=0, outage=self.outage)
        self._pages = 0
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self._pages += 1
                    for row in batch.rows:
                        if row.id in unseen:
                            unseen.discard(row.id)
                            if self._is_ready(row):
                                ready.append(row)
                    if not unseen or self._pages > len(unseen) // 2:
                        break
        except UnstableListError as error:
            self._failure = error  # what it showed is as good as ever, and the next look may show more
            return ready
        self._alone |= unseen
        return ready

    def _is_ready(self, found: Execution) -> bool:
        self.pending[found.id] = found.status
        self._pending_for_long.saw(found)
        return found.status in self._polling.until

    async def read(self, _: int, execution_id: str) -> _Read:
        """One execution by itself."""
        try:
            found = await self._singles.tried(
                self._caller, execution_id, lambda caller: endpoints.get(caller, execution_id)
            )
        except NotFoundError:
            self.outage.answered()
            return _Read(execution_id, None)
        return _Read(execution_id, found, failed=found is None)  # one that always fails must not hold up all others

    def take(self, read: _Read) -> Execution | None:
        """The execution, if this is the end of waiting for it."""
        found = read.execution
        if read.failed:
            self._requests += 1
        elif found is None:
            del self.pending[read.id]
            self.missing.append(read.id)
        elif self._is_ready(found):
            self.done(found)
            return found
        else:
            self._requests += 1
        return None

    def done(self, found: Execution) -> None:
        """It is not waited for any longer."""
        del self.pending[found.id]
        self._alone.discard(found.id)


def _some(entries: Iterable[str], count: int) -> str:
    """Entries in words, not too many."""
    shown = [entry for _, entry in zip(range(_NAMED), entries, strict=False)]
    return ", ".join(shown) if count <= _NAMED else f"{', '.join(shown)} and {count - _NAMED} more"

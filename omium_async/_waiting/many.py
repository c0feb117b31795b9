"""Waiting for many executions: one shared poll reads pages of the list, instead of each execution."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple, TypeVar

from .. import _endpoints as endpoints
from .._arguments import execution_segment
from .._caller import Caller
from .._errors.base import OmiumError
from .._errors.calls import NotFoundError, ends_batch
from .._errors.others import MissingExecutionsError, UnstableListError, WaitTimeoutError
from .._filters import Filters
from .._lists import streams as lists
from .._models.types import Execution
from .._pool import Pool, most_ahead
from .._statuses import ExecutionStatus
from .._transport.retry import is_retryable
from .polling import PendingMonitor, Polling, PollInterval, too_late

T = TypeVar("T")

FEW: Final = 2  # executions that are read one by one
_FEW_DETAILS: Final = 8  # the same if the details of each are wanted in the end
_CONCURRENCY: Final = 16  # reads of single executions
_PAGE_SIZES: Final = (100, 1000)
_NAMED: Final = 5  # the most ids in a message


class _Read(NamedTuple):
    """The result of one single read.

    :ivar execution: ``None``: the read failed.
    :ivar error: the failure, if it is final: a later read would have the same.
    """

    id: str
    execution: Execution | None
    error: OmiumError | None = None


async def wait_for_each(
    caller: Caller, execution_ids: Iterable[str] | AsyncIterable[str], polling: Polling, *, details: bool
) -> AsyncGenerator[Execution]:
    """Yield each execution as soon as its status is a wanted one.

    :param details: yield the details of each; otherwise its row of the list, if the list shows it.
    :raises WaitTimeoutError: the time ran out before all had such a status.
    :raises MissingExecutionsError: the service does not know some of them.
    :raises OmiumError: an error that is not retryable, or the last failure of an outage longer than ``patience``.
    """
    few = _FEW_DETAILS if details else FEW
    waiting = WaitSet(caller, polling.begin(), details=details, few=few)
    await waiting.gather(execution_ids)
    try:
        while waiting.pending:
            async with aclosing(waiting.poll()) as found:
                async for _, execution in found:
                    yield execution
            if waiting.pending:
                await waiting.pause()
    finally:
        waiting.leave()
    if waiting.failed:
        raise MissingExecutionsError(
            f"the service does not know the executions {_some(map(repr, waiting.failed), len(waiting.failed))}",
            missing=tuple(waiting.failed),
            outcome="not_applied",
        )


class WaitSet:
    """The executions to wait for.

    :param details: whether `poll` yields the details of each execution, or its row of the list.
    :param few: executions that are read one by one, without a look at the list.
    :param isolates: whether a refusal to read one execution concerns that one only; otherwise `poll` raises it, except
        a `NotFoundError`.
    :ivar pending: those not at a wanted status yet, with the last status seen of each.
    :ivar failed: those that cannot be read, with the error of each.
    """

    def __init__(self, caller: Caller, polling: Polling, *, details: bool, few: int, isolates: bool = False) -> None:
        self.pending: dict[str, str | None] = {}
        self.failed: dict[str, OmiumError] = {}
        self._caller = caller
        self._polling = polling
        self._details = details
        self._few = few
        self._isolates = isolates
        self._interval = PollInterval(polling)
        self._patience = polling.patience(caller, "wait for executions")
        self._failed_at: dict[str, float] = {}  # when the last read of a single execution failed
        self._monitor = PendingMonitor()
        self._single: set[str] = set()  # those that the list does not show, or shows too far from its start
        # They have their own interval, because changes in the polled list say nothing about them.
        self._single_interval = PollInterval(polling)
        self._single_pause = 0.0  # seconds until they are read again
        self._pages = 0  # of the last poll of the list
        self._requests = 0  # of the last poll that had no result
        self._changed = False  # whether the last poll had a result
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

        await self._in_time(collect)

    def remove(self, execution_id: str) -> None:
        """Stop waiting for an execution."""
        self.pending.pop(execution_id, None)
        self._single.discard(execution_id)
        self._failed_at.pop(execution_id, None)
        self._monitor.forget(execution_id)

    def leave(self) -> None:
        """The wait ends."""
        self._patience.leave()

    async def pause(self) -> None:
        """Sleep until the next poll; in an outage the reads wait for their turn instead."""
        if self._patience.counts:
            return
        seconds = self._interval.next(changed=self._changed, requests=self._requests)
        self._single_pause -= seconds
        await self._in_time(lambda: self._polling.sleep(seconds))

    async def poll(self) -> AsyncGenerator[tuple[str, Execution]]:
        """Poll once, and yield the ids and executions whose status is a wanted one."""
        self._requests, self._changed = 0, False
        ready, single = await self._poll_list()
        for row in ready:
            self.remove(row.id)
            self._changed = True
            yield row.id, row
        pool = Pool(single, self._read, _CONCURRENCY, most_ahead(_CONCURRENCY))
        try:
            while await self._in_time(pool.more):
                while pool.has_results:
                    read = pool.pop()
                    found = self._take(read)
                    if found is not None:
                        self._changed = True
                        yield read.id, found
        finally:
            await pool.close()

    # -- time ----------------------------------------------------------------------------------------------------

    async def _in_time(self, step: Callable[[], Awaitable[T]]) -> T:
        return await self._polling.in_time(step, self._late)

    def _late(self, failure: OmiumError | None) -> WaitTimeoutError:
        count = len(self.pending)
        last = (f"{id!r} ({status or 'not seen'})" for id, status in self.pending.items())
        text = f"{count} {'execution has' if count == 1 else 'executions have'} {self._polling.not_reached}"
        text += f"; last status: {_some(last, count)}"
        if all(status == ExecutionStatus.PENDING for status in self.pending.values()):
            text += "; are their workflows served?"
        if self.failed:
            text += f"; the service does not know {_some(map(repr, self.failed), len(self.failed))}"
        return too_late(text, tuple(self.pending), failure or self._patience.last or self._failure)

    # -- the list ------------------------------------------------------------------------------------------------

    async def _poll_list(self) -> tuple[list[Execution], list[str]]:
        """Return the rows at a wanted status, and the ids of the executions to read one by one."""
        listed = [execution_id for execution_id in self.pending if execution_id not in self._single]
        resting = self._single.copy() if listed and self._single_pause > 0 else set[str]()
        if not resting:
            self._single_pause = self._single_interval.next()
        if len(listed) <= max(self._few, self._pages):
            return [], [execution_id for execution_id in self.pending if execution_id not in resting]
        ready = await self._in_time(lambda: self._read_list(listed))
        self._requests += self._pages
        single = [execution_id for execution_id in self.pending if execution_id in self._single - resting]
        return ([], [row.id for row in ready] + single) if self._details else (ready, single)

    async def _read_list(self, listed: list[str]) -> list[Execution]:
        """Read the list as far as it shows these executions, and return those at a wanted status."""
        unseen = set(listed)
        ready: list[Execution] = []
        size = min(max(len(listed), _PAGE_SIZES[0]), _PAGE_SIZES[1])
        fetch = lists.windows(self._caller, Filters(), self._patience)
        batches = lists.stream_batches(fetch, page_size=size, prefetch=0)
        self._pages = 0
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self._pages += 1
                    for row in batch.rows:
                        if row.id in unseen:
                            unseen.discard(row.id)
                            if self._is_ready(row.id, row):
                                ready.append(row)
                    if not unseen or self._pages > len(unseen) // 2:
                        break
        except UnstableListError as error:
            self._failure = error  # the rows read are right, and the next poll may show more
            return ready
        self._single |= unseen
        return ready

    def _is_ready(self, execution_id: str, found: Execution) -> bool:
        self.pending[execution_id] = found.status  # by the requested id: the service may answer another form of it
        self._monitor.saw(found)
        return found.status in self._polling.until

    # -- single executions ---------------------------------------------------------------------------------------

    async def _read(self, _: int, execution_id: str) -> _Read:
        """Read one execution. If its reads fail again and again while others get responses, it is no outage."""
        failed_at = self._failed_at.get(execution_id)
        joins = failed_at is None or failed_at >= self._patience.responded_at
        self._failed_at[execution_id] = time.monotonic()
        try:
            found = await self._patience.try_once(lambda caller: endpoints.get(caller, execution_id), joins=joins)
        except OmiumError as error:
            if not isinstance(error, NotFoundError) and (
                not self._isolates or is_retryable(error) or ends_batch(error)
            ):
                raise
            return _Read(execution_id, None, error)
        if found is not None:
            self._failed_at.pop(execution_id, None)
        return _Read(execution_id, found)

    def _take(self, read: _Read) -> Execution | None:
        """Return the execution if its status is a wanted one."""
        found = read.execution
        if read.id not in self.pending:
            return None
        if read.error is not None:
            self.remove(read.id)
            self.failed[read.id] = read.error
        elif found is not None and self._is_ready(read.id, found):
            self.remove(read.id)
            return found
        else:
            self._requests += 1
        return None


def _some(entries: Iterable[str], count: int) -> str:
    """Join the first entries, for messages."""
    shown = [entry for _, entry in zip(range(_NAMED), entries, strict=False)]
    return ", ".join(shown) if count <= _NAMED else f"{', '.join(shown)} and {count - _NAMED} more"

"""Waiting for many executions: one shared poll reads pages of the list, instead of each execution."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple, NoReturn, TypeVar

from .. import _endpoints as endpoints
from .. import _lists as lists
from .._arguments import execution_segment
from .._caller import Caller
from .._errors import MissingExecutionsError, NotFoundError, OmiumError, UnstableListError, WaitTimeoutError
from .._filters import Filters
from .._models.types import Execution, ExecutionStatus
from .._outage import Outage
from .._pool import Pool
from .._transport.retry import is_retryable
from .polling import PendingMonitor, Polling, PollInterval

__all__ = ["wait_for_each"]

T = TypeVar("T")

_FEW: Final = 2  # executions that are read one by one
_FEW_DETAILS: Final = 8  # the same if the details of each are wanted in the end
_CONCURRENCY: Final = 16  # reads of single executions
_PAGE_SIZES: Final = (100, 1000)
_GRACE: Final = 0.1  # seconds after the deadline, for the error of a read that ends at the deadline
_NAMED: Final = 5  # the most ids in a message


class _Poll(NamedTuple):
    """The result of one poll of the list.

    :ivar ready: rows at a wanted status.
    :ivar single: ids to read one by one.
    """

    ready: list[Execution]
    single: list[str]


class _Read(NamedTuple):
    """The result of one single read: the execution; ``None``: the service does not know it, or the read failed."""

    id: str
    execution: Execution | None
    failed: bool = False


async def wait_for_each(
    caller: Caller, execution_ids: Iterable[str] | AsyncIterable[str], polling: Polling, *, details: bool
) -> AsyncGenerator[Execution]:
    """Yield each execution as soon as its status is a wanted one.

    :param details: yield the details of each; otherwise its row of the list, if the list shows it.
    :raises WaitTimeoutError: the time ran out before all had such a status.
    :raises MissingExecutionsError: the service does not know some of them.
    :raises OmiumError: an error that is not retryable, or the last failure of an outage longer than ``patience``.
    """
    waiting = _WaitSet(caller, polling.begin(), details=details)
    await waiting.gather(execution_ids)
    while waiting.pending:
        changed = False
        poll = await waiting.poll()
        for row in poll.ready:
            waiting.remove(row.id)
            changed = True
            yield row
        pool = Pool(poll.single, waiting.read, _CONCURRENCY)
        try:
            while await waiting.in_time(pool.more):
                while pool.has_results:
                    found = waiting.take(pool.pop())
                    if found is not None:
                        changed = True
                        yield found
        finally:
            await pool.close()
        if waiting.pending and not waiting.outage.lasts:  # an outage has its own pauses
            await waiting.pause(changed=changed)
    if waiting.missing:
        raise MissingExecutionsError(
            f"the service does not know the executions {_some(map(repr, waiting.missing), len(waiting.missing))}",
            missing=tuple(waiting.missing),
            outcome="not_applied",
        )


class _WaitSet:
    """The executions to wait for.

    :ivar pending: those not at a wanted status yet, with the last status seen of each.
    :ivar missing: those that the service does not know.
    """

    def __init__(self, caller: Caller, polling: Polling, *, details: bool) -> None:
        self.pending: dict[str, str | None] = {}
        self.missing: list[str] = []
        self._caller = caller
        self._polling = polling
        self._details = details
        self._few = _FEW_DETAILS if details else _FEW
        self._interval = PollInterval(polling)
        self.outage = Outage(
            "wait for executions",
            0.0 if polling.once else caller.options.patience,
            polling.interval[0],
            deadline=polling.deadline,
            telemetry=caller.telemetry,
        )
        self._failed_at: dict[str, float] = {}  # when the last read of a single execution failed
        self._monitor = PendingMonitor()
        self._single: set[str] = set()  # those that the list does not show, or shows too far from its start
        # They have their own interval, because changes in the polled list say nothing about them.
        self._single_interval = PollInterval(polling)
        self._single_pause = 0.0  # seconds until they are read again
        self._pages = 0  # of the last poll of the list
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
        """Run one step, at most until the deadline.

        :raises WaitTimeoutError: the deadline passed.
        """
        left = self._polling.left()
        scope = asyncio.timeout(None if left is None else left + _GRACE)
        try:
            async with scope:
                return await step()
        except OmiumError as error:
            if self._polling.left() != 0 or not is_retryable(error):
                raise
            self._raise_late(error)
        except TimeoutError:
            if not scope.expired():
                raise
            self._raise_late()

    async def pause(self, *, changed: bool) -> None:
        """Sleep until the next poll."""
        seconds = self._interval.next(changed=changed, requests=self._requests)
        self._single_pause -= seconds
        if not await self._polling.sleep(seconds):
            self._raise_late()

    def _raise_late(self, failure: OmiumError | None = None) -> NoReturn:
        count = len(self.pending)
        last = (f"{id!r} ({status or 'not seen'})" for id, status in self.pending.items())
        text = f"{count} {'execution has' if count == 1 else 'executions have'} {self._polling.not_reached}"
        text += f"; last status: {_some(last, count)}"
        if all(status == ExecutionStatus.PENDING for status in self.pending.values()):
            text += "; are their workflows served?"
        if self.missing:
            text += f"; the service does not know {_some(map(repr, self.missing), len(self.missing))}"
        failure = failure or self.outage.last or self._failure
        if failure is not None:
            text += f"; last failure: {failure}"
        raise WaitTimeoutError(text, pending=tuple(self.pending), outcome="not_applied") from failure

    # -- polling -------------------------------------------------------------------------------------------------

    async def poll(self) -> _Poll:
        """Poll the list for those that it shows near its start."""
        self._requests = 0
        listed = [execution_id for execution_id in self.pending if execution_id not in self._single]
        if len(listed) <= max(self._few, self._pages):
            self._single.update(listed)
            return _Poll([], list(self.pending))
        resting = self._single.copy() if self._single_pause > 0 else set[str]()
        if self._single_pause <= 0:
            self._single_pause = self._single_interval.next()
        ready = await self.in_time(lambda: self._poll_list(listed))
        self._requests += self._pages
        single = [execution_id for execution_id in self.pending if execution_id in self._single - resting]
        return _Poll([], [row.id for row in ready] + single) if self._details else _Poll(ready, single)

    async def _poll_list(self, listed: list[str]) -> list[Execution]:
        """Read the list as far as it shows these executions, and return those at a wanted status."""
        unseen = set(listed)
        ready: list[Execution] = []
        size = min(max(len(listed), _PAGE_SIZES[0]), _PAGE_SIZES[1])
        fetch = lists.windows(self._caller, Filters(), self.outage)
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

    async def read(self, _: int, execution_id: str) -> _Read:
        """Read one execution."""

        def on_failure(error: OmiumError, started: float) -> None:
            """An execution whose reads always fail, while others are answered, is no outage."""
            before, self._failed_at[execution_id] = self._failed_at.get(execution_id), started
            if before is not None and before < self.outage.answered_at:
                self.outage.last = error
            else:
                self.outage.failed(error, started)

        try:
            found = await self.outage.try_read(
                self._caller, lambda caller: endpoints.get(caller, execution_id), on_failure
            )
        except NotFoundError:
            self.outage.answered()
            return _Read(execution_id, None)
        return _Read(execution_id, found, failed=found is None)

    def take(self, read: _Read) -> Execution | None:
        """Return the execution if its status is a wanted one."""
        found = read.execution
        if read.failed:
            self._requests += 1
        elif found is None:
            del self.pending[read.id]
            self.missing.append(read.id)
        elif self._is_ready(read.id, found):
            self.remove(read.id)
            return found
        else:
            self._requests += 1
        return None

    def remove(self, execution_id: str) -> None:
        """Stop waiting for an execution."""
        del self.pending[execution_id]
        self._single.discard(execution_id)


def _some(entries: Iterable[str], count: int) -> str:
    """Join the first entries, for messages."""
    shown = [entry for _, entry in zip(range(_NAMED), entries, strict=False)]
    return ", ".join(shown) if count <= _NAMED else f"{', '.join(shown)} and {count - _NAMED} more"

"""The calls of one batch: a lane of the transport that is paused in an outage.

While the service responds, calls begin freely, at most ``concurrency`` at once. After a failure that may be an outage
no call begins until a response arrives. If one arrives to a call in flight, all go on. Otherwise the batch sends single
reads in its turn among the operations that the outage has hit; after a response one call begins, then twice as many
with each response. Calls that wait in the lane are not sent into an outage, so it makes only the calls in flight
``unknown``.

Each call of the client makes one attempt: whether a failed item is sent again is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.attempts import Attempt, WriteOutcome
from .._errors.base import OmiumError
from .._errors.calls import RateLimitError, ends_batch
from .._errors.others import ConfigurationError
from .._filters import Filters
from .._models.types import ExecutionPage
from .._outage import FIRST_PAUSE
from .._patience import Patience, retry_after
from .._pause import growing_pause
from .._pool import Pool, most_ahead
from .._transport.admission import Lane, LaneClosed
from .._transport.attempt import LONGEST_PAUSE
from .._transport.pacing import MINUTE
from .._transport.retry import is_outage, is_retryable

_log = logging.getLogger("omium_async.batch")

T = TypeVar("T")
R = TypeVar("R")

_MOST_REFUSALS: Final = 8  # of one item while others get responses and none is refused; then it is rejected
_SHORTEST_PAUSE: Final = 0.01  # seconds before an item is sent again, or of the first pause before a probe
_LONGEST_PAUSE: Final = 15.0
_FIRST_CALLS: Final = 1  # slow start: calls at once after an outage, doubled with each response
_USUAL_LIMIT: Final = 30.0  # seconds for an attempt if nothing else limits it
_LEAST_LIMIT: Final = 1.0


class Calls:
    """Makes the calls of one batch.

    :param what: the operation, for log messages.
    """

    def __init__(self, caller: Caller, concurrency: int, what: str) -> None:
        options = caller.options
        self._caller = caller
        self._what = what
        self.concurrency = concurrency
        self._first_pause = min(max(options.backoff[0], _SHORTEST_PAUSE), FIRST_PAUSE)
        self._patience = Patience(caller, what, options.patience, self._first_pause)
        self._lane = Lane(concurrency)
        for_reads = self._limits(is_write=False)
        self._writer = caller.in_lane(self._lane, **self._limits(is_write=True))
        self._reader = caller.in_lane(self._lane, **for_reads)
        self._prober = caller.with_options(attrs.evolve(options, **for_reads))
        self._pool: Pool[Any, Any]  # from `each` on
        self._reads: set[asyncio.Task[Any]] = set()  # tasks whose reads may be in flight
        self._helpers: set[asyncio.Task[None]] = set()
        self._refusals = 0  # of all items
        self._recovery: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._at_stop: list[Callable[[], object]] = []

    def each(
        self,
        items: Iterable[T] | AsyncIterable[T],
        work: Callable[[int, T], Awaitable[R]],
        *,
        workers: int | None = None,
        ahead: int | None = None,
    ) -> AsyncGenerator[R]:
        """Yield the result of ``work`` for each item; it makes its requests by `write` and `read`.

        :param workers: items in work at once; by default ``concurrency``.
        :param ahead: items taken whose results the consumer has not received; by default as `most_ahead` says.
        """
        self._pool = Pool(items, work, workers or self.concurrency, ahead or most_ahead(self.concurrency))
        self._pool.on_stop = self._stop
        return self._pool.results()

    def fail(self, error: Exception) -> None:
        """End the batch with this error, or a copy of it if it may also be the error of an item."""
        if isinstance(error, OmiumError):
            ending = copy.copy(error)
            ending.__cause__, error = error.__cause__, ending
        self._pool.fail(error)

    def add_helper(self, helper: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine beside the items, until the batch ends."""
        task = self._pool.add_helper(helper)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        if self._stopping.is_set():
            task.cancel()
        return task

    def at_stop(self, callback: Callable[[], object]) -> None:
        """Call a function once when the batch begins to end."""
        self._at_stop.append(callback)

    @property
    def has_outcomes(self) -> bool:
        """Whether outcomes wait for the consumer."""
        return self._pool.has_results

    @property
    def is_ending(self) -> bool:
        """Whether the batch has begun to end."""
        return self._stopping.is_set()

    async def sleep(self, seconds: float) -> None:
        """Sleep.

        :raises LaneClosed: the batch ends.
        """
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        if self._stopping.is_set():
            raise LaneClosed

    def write(self, send: Callable[[Caller], Awaitable[T]]) -> Awaitable[T]:
        """Make a write, and repeat it as long as it is certain that it was not applied and may be accepted later.

        :raises OmiumError: the last failure, with all attempts.
        :raises LaneClosed: the batch ends, and the item was not sent or was refused for now.
        """
        return self._repeat(send, is_write=True)

    def read(self, get: Callable[[Caller], Awaitable[T]]) -> Awaitable[T]:
        """Send a read, and retry it while its error is retryable.

        :raises OmiumError: the last failure.
        :raises LaneClosed: the batch ends.
        """
        return self._repeat(get, is_write=False)

    async def page(self, _: Caller, page: int, page_size: int, filters: Filters) -> ExecutionPage:
        """Read one page of the list, as `_lists` asks for it."""
        return await self.read(lambda caller: endpoints.page(caller, page, page_size, filters))

    # -- one call ----------------------------------------------------------------------------------------------------

    async def _repeat(self, request: Callable[[Caller], Awaitable[T]], *, is_write: bool) -> T:
        failure: OmiumError | None = None
        alone, pauses, refused_at, refusals = 0, 0, 0.0, self._refusals
        try:
            while True:
                try:
                    return await self._call(request, is_write=is_write)
                except OmiumError as error:
                    failure = _joined(failure, error)
                    if self._patience.responded_at >= refused_at:  # others get responses
                        alone = alone + 1 if self._refusals == refusals else 0  # a rate limit refuses others too
                    if alone >= _MOST_REFUSALS or not self._may_repeat(error):
                        raise
                self._refusals += 1
                refusals, refused_at = self._refusals, time.monotonic()
                seconds = retry_after(failure) or 0.0
                if self._lane.limit:  # others get responses; the jitter spreads those that wait as well
                    bounds = (self._first_pause, _LONGEST_PAUSE)
                    seconds += growing_pause(pauses, bounds, growth=2.0, spread=(0.5, 1.0))
                    pauses += 1
                    self._warn(failure, seconds)
                await self.sleep(seconds)
        except LaneClosed:
            if failure is not None and failure.outcome_unknown:
                raise failure from None
            raise

    def _may_repeat(self, error: OmiumError) -> bool:
        if is_outage(error) and not error.outcome_unknown:
            return True
        options = self._caller.options
        is_safe = options.retry_ambiguous_writes or not error.outcome_unknown
        return is_safe and is_retryable(error) and len(error.attempts) <= options.max_retries

    async def _call(self, request: Callable[[Caller], Awaitable[T]], *, is_write: bool) -> T:
        """Send the request once, as soon as the lane lets it begin."""
        self._excuse_rate_limit()
        try:
            found = await (request(self._writer) if is_write else self._read(request))
        except OmiumError as error:
            if is_outage(error):
                self._failed(error)
            elif not isinstance(error, ConfigurationError):  # of the key; nothing was sent
                self._responded()
            if ends_batch(error):
                self.fail(error)
            raise
        self._responded()
        return found

    async def _read(self, request: Callable[[Caller], Awaitable[T]]) -> T:
        """Send a read, which `_stop` may cancel."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checkers
        self._reads.add(task)
        try:
            return await request(self._reader)
        except asyncio.CancelledError:
            if self._stopping.is_set() and not task.uncancel():  # not the consumer's cancellation
                raise LaneClosed from None
            raise
        finally:
            self._reads.discard(task)

    def _limits(self, *, is_write: bool) -> dict[str, Any]:
        """Return the options for one attempt. The time in the lane has no limit, because it is no outage."""
        options = self._caller.options
        limits = [limit for limit in (options.timeout, options.attempt_timeout) if limit is not None]
        patience = _USUAL_LIMIT if options.patience == 0 else options.patience
        if patience is not None and not (is_write and limits):
            limits.append(max(patience, _LEAST_LIMIT) if is_write else patience)
        return {"timeout": None, "attempt_timeout": min(limits, default=None), "max_retries": 0}

    def _warn(self, error: OmiumError, seconds: float) -> None:
        last = error.attempts[-1] if error.attempts else Attempt(0)
        _log.warning(
            "%s: an item was not applied (%s), trying again in %.2f s",
            self._what,
            error,
            seconds,
            extra={
                "omium_method": last.method,
                "omium_path": last.path,
                "omium_status": last.status,
                "omium_attempt": last.number,
                "omium_request_id": last.request_id,
            },
        )

    # -- outages -----------------------------------------------------------------------------------------------------

    def _responded(self) -> None:
        """A response to a call of the batch arrived."""
        self._patience.responded()
        if not self._lane.limit:
            self._resume(self.concurrency)
        elif self._lane.limit < self.concurrency:
            self._lane.resume(min(self._lane.limit * 2, self.concurrency))

    def _failed(self, error: OmiumError) -> None:
        """A call failed in a way that may be an outage: no call begins until `_resume`."""
        self._lane.pause()
        if not self._stopping.is_set():
            self._note(error, time.monotonic() - (error.attempts[-1].elapsed if error.attempts else 0.0))
            if not self._stopping.is_set() and (self._recovery is None or self._recovery.done()):
                self._recovery = self.add_helper(self._recover())

    def _resume(self, calls: int) -> None:
        if self._recovery is not None and self._recovery is not asyncio.current_task():
            self._recovery.cancel()
        self._recovery = None
        self._excuse_rate_limit()
        self._lane.resume(calls)

    async def _recover(self) -> None:
        """Wait and probe until calls may begin again."""
        try:
            while not await self._may_resume():
                pass
        except Exception as error:  # noqa: BLE001 - a refusal of the account, or the client was closed meanwhile
            self.fail(error)
        else:
            self._resume(_FIRST_CALLS)

    async def _may_resume(self) -> bool:
        """Wait for the time that a response named, or for the batch's turn and the response to a probe."""
        last = self._patience.last
        await self._patience.obey_retry_after()
        if isinstance(last, RateLimitError) and retry_after(last):
            return True  # it said when to send again: no probe is needed
        outage = self._patience.hit()
        if not await outage.turn(first_pause=self._first_pause):
            return True
        try:
            if not await self._is_answered():
                return False
        finally:
            outage.end_turn()
        outage.let_all_go()
        return True

    async def _is_answered(self) -> bool:
        """Send one read."""
        self._excuse_rate_limit()
        began = time.monotonic()
        try:
            await endpoints.page(self._prober, 1, 1, Filters())
        except OmiumError as error:
            if ends_batch(error):
                raise
            if is_outage(error):
                self._note(error, began)
                return False
        return True

    # -- patience ----------------------------------------------------------------------------------------------------

    def _note(self, error: OmiumError, began: float) -> None:
        """Count a failure, and end the batch when patience is exceeded."""
        self._patience.note(error, began)
        asked = retry_after(error)
        if asked:
            self._patience.excuse(self._patience.resume_at)
        if asked and isinstance(error, RateLimitError):  # the service responds, and says when to send again
            self._announce_wait(error, asked)
        else:
            self._patience.hit()
        self._check_patience()

    def _announce_wait(self, error: OmiumError, seconds: float) -> None:
        if seconds > MINUTE:
            _log.warning(
                "%s: %s; the batch goes on then",
                self._what,
                error,
                extra={"omium_waiting": self._what, "omium_retry_after": seconds},
            )

    def _excuse_rate_limit(self) -> None:
        if self._patience.counts and (delay := self._caller.rate_limit_delay()):
            self._patience.excuse(time.monotonic() + delay)

    def _check_patience(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        last = self._patience.last
        if not self._patience.counts or last is None or self._stopping.is_set():
            return
        left = self._patience.left()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(min(left, LONGEST_PAUSE), self._check_patience)
        else:
            self.fail(last)

    def _stop(self) -> None:
        """The batch ends: let only the writes in flight finish."""
        self._stopping.set()
        self._patience.leave()
        if self._timer is not None:
            self._timer.cancel()
        self._lane.close()
        for task in {*self._reads, *self._helpers} - {asyncio.current_task()}:
            task.cancel()
        for callback in self._at_stop:
            callback()


def _joined(earlier: OmiumError | None, error: OmiumError) -> OmiumError:
    """Add the attempts and the unknown outcome of earlier calls for the same item."""
    if earlier is not None:
        first = len(earlier.attempts)
        more = (attrs.evolve(attempt, number=first + attempt.number) for attempt in error.attempts)
        error.attempts = (*earlier.attempts, *more)
        if earlier.outcome_unknown:
            error.outcome = WriteOutcome.UNKNOWN
    return error

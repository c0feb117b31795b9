"""The calls of one batch, behind a circuit breaker.

While the service responds, calls begin freely, at most ``concurrency`` at once. After a failure that may be an outage
no call begins until a response arrives. If one arrives to a call in flight, all go on. Otherwise single reads probe the
service, and after a successful probe one call begins, then twice as many with each response. Calls that wait in the
client for ``rate_limit`` or a connection are withdrawn when their turn comes during an outage. So an outage makes only
the calls in flight ``unknown``.

Each call of the client makes one attempt: whether a failed item is sent again is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import Attempt, OmiumError, RateLimitError, WriteOutcome
from .._filters import Filters
from .._models.types import ExecutionPage
from .._outage import Outage
from .._pool import Pool, Stopped
from .._transport.retry import is_outage, is_retryable
from .refusals import key_is_refused

__all__ = ["Calls"]

_log = logging.getLogger("omium_async.batch")

T = TypeVar("T")
R = TypeVar("R")

_MOST_REFUSALS: Final = 8  # of one item while others get responses and none is refused; then it is rejected
_SHORTEST_PAUSE: Final = 0.01  # seconds before an item is sent again, or of the first pause before a probe
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_FIRST_CALLS: Final = 1  # slow start: calls at once after an outage, doubled with each response
_USUAL_LIMIT: Final = 30.0  # seconds for an attempt if nothing else limits it
_LEAST_LIMIT: Final = 1.0


class _Withdrawn(Exception):  # noqa: N818 - a signal
    """The call began no attempt, and must wait for its turn again."""


@attrs.define(eq=False)
class _PermittedCall:
    """A call that may begin.

    :ivar period: the breaker's period in which it was permitted.
    :ivar begun: whether its attempt has begun.
    """

    period: int
    is_write: bool
    begun: bool = False
    stopped: bool = False


class Calls:
    """Makes the calls of one batch.

    :param what: the operation, for log messages.
    """

    def __init__(self, client: Caller, concurrency: int, what: str) -> None:
        options = client.options
        self._client = client
        self._what = what
        self.concurrency = concurrency
        self._first_pause = min(max(options.backoff[0], _SHORTEST_PAUSE), _FIRST_PAUSE)
        self._outage = Outage(what, options.patience, self._first_pause, telemetry=client.telemetry)
        self._writer, self._reader = self._limited(is_write=True), self._limited(is_write=False)
        self._pool: Pool[Any, Any]  # from `each` on
        self._calls: dict[asyncio.Task[Any] | None, _PermittedCall] = {}
        self._waiters: deque[asyncio.Future[int]] = deque()
        self._period = 0  # raised by each failure: calls permitted before it are withdrawn
        self._allowed = concurrency  # calls of this period at once; 0: an outage, no call begins
        self._current = 0  # calls of this period
        self._in_flight = 0
        self._refusals = 0  # of all items
        self._resume_at = 0.0  # a response asked not to send before this time
        self._recovery: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()

    def each(
        self,
        items: Iterable[T] | AsyncIterable[T],
        work: Callable[[int, T], Awaitable[R]],
        workers: int | None = None,
    ) -> AsyncGenerator[R]:
        """Yield the result of ``work`` for each item; it makes its requests by `write` and `read`.

        :param workers: items in work at once; by default ``concurrency``.
        """
        self._pool = Pool(items, work, self.concurrency, workers)
        self._pool.on_stop = self._stop
        return self._pool.results()

    def fail(self, error: Exception) -> None:
        """End the batch with this error."""
        self._pool.fail(error)

    def parked(self) -> contextlib.AbstractContextManager[None]:
        """Let another item take the place of this one during a long wait."""
        return self._pool.parked()

    async def sleep(self, seconds: float) -> None:
        """Sleep.

        :raises Stopped: the batch ends.
        """
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        if self._stopping.is_set():
            raise Stopped

    def write(self, send: Callable[[Caller], Awaitable[T]]) -> Awaitable[T]:
        """Make a write, and repeat it as long as it is certain that it was not applied and may be accepted later.

        :raises OmiumError: the last failure, with all attempts.
        :raises Stopped: the batch ends, and the item was not sent or was refused for now.
        """
        return self._repeat(send, is_write=True)

    def read(self, get: Callable[[Caller], Awaitable[T]]) -> Awaitable[T]:
        """Send a read, and retry it while its error is retryable.

        :raises OmiumError: the last failure.
        :raises Stopped: the batch ends.
        """
        return self._repeat(get, is_write=False)

    async def page(self, _: Caller, page: int, page_size: int, filters: Filters) -> ExecutionPage:
        """Read one page of the list, as `_lists` asks for it."""
        return await self.read(lambda caller: endpoints.page(caller, page, page_size, filters))

    # -- one call ----------------------------------------------------------------------------------------------------

    async def _repeat(self, request: Callable[[Caller], Awaitable[T]], *, is_write: bool) -> T:
        failure: OmiumError | None = None
        alone, refused_at, refusals, pause = 0, 0.0, self._refusals, self._first_pause
        try:
            while True:
                try:
                    return await self._call(request, is_write=is_write)
                except OmiumError as error:
                    failure = _joined(failure, error)
                    if self._outage.answered_at >= refused_at:  # others get responses
                        alone = alone + 1 if self._refusals == refusals else 0  # a rate limit refuses others too
                    if alone >= _MOST_REFUSALS or not self._may_repeat(error):
                        raise
                self._refusals += 1
                refusals, refused_at = self._refusals, time.monotonic()
                seconds = _retry_after(failure) or 0.0
                if self._allowed:  # others get responses; the jitter spreads those that wait as well
                    seconds += random.uniform(pause / 2, pause)  # noqa: S311
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    self._warn(failure, seconds)
                await self.sleep(seconds)
        except Stopped:
            if failure is not None and failure.outcome_unknown:
                raise failure from None
            raise

    def _may_repeat(self, error: OmiumError) -> bool:
        if is_outage(error) and not error.outcome_unknown:
            return True
        options = self._client.options
        is_safe = options.retry_ambiguous_writes or not error.outcome_unknown
        return is_safe and is_retryable(error) and len(error.attempts) <= options.max_retries

    async def _call(self, request: Callable[[Caller], Awaitable[T]], *, is_write: bool) -> T:
        """Send the request once, as soon as a call may begin."""
        task = asyncio.current_task()
        while True:
            call = _PermittedCall(await self._acquire(), is_write)
            self._calls[task] = call
            try:
                if self._stopping.is_set():
                    raise Stopped
                self._excuse_rate_limit()
                found = await request(self._writer if is_write else self._reader)
                self._responded()
            except _Withdrawn:
                continue
            except asyncio.CancelledError:
                if call.stopped and task is not None and not task.uncancel():
                    raise Stopped from None
                raise
            except OmiumError as error:
                if is_outage(error):
                    self._failed(error)
                else:
                    self._responded()
                raise
            finally:
                del self._calls[task]
                self._release(call.period)
            return found

    def _limited(self, *, is_write: bool) -> Caller:
        """The client for one attempt. Waiting for the turn of the attempt has no limit, because it is no outage."""
        options = self._client.options
        limits = [limit for limit in (options.timeout, options.attempt_timeout) if limit is not None]
        patience = _USUAL_LIMIT if options.patience == 0 else options.patience
        if patience is not None and not (is_write and limits):
            limits.append(max(patience, _LEAST_LIMIT) if is_write else patience)
        limit = min(limits, default=None)
        hook = self._before_attempt
        return self._client.with_options(
            attrs.evolve(options, timeout=None, attempt_timeout=limit, max_retries=0, before_attempt=hook)
        )

    def _before_attempt(self) -> None:
        """Called by the client in the task of the call, when nothing holds back the attempt any more."""
        if self._stopping.is_set():
            raise Stopped
        call = self._calls.get(asyncio.current_task())
        if call is None:  # a probe
            return
        if call.period != self._period:
            raise _Withdrawn
        call.begun = True

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

    # -- the breaker -------------------------------------------------------------------------------------------------

    async def _acquire(self) -> int:
        """Wait until one more call may begin, and return its period; in the end comes `_release`.

        :raises Stopped: the batch ends.
        """
        if self._stopping.is_set():
            raise Stopped
        if not self._waiters and self._current < self._allowed and self._in_flight < self.concurrency:
            self._current += 1
            self._in_flight += 1
            return self._period
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._release(waiter.result())
            raise

    def _release(self, period: int) -> None:
        self._in_flight -= 1
        if period == self._period:
            self._current -= 1
        self._wake()

    def _wake(self) -> None:
        """Let as many calls begin as may, the first that waits first."""
        while self._waiters and self._current < self._allowed and self._in_flight < self.concurrency:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._current += 1
                self._in_flight += 1
                waiter.set_result(self._period)

    def _responded(self) -> None:
        """A response to a call of the batch arrived."""
        self._outage.answered()
        if not self._allowed:
            self._resume(self.concurrency)
        elif self._allowed < self.concurrency:
            self._allowed = min(self._allowed * 2, self.concurrency)
            self._wake()

    def _failed(self, error: OmiumError) -> None:
        """A call failed in a way that may be an outage: no call begins until `_resume`."""
        self._period += 1
        self._allowed = self._current = 0
        if not self._stopping.is_set():
            self._note(error, time.monotonic() - (error.attempts[-1].elapsed if error.attempts else 0.0))
            if self._recovery is None or self._recovery.done():
                self._recovery = self._pool.add_helper(self._recover())

    def _resume(self, calls: int) -> None:
        self._allowed = calls
        if self._recovery is not None and self._recovery is not asyncio.current_task():
            self._recovery.cancel()
        self._recovery = None
        self._wake()

    async def _recover(self) -> None:
        """Wait and probe until calls may begin again."""
        while not self._allowed:
            held = self._resume_at - time.monotonic()
            await asyncio.sleep(held if held > 0 else self._outage.pause())
            if isinstance(self._outage.last, RateLimitError) and held > 0:
                break  # it said when to come again: no probe is needed
            self._excuse_rate_limit()
            started = time.monotonic()
            try:
                await endpoints.page(self._reader, 1, 1, Filters())
            except Stopped:
                return
            except OmiumError as error:
                if key_is_refused(error):
                    self.fail(error)
                    return
                if is_outage(error):
                    self._note(error, started)
                    continue
            except Exception as error:  # noqa: BLE001 - such as a client that was closed meanwhile
                self.fail(error)
                return
            break
        self._resume(_FIRST_CALLS)

    # -- patience ----------------------------------------------------------------------------------------------------

    def _note(self, error: OmiumError, started: float) -> None:
        """Count a failure, and end the batch when patience is exceeded."""
        asked = _retry_after(error)
        # A refusal that says when to come again is no outage: it is not announced, and the wait does not count.
        is_held = isinstance(error, RateLimitError) and bool(asked)
        self._outage.record(error, started, announce=not is_held)
        if asked:
            self._resume_at = max(self._resume_at, time.monotonic() + asked)
            self._outage.excuse(time.monotonic() + asked)
        self._check_patience()

    def _excuse_rate_limit(self) -> None:
        if self._outage.lasts and (delay := self._client.rate_limit_delay()):
            self._outage.excuse(time.monotonic() + delay)

    def _check_patience(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self._outage.left()
        if left is None or not self._outage.lasts or self._stopping.is_set():
            return
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._check_patience)
        elif self._outage.last is not None:
            ending = copy.copy(self._outage.last)  # it may also be the error of an item
            ending.__cause__ = self._outage.last.__cause__
            self.fail(ending)

    def _stop(self) -> None:
        """The batch ends: let only the writes in flight finish."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(Stopped())
        for task, call in self._calls.items():
            if task is not None and not (call.is_write and call.begun):
                call.stopped = True
                task.cancel()
        if self._recovery is not None and self._recovery is not asyncio.current_task():
            self._recovery.cancel()


def _joined(earlier: OmiumError | None, error: OmiumError) -> OmiumError:
    """Add the attempts and the unknown outcome of earlier calls for the same item."""
    if earlier is not None:
        first = len(earlier.attempts)
        more = (attrs.evolve(attempt, number=first + attempt.number) for attempt in error.attempts)
        error.attempts = (*earlier.attempts, *more)
        if earlier.outcome_unknown:
            error.outcome = WriteOutcome.UNKNOWN
    return error


def _retry_after(error: OmiumError) -> float | None:
    return error.attempts[-1].retry_after if error.attempts else None

"""The calls of a batch: patient where the service refuses for now, and none while it does not answer at all.

What was not applied, because it was never sent or was refused for now, goes back in line. When nothing but failures has
come since such a call began, there is an *outage*: nothing more is sent, and the first in line looks with one read at a
time whether the service is back. After a good look it goes alone, and only its answer ends the outage; so an outage
costs the batch what was under way when it began, and then one item for each good look that deceived. What waited for
its turn within the client then is called back. Patience bounds attempts, never the wait for a turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._data.codec import InvalidJSONError, decode_json
from .._data.validation import ValidationError
from .._errors import (
    APIConnectionError,
    APIStatusError,
    Attempt,
    AuthenticationError,
    OmiumError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from .._permit import CalledBack
from .._pool.limit import Gate, Limit
from .._pool.pool import Pool, Stopped
from .._streaming.filters import Filters
from .._waiting.outage import Outage
from .callers import Callers

__all__ = ["Marking", "Sending", "is_silence", "key_is_refused", "was_refused_for_good"]

_log = logging.getLogger("omium_async.batch")

T = TypeVar("T")

_MOST_REFUSALS: Final = 8  # of an item, others being answered in between, before it is given up
_NO_ANSWER: Final = frozenset({408, 425, 499})
_SHORTEST_PAUSE: Final = 0.01  # seconds before the next try or look, where the client has no backoff
_FIRST_PAUSE: Final = 0.5  # where it has more
_LONGEST_PAUSE: Final = 15.0  # before the next try of an item that was refused while others are answered


def key_is_refused(error: Exception) -> bool:
    """Whether an answer is about the key: 401, or 403 in JSON. The edge refuses single requests in HTML."""
    if isinstance(error, AuthenticationError):
        return True
    if not isinstance(error, PermissionDeniedError):
        return False
    try:
        decode_json(error.body)
    except InvalidJSONError:
        return False
    except ValidationError:
        return True
    return True


def was_refused_for_good(error: Exception) -> bool:
    """Whether the service refused the item itself, and would again: a 4xx other than 401, 403 and 429."""
    if not isinstance(error, APIStatusError) or error.outcome_unknown:
        return False
    return 400 <= error.status < 500 and error.status not in (401, 403, 425, 429)


def is_silence(error: Exception) -> bool:
    """Whether the service did not answer the question: no connection, no answer in time (as its gateway may say by a
    408 or 499, too), 425, 429 or a 5xx.
    """
    if isinstance(error, APIStatusError):
        return isinstance(error, (ServerError, RateLimitError)) or error.status in _NO_ANSWER
    return isinstance(error, APIConnectionError)


def _may_go_again(error: OmiumError) -> bool:
    """Whether it was not applied, and not because the service cannot do it at all."""
    cannot = isinstance(error, ServerError) and error.status == HTTPStatus.NOT_IMPLEMENTED
    return is_silence(error) and not error.outcome_unknown and not cannot


@attrs.frozen
class _Failed:
    """How a request failed, and whether nothing answers just now."""

    error: OmiumError
    in_outage: bool


class Marking(Protocol):
    """What is recorded before an item is sent."""

    @property
    def fresh(self) -> bool:
        """Whether what was recorded is still true enough."""
        ...

    async def write(self) -> None:
        """Record that the item is about to be sent."""


class Sending:
    """All calls of one batch."""

    def __init__(self, caller: Caller, limit: Limit, what: str, *, gate: Gate | None = None) -> None:
        options = caller.options
        self._what = what
        self._limit = limit
        self._gate = gate
        self._pause = min(max(options.backoff[0], _SHORTEST_PAUSE), _FIRST_PAUSE)
        self._outage = Outage(what, options.patience, self._pause, excuses_asked=True, telemetry=caller.telemetry)
        self._answered_at = 0.0
        self._callers = Callers(caller, self._outage, limit, lambda: self._answered_at)
        self._patience = options.patience
        self._held_since: float | None = None  # nothing but 429s came that ask to wait; without the time asked for
        self._held_until = 0.0
        self._has_scout = False  # whether somebody looks, or goes alone
        self._stopping = asyncio.Event()
        self._line: deque[asyncio.Future[bool]] = deque()
        self._pool: Pool[Any, Any] | None = None

    def serve(self, pool: Pool[Any, Any]) -> None:
        """The calls are those of this pool, which ends with the last failure when patience is over."""
        self._pool = pool
        pool.on_stop = self._stop

    @property
    def caller(self) -> Caller:
        """What writes are made with: what was not applied is sent again from here, and not by the call itself."""
        return self._callers.writer()

    def reader(self) -> Caller:
        """What reads are made with: without retries of its own while nothing answers."""
        return self._callers.reader()

    @property
    def quiet(self) -> bool:
        """Whether nothing answers just now."""
        return self._outage.lasts

    async def call(self, request: Callable[[], Awaitable[T]], marking: Marking | None = None) -> T:
        """Make a call until it is decided what becomes of the item.

        :param marking: written before each request.
        :raises OmiumError: as the last request ended.
        :raises Stopped: the batch is ending, and the item was not sent or was refused for now.
        """
        attempts: tuple[Attempt, ...] = ()
        refusals, refused_at, pause = 0, 0.0, self._pause
        while True:
            found = await self._once(request, marking)
            if not isinstance(found, _Failed):
                return found
            error = found.error
            attempts = error.attempts = _joined(attempts, error.attempts)
            if not _may_go_again(error):
                raise error
            if found.in_outage:
                continue
            refusals += bool(attempts) and self._answered_at >= refused_at
            refused_at = time.monotonic()
            if refusals >= _MOST_REFUSALS:
                raise error
            # Others wait as well: the jitter keeps them from coming back at once.
            seconds = _asked(error) + random.uniform(pause / 2, pause)  # noqa: S311
            self._warn(error, seconds)
            await self._sleep(seconds)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, request: Callable[[], Awaitable[T]], marking: Marking | None) -> T | _Failed:
        """Make the call once, when it is its turn."""
        while True:
            self._check_going_on()
            alone = self._outage.lasts and await self._turn()
            try:
                if marking is not None:
                    await marking.write()
                if self._gate is None:
                    if self._may_go(alone=alone):
                        return await self._request(request, alone=alone)
                    continue
                async with self._gate:
                    if not self._may_go(alone=alone):
                        continue
                    if marking is not None and not marking.fresh:
                        await marking.write()
                        if not self._may_go(alone=alone):
                            continue
                    return await self._request(request, alone=alone)
            except CalledBack:  # while it waited for its turn an outage began, or the batch ended
                continue
            finally:
                if alone:
                    self._hand_over()

    async def _request(self, request: Callable[[], Awaitable[T]], *, alone: bool) -> T | _Failed:
        started = time.monotonic()
        try:
            found = await request()
        except OmiumError as error:
            if is_silence(error):
                return _Failed(error, self._take_silence(error, started))
            self._take_answer(alone=alone)
            return _Failed(error, in_outage=False)
        self._take_answer(alone=alone)
        self._limit.answered(started)
        return found

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

    # -- whose turn it is --------------------------------------------------------------------------------------------

    async def _turn(self) -> bool:
        """Wait while there is an outage. Whether this one goes alone, for a look was good.

        :raises Stopped: the batch is ending.
        """
        while True:
            self._check_going_on()
            if not self._outage.lasts:
                return False
            if self._has_scout and not await self._wait_in_line():
                continue
            self._has_scout = True
            try:
                await self._look_until_answered()
            except BaseException:
                self._hand_over()
                raise
            return True

    async def _look_until_answered(self) -> None:
        held = False  # whether the client's own pace let no look through, which tells nothing of the service
        while self._outage.lasts:  # else it ended just when this one's turn came
            paused = time.monotonic()
            await self._sleep(_FIRST_PAUSE if held else self._outage.pause())
            started = time.monotonic()
            if held:
                self._outage.excuse(paused, started)
            try:
                await endpoints.page(self.reader(), 1, 1, Filters())
            except CalledBack:
                continue
            except OmiumError as error:
                if key_is_refused(error):
                    raise
                if not is_silence(error):
                    return
                self._take_silence(error, started)
                held = not error.attempts
            else:
                return

    def _may_go(self, *, alone: bool) -> bool:
        """Whether it is still its turn, after waiting for the disk and for others to end."""
        self._check_going_on()
        return alone or not self._outage.lasts

    def _check_going_on(self) -> None:
        if self._limit.closed:
            raise Stopped

    async def _wait_in_line(self) -> bool:
        """Wait for the end of the outage, or of the batch, or to be the next who looks: whether it is that."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self._hand_over()
            raise

    def _hand_over(self) -> None:
        """Whoever looked, or went alone, is done; the next in line looks, for one item alone must not hold up all."""
        self._has_scout = self._wake_one(looks=True)

    def _wake_one(self, *, looks: bool) -> bool:
        """Whether there was one."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(looks)
                return True
        return False

    def _wake_all(self) -> None:
        while self._wake_one(looks=False):
            pass

    def _stop(self) -> None:
        self._stopping.set()
        self._wake_all()
        self._callers.call_back()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the batch."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        self._check_going_on()

    # -- what comes back ---------------------------------------------------------------------------------------------

    def _take_answer(self, *, alone: bool) -> None:
        self._answered_at = time.monotonic()
        self._held_since = None
        if alone or not self._outage.lasts:
            self._outage.answered()
            self._wake_all()

    def _take_silence(self, error: OmiumError, started: float) -> bool:
        """Whether there is an outage, or was until the batch was ended for it.

        :param started: when the call began, which may have waited for its turn since.
        """
        if not error.attempts:  # held back by the client's own pace, which tells nothing of the service
            if not self._outage.lasts:
                self._limit.refused(started)
            return self._outage.lasts
        sent = max(started, self._callers.turn())
        if self._outage.lasts:
            return self._bear(error, sent)
        if isinstance(error, RateLimitError):
            self._limit.refused(started)
            if _asked(error):
                return self._hold(error, sent)
        return sent >= self._answered_at and self._bear(error, sent)

    def _bear(self, error: OmiumError, started: float) -> bool:
        try:
            self._outage.failed(error, started)
        except OmiumError:
            self._end(error)
        self._callers.call_back()
        return True

    def _hold(self, error: OmiumError, started: float) -> bool:
        """The service asks to wait: no outage, but patience is for what comes in between. Whether it is over."""
        now, asked = time.monotonic(), _asked(error)
        if self._held_since is None:
            self._held_since = self._held_until = started
        elif self._patience is not None and now - self._held_since >= self._patience:
            self._end(error)
            return True
        self._held_since += max(0.0, now + asked - max(now, self._held_until))
        self._held_until = max(self._held_until, now + asked)
        return False

    def _end(self, error: OmiumError) -> None:
        """Patience is over."""
        if self._pool is None:
            raise error
        self._pool.fail(error)


def _asked(error: OmiumError) -> float:
    """Seconds for which the service asked to be left alone."""
    return (error.attempts[-1].retry_after if error.attempts else None) or 0.0


def _joined(earlier: tuple[Attempt, ...], more: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """All attempts of one item, counted through."""
    first = len(earlier)
    return (*earlier, *(attrs.evolve(attempt, number=first + attempt.number) for attempt in more)) if first else more

"""Outages: how long the service has not responded, how much patience is left, and when to try again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs

from ._caller import Caller
from ._errors import OmiumError
from ._telemetry import Telemetry
from ._transport.retry import is_retryable

__all__ = ["Outage"]

_log = logging.getLogger("omium_async.waiting")

T = TypeVar("T")

_REMINDER: Final = 60.0  # seconds between two warnings
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_GROWTH: Final = 1.5
_SHORTEST_READ: Final = 0.1  # seconds for the last read before patience ends


class Outage:
    """Tracks an outage and the patience that is left.

    :param what: the operation that waits, for log messages: ``wait for execution exec_1``.
    :param patience: seconds from the start of the first request that failed; ``None``: no limit; 0: the first failure
        ends the operation.
    :param first_pause: seconds between the first two attempts, at most half a second; later pauses grow.
    :param deadline: on ``time.monotonic``. Reads end then; a failure after it is raised and is not an outage.
    :param telemetry: is notified when an outage begins.
    :ivar last: the latest failure.
    :ivar answered_at: time of the latest response, on ``time.monotonic``.
    """

    def __init__(
        self,
        what: str,
        patience: float | None,
        first_pause: float = _FIRST_PAUSE,
        *,
        deadline: float | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._what = what
        self._patience = patience
        self._first_pause = min(first_pause, _FIRST_PAUSE)
        self._pause = self._first_pause
        self._deadline = deadline
        self._telemetry = telemetry
        self._excused_until = 0.0
        self._retry_after = 0.0
        self._since: float | None = None
        self._warned_at: float | None = None
        self._turn = asyncio.Lock()
        self.answered_at = 0.0
        self.last: OmiumError | None = None

    @property
    def lasts(self) -> bool:
        """Whether the latest request failed."""
        return self._since is not None

    def left(self) -> float | None:
        """Seconds of patience that are left, below 0 when it is exceeded; ``None``: no limit."""
        if self._patience is None or self._since is None:
            return self._patience
        return self._since + self._patience - time.monotonic()

    # -- what was observed ---------------------------------------------------------------------------------------

    def record(self, error: OmiumError, started: float, *, announce: bool = True) -> None:
        """Count a failed request to the outage.

        :param started: when the request began, on ``time.monotonic``.
        :param announce: log it.
        """
        if self._since is None:
            self._since, self._pause = max(started, self.answered_at), self._first_pause
        self.last = error
        self._retry_after = (error.attempts[-1].retry_after if error.attempts else None) or 0.0
        now = time.monotonic()
        if announce and (self._warned_at is None or now - self._warned_at >= _REMINDER):
            if self._warned_at is None and self._telemetry is not None:
                self._telemetry.outage_began()
            self._warned_at = now
            self._warn(error, max(0.0, now - self._since))

    def failed(self, error: OmiumError, started: float) -> None:
        """Count a failed read, except one that began before the latest response.

        :raises OmiumError: ``error``, if patience is exceeded, or ends before the ``Retry-After`` of the response.
        """
        if started < self.answered_at:
            return
        self.record(error, started)
        left = self.left()
        if left is not None and left <= self._retry_after:
            raise error

    def excuse(self, until: float) -> None:
        """Do not count the time from now to ``until`` (on ``time.monotonic``), unless there is no patience at all."""
        now = time.monotonic()
        if self._since is not None and self._patience != 0:
            self._since += max(0.0, until - max(now, self._excused_until))
            self._excused_until = max(self._excused_until, until)

    def answered(self) -> None:
        """A response came, which ends the outage."""
        self.answered_at = time.monotonic()
        if self._since is None:
            return
        seconds = self.answered_at - self._since
        self._since = None
        if self._warned_at is not None:
            self._warned_at = None
            _log.warning(
                "%s: the service responds again, after %.1f s",
                self._what,
                seconds,
                extra={"omium_waiting": self._what, "omium_outage": seconds},
            )

    def _warn(self, error: OmiumError, seconds: float) -> None:
        left = self.left()
        limit = "without limit" if left is None else f"for at most {max(left, 0):.0f} s more"
        _log.warning(
            "%s: no response for %.1f s (%s); trying again %s",
            self._what,
            seconds,
            error,
            limit,
            extra={"omium_waiting": self._what, "omium_outage": seconds, "omium_error": type(error).__name__},
        )

    # -- trying again ----------------------------------------------------------------------------------------------

    def pause(self) -> float:
        """Seconds until the next attempt: growing, jittered, at least ``Retry-After``, and within patience."""
        pause = max(self._pause * random.uniform(0.8, 1.2), self._retry_after)  # noqa: S311
        self._pause = min(self._pause * _GROWTH, _LONGEST_PAUSE)
        left = self.left()
        return pause if left is None else max(0.0, min(pause, left))

    def limited(self, caller: Caller, seconds: float | None = None) -> Caller:
        """Return ``caller`` for one read: within patience, and without retries while the outage lasts.

        Before an outage, waiting for the client's own ``rate_limit`` uses no patience.

        :param seconds: another limit of the read; ``None``: no other limit.
        """
        left = self.left() or None
        if self._since is not None and self._patience is not None:
            left = max(left or 0.0, _SHORTEST_READ)
        elif left is not None:
            left += caller.rate_limit_delay()
        limits = [limit for limit in (seconds, left) if limit is not None]
        caller = caller.within(min(limits)) if limits else caller
        return caller.with_options(attrs.evolve(caller.options, max_retries=0)) if self.lasts else caller

    def is_held(self, caller: Caller, error: OmiumError) -> bool:
        """Whether the client's own ``rate_limit`` held back a read, which does not begin an outage."""
        may_wait = not self.lasts and self._patience != 0
        return may_wait and not error.attempts and caller.rate_limit_delay() > 0

    async def read(self, caller: Caller, get: Callable[[Caller], Awaitable[T]]) -> T:
        """Return the result of ``get``, which is repeated during an outage.

        :raises OmiumError: an error that is not retryable, or the last failure when patience is exceeded.
        """
        while (found := await self.try_read(caller, get)) is None:
            pass
        return found

    async def try_read(
        self,
        caller: Caller,
        get: Callable[[Caller], Awaitable[T]],
        on_failure: Callable[[OmiumError, float], object] | None = None,
    ) -> T | None:
        """Call ``get`` once. During an outage the callers take turns, each after a pause.

        :param on_failure: receives a failure outside an outage, and when the read began; by default it is `failed`.
        :return: the result; ``None``: it failed in a way that a retry may help.
        :raises OmiumError: as `read`.
        """
        if self.lasts:
            async with self._turn:
                if self.lasts:
                    await asyncio.sleep(self.pause())
                    return await self._try(caller, get, self.failed)
        return await self._try(caller, get, on_failure or self.failed)

    async def _try(
        self,
        caller: Caller,
        get: Callable[[Caller], Awaitable[T]],
        on_failure: Callable[[OmiumError, float], object],
    ) -> T | None:
        started = time.monotonic() + caller.rate_limit_delay()
        try:
            found = await get(self.limited(caller, self._until_deadline()))
        except OmiumError as error:
            if not is_retryable(error) or self._until_deadline() == 0:
                raise
            if self.is_held(caller, error):
                await asyncio.sleep(self.pause())
            else:
                on_failure(error, started)
            return None
        self.answered()
        return found

    def _until_deadline(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

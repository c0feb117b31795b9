"""Pacing: the client's own rate limit, and the pauses that responses ask for, of all event loops of a client."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Final, NamedTuple, Protocol

from .answers import says_what_remains, what_remains
from .attempt import LiveAttempt
from .retry import backoff

MINUTE: Final = 60.0  # seconds: the window of a rate limit, and the longest pause that one response may cause
_HOUR: Final = 3600.0

_log: Final = logging.getLogger("omium_async.transport.pace")


class _Ended(NamedTuple):
    """Requests that ended at nearly the same time.

    :ivar first: when the first of them ended.
    :ivar last: when the last of them ended; until a window later all of them count.
    :ivar number: how many they are.
    """

    first: float
    last: float
    number: int


class RateWindow:
    """At most so many requests in any minute, or any hour.

    A request counts until a whole window after its end. So no window of the server's holds more, whenever each request
    reached it.

    :param most: requests in a window; a number below 1 lengthens the window.
    :param seconds: the length of the window.
    :param grain: seconds within which ended requests are counted together, so that memory does not grow with ``most``.
        They count up to this much longer. 0: each by itself.
    """

    def __init__(self, most: float, seconds: float, grain: float = 0.0) -> None:
        self._most = max(1, int(most))
        self._seconds = max(seconds, seconds / most)
        self._grain = grain
        self._running = 0
        self._ended: deque[_Ended] = deque()
        self._counted = 0  # requests in `_ended`

    def start(self) -> None:
        """Count a request that starts."""
        self._running += 1

    def end(self, now: float, *, sent: bool) -> None:
        """Count the end of a request."""
        self._running -= 1
        if not sent:
            return
        self._counted += 1
        if self._ended and now - self._ended[-1].first < self._grain:
            first, _, number = self._ended.pop()
            self._ended.append(_Ended(first, now, number + 1))
        else:
            self._ended.append(_Ended(now, now, 1))

    def earliest(self, now: float, ahead: int) -> float:
        """Return the earliest time at which a request may start after ``ahead`` others, as far as is known."""
        while self._ended and self._ended[0].last <= now - self._seconds:
            self._counted -= self._ended.popleft().number
        excess = ahead - (self._most - self._running - self._counted)
        if excess < 0:
            return now
        windows, excess = divmod(excess, self._most)
        first = now
        for ended in self._ended:
            if excess < ended.number:
                first = ended.last
                break
            excess -= ended.number
        return first + self._seconds * (windows + 1)


def _windows(rate_limit: float | tuple[float, float] | None) -> tuple[RateWindow, ...]:
    if rate_limit is None:
        return ()
    if not isinstance(rate_limit, tuple):
        return (RateWindow(rate_limit, MINUTE),)
    a_minute, an_hour = rate_limit
    return RateWindow(a_minute, MINUTE), RateWindow(an_hour, _HOUR, _HOUR / 360)


class WaitingCalls(Protocol):
    """The calls of one event loop that wait to begin."""

    @property
    def waiting(self) -> int:
        """Their number."""
        ...

    def pause_soon(self, until: float) -> None:
        """Notify them, from any thread, that the pacer pauses."""
        ...


class Pacer:
    """The rate limit and the pauses of one client. Times are those of ``time.monotonic``.

    It may be used from several threads, and from finalizers while it works itself, so the lock is reentrant.

    :ivar open: whether nothing limits the client; calls then do not ask the pacer.
    """

    def __init__(self, rate_limit: float | tuple[float, float] | None) -> None:
        self._lock = threading.RLock()
        self._windows = _windows(rate_limit)
        self._gates: weakref.WeakSet[WaitingCalls] = weakref.WeakSet()
        self._paused_until = 0.0
        self._pauses = 0  # pauses since the last response other than 429
        self.open = rate_limit is None

    def add(self, gate: WaitingCalls) -> None:
        """Notify a gate of pauses from now on."""
        with self._lock:
            self._gates.add(gate)

    def earliest(self, now: float, *, first: bool) -> float:
        """Return the earliest time at which a call may begin, as far as is known.

        :param first: whether the call goes before all that wait.
        """
        with self._lock:
            if not self._windows:
                return max(now, self._paused_until)
            ahead = 0 if first else sum(gate.waiting for gate in self._gates)
            return max(self._paused_until, self._allowed_at(now, ahead))

    def rate_limit_delay(self) -> float:
        """Return the seconds for which ``rate_limit`` holds back the next request; 0 if it does not."""
        with self._lock:
            now = monotonic()
            return self._allowed_at(now) - now

    def _allowed_at(self, now: float, ahead: int = 0) -> float:
        return max([now, *(window.earliest(now, ahead) for window in self._windows)])

    def start(self, now: float) -> float:
        """Let one call begin, if it may; return the time at which the next one may otherwise, or 0."""
        with self._lock:
            when = self.earliest(now, first=True)
            if when > now:
                return when
            for window in self._windows:
                window.start()
            return 0.0

    def end(self, *, sent: bool) -> None:
        """Count the end of an attempt, or of a call that began none."""
        if self._windows:
            with self._lock:
                now = monotonic()
                for window in self._windows:
                    window.end(now, sent=sent)

    def concerns(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """Whether `learn` has something to do with a response: with most it has not."""
        return not self.open or status == 429 or says_what_remains(headers)

    def learn(
        self, attempt: LiveAttempt, retry_after: float | None, bounds: tuple[float, float], time_left: float
    ) -> None:
        """Pause all calls if a response says so.

        :param retry_after: seconds, as the response gave them.
        :param bounds: of the backoff, which is the pause after a 429 without a time.
        :param time_left: seconds until the call's deadline; a backoff takes at most half of it.
        """
        remaining, reset = what_remains(attempt.headers or {})
        with self._lock:
            now = monotonic()
            if attempt.status == 429:
                chosen = min(backoff(self._pauses, bounds), max(0.0, time_left) / 2)
                pause = retry_after or reset or chosen
                if pause > MINUTE:
                    _warn_of_long_wait(attempt, pause)
                self._pauses += now >= self._paused_until  # other responses arrive late from before the pause
            elif remaining == 0 and reset:
                pause = reset
            else:
                if now >= self._paused_until:
                    self._pauses = 0
                    self.open = not self._windows
                return
            self.open = False
            self._paused_until = max(self._paused_until, now + min(pause, MINUTE))
            for gate in self._gates:
                gate.pause_soon(self._paused_until)


def _warn_of_long_wait(attempt: LiveAttempt, seconds: float) -> None:
    _log.warning(
        "a 429 asks to wait %.0f s: only the call that received it waits so long, other calls pause for %.0f s",
        seconds,
        MINUTE,
        extra={"omium_status": 429, "omium_attempt": attempt.number, "omium_retry_after": seconds},
    )

"""Pacing: the client's own rate limit, and the pauses that responses ask for, of all event loops of a client."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Final, Protocol

from .answers import says_what_remains, what_remains
from .attempt import LiveAttempt
from .retry import backoff

MINUTE: Final = 60.0  # seconds: the window of a rate limit, and the longest pause that one response may cause

_log: Final = logging.getLogger("omium_async.transport.pace")


class RateWindow:
    """At most so many requests in any minute.

    A request counts until a minute after its end. So no minute of the server's holds more, whenever each request
    reached it.

    :param rate_limit: requests per minute.
    """

    def __init__(self, rate_limit: float) -> None:
        self._most = max(1, int(rate_limit))
        self._seconds = max(MINUTE, MINUTE / rate_limit)
        self._running = 0
        self._ended: deque[float] = deque()

    def start(self) -> None:
        """Count a request that starts."""
        self._running += 1

    def end(self, now: float, *, sent: bool) -> None:
        """Count the end of a request."""
        self._running -= 1
        if sent:
            self._ended.append(now)

    def earliest(self, now: float, ahead: int) -> float:
        """Return the earliest time at which a request may start after ``ahead`` others, as far as is known."""
        while self._ended and self._ended[0] <= now - self._seconds:
            self._ended.popleft()
        excess = ahead - (self._most - self._running - len(self._ended))
        if excess < 0:
            return now
        windows, excess = divmod(excess, self._most)
        first = self._ended[excess] if excess < len(self._ended) else now
        return first + self._seconds * (windows + 1)


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

    def __init__(self, rate_limit: float | None) -> None:
        self._lock = threading.RLock()
        self._window = None if rate_limit is None else RateWindow(rate_limit)
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
            if self._window is None:
                return max(now, self._paused_until)
            ahead = 0 if first else sum(gate.waiting for gate in self._gates)
            return max(self._paused_until, self._window.earliest(now, ahead))

    def rate_limit_delay(self) -> float:
        """Return the seconds for which ``rate_limit`` holds back the next request; 0 if it does not."""
        with self._lock:
            now = monotonic()
            return 0.0 if self._window is None else self._window.earliest(now, 0) - now

    def start(self, now: float) -> float:
        """Let one call begin, if it may; return the time at which the next one may otherwise, or 0."""
        with self._lock:
            when = self.earliest(now, first=True)
            if when > now:
                return when
            if self._window is not None:
                self._window.start()
            return 0.0

    def end(self, *, sent: bool) -> None:
        """Count the end of an attempt, or of a call that began none."""
        if self._window is not None:
            with self._lock:
                self._window.end(monotonic(), sent=sent)

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
                    self.open = self._window is None
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

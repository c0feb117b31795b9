"""The gate that all requests of a client pass: never more than allowed a minute, and slower after a 429.

It is shared by all event loops of a client, hence the lock. While nothing limits the client it is ``open`` and a
request passes without entering.

After a 429 nothing starts until the time that the answer asked for; then one probe goes out, and each success lets
more requests be under way at once. What the server accepted between two 429s is what it is taken to allow between the
next two: beyond that number only single requests go out, so that a window costs one 429 and not one a connection.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import attrs

__all__ = ["Pacer", "TooLate"]

MINUTE: Final = 60.0
_CALM: Final = 2 * MINUTE  # without a 429 for so long, what was learned is forgotten
_FIRST_BLOCK: Final = 1.0
_LONGEST_BLOCK: Final = 30.0
_FREE_AGAIN: Final = 64  # requests under way at once after which a recovering gate no longer counts them


class TooLate(Exception):  # noqa: N818 - a signal to the call, which raises what it knows
    """The gate would hold the request past its deadline."""


@attrs.define(eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    granted: asyncio.Future[None]
    deadline: float | None


class Pacer:
    """The gate of one client. Times are those of ``time.monotonic``."""

    def __init__(self, rate_limit: float | None, *, minute: float = MINUTE) -> None:
        self._lock = threading.Lock()
        self._waiters: deque[_Waiter] = deque()
        self._under_way = 0
        # The limit that the user set: at most `_most` in any `_window` seconds.
        self._most = max(1, int(rate_limit)) if rate_limit is not None else None
        self._window = minute if rate_limit is None else max(minute, minute * (self._most or 1) / rate_limit)
        self._ended: deque[float] = deque()
        # What 429s taught.
        self._blocked_until = 0.0
        self._blocks = 0
        self._accepted = 0
        self._allowance: int | None = None
        self._at_once: int | None = None
        self._learned_at = 0.0
        self._allowance_until = 0.0
        self._timer_at: float | None = None
        self.open = self._most is None

    # -- entering and leaving ------------------------------------------------------------------------------------

    async def enter(self, deadline: float | None) -> None:
        """Wait until a request may start. Every entry is followed by one `leave`.

        :raises TooLate: that would be after ``deadline``.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            now = time.monotonic()
            if not self._waiters and self._may_start(now):
                self._start()
                return
            if deadline is not None and self._earliest(len(self._waiters), now) > deadline:
                raise TooLate
            waiter = _Waiter(loop, loop.create_future(), deadline)
            self._waiters.append(waiter)
            self._pump(now)
        await self._wait(waiter)

    async def _wait(self, waiter: _Waiter) -> None:
        deadline = waiter.deadline
        try:
            if deadline is None:
                await waiter.granted
            else:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await waiter.granted
        except BaseException as error:
            self._give_up(waiter)
            if isinstance(error, TimeoutError):
                raise TooLate from None
            raise

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
                self._under_way -= 1  # it was let through at the very moment at which it gave up
            self._pump(time.monotonic())

    def leave(self, status: int | None, headers: Mapping[str, str] | None, retry_after: float | None) -> None:
        """A request that had entered ended: with an answer's status, or with none."""
        with self._lock:
            now = time.monotonic()
            self._under_way -= 1
            if self._most is not None:
                self._ended.append(now)
            if status is not None:
                self._learn(now, status, headers, retry_after, self._under_way)
            self._pump(now)

    def passed(self, status: int, headers: Mapping[str, str], retry_after: float | None, others: int) -> None:
        """A request that passed the open gate was answered with a 429, or with headers that speak of a limit.

        :param others: how many requests are under way besides it.
        """
        with self._lock:
            now = time.monotonic()
            self._learn(now, status, headers, retry_after, others)
            self._pump(now)

    def count_accepted(self) -> None:
        """A request that passed the open gate was accepted. Called without the lock: a lost count does no harm."""
        self._accepted += 1

    # -- rules -----------------------------------------------------------------------------------------------------

    def _may_start(self, now: float) -> bool:
        if now < self._blocked_until:
            return False
        if self._most is not None:
            self._forget_ended(now)
            if self._under_way + len(self._ended) >= self._most:
                return False
        if self._at_once is not None and self._under_way >= self._at_once:
            return False
        if self._allowance is not None and now >= self._allowance_until:
            self._allowance = None
        return self._allowance is None or self._allowance > 0 or self._under_way == 0

    def _start(self) -> None:
        self._under_way += 1
        if self._allowance:
            self._allowance -= 1

    def _forget_ended(self, now: float) -> None:
        # Counted from its end: the server saw the request before that, so that no window of the server's holds more.
        while self._ended and self._ended[0] <= now - self._window:
            self._ended.popleft()

    def _earliest(self, ahead: int, now: float) -> float:
        """The earliest time at which a request with ``ahead`` others before it can start, as far as is known."""
        start = max(now, self._blocked_until)
        if self._most is None:
            return start
        self._forget_ended(now)
        behind = ahead - (self._most - self._under_way - len(self._ended))
        if behind < 0:
            return start
        rounds, behind = divmod(behind, self._most)
        first = self._ended[behind] if behind < len(self._ended) else now
        return max(start, first + self._window * (rounds + 1))

    # -- learning --------------------------------------------------------------------------------------------------

    def _learn(
        self, now: float, status: int, headers: Mapping[str, str] | None, retry_after: float | None, others: int
    ) -> None:
        if status == 429:
            self._block(now, retry_after)
        else:
            self._accepted += 1
            self._blocks = 0
            if self._at_once is not None:
                self._at_once += 1
                if self._at_once > _FREE_AGAIN:
                    self._at_once = None
        if headers is not None:
            self._heed(now, headers, others)
        if now - self._learned_at > _CALM:
            self._allowance = self._at_once = None
        self.open = self._most is None and self._allowance is None and self._at_once is None

    def _block(self, now: float, retry_after: float | None) -> None:
        if now >= self._blocked_until:  # else one of those that were under way when the block began
            self._allowance = self._accepted or None
            self._allowance_until = now + _CALM
            self._accepted = 0
            self._blocks += 1
        if retry_after is None:
            longest = min(_LONGEST_BLOCK, _FIRST_BLOCK * 2.0 ** (self._blocks - 1))
            retry_after = longest / 2 + random.uniform(0, longest / 2)  # noqa: S311
        self._blocked_until = max(self._blocked_until, now + retry_after)
        self._at_once = 1
        self._learned_at = now

    def _heed(self, now: float, headers: Mapping[str, str], others: int) -> None:
        """Start no more than the answer says are left, until the time at which it says that there will be more."""
        remaining, reset = rate_headers(headers)
        if remaining is None or reset is None:
            return
        if remaining <= 0:
            self._blocked_until = max(self._blocked_until, now + reset)
            self._accepted = 0
            self._allowance = None
            self._at_once = self._at_once or 1
            self._learned_at = now
        elif remaining <= others + len(self._waiters):
            left = max(0, remaining - others)
            if self._allowance is None or left < self._allowance:
                self._allowance = left
                self._allowance_until = now + reset
                self._learned_at = now

    # -- letting through -------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Let through who may start, turn away who waits in vain, and come back when time alone opens the gate."""
        while self._waiters and self._may_start(now):
            waiter = self._waiters.popleft()
            if self._tell(waiter, None):
                self._start()
        if self._waiters and now < self._blocked_until:
            for waiter in [w for w in self._waiters if w.deadline is not None and self._blocked_until > w.deadline]:
                self._waiters.remove(waiter)
                self._tell(waiter, TooLate())
        self._arm(now)

    def _tell(self, waiter: _Waiter, error: TooLate | None) -> bool:
        def tell() -> None:
            if not waiter.granted.done():
                if error is None:
                    waiter.granted.set_result(None)
                else:
                    waiter.granted.set_exception(error)
            elif error is None:
                self._refused_grant()

        try:
            waiter.loop.call_soon_threadsafe(tell)
        except RuntimeError:  # its loop is closed: nobody waits there any more
            return False
        return True

    def _refused_grant(self) -> None:
        with self._lock:
            self._under_way -= 1
            self._pump(time.monotonic())

    def _arm(self, now: float) -> None:
        if not self._waiters:
            return
        when = max(self._earliest(0, now), now)
        if when <= now or (self._timer_at is not None and now < self._timer_at <= when):
            return
        self._timer_at = when
        loop = self._waiters[0].loop
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: loop.call_later(when - time.monotonic(), self._timer_fired))

    def _timer_fired(self) -> None:
        with self._lock:
            self._timer_at = None
            self._pump(time.monotonic())


_REMAINING = ("ratelimit-remaining", "x-ratelimit-remaining-minute", "x-ratelimit-remaining")
_RESET = ("ratelimit-reset", "x-ratelimit-reset-minute", "x-ratelimit-reset")


def rate_headers(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
    """How many requests are left and for how many seconds, by the common names; ``None`` for what is not said."""
    remaining = _first_number(headers, _REMAINING)
    reset = _first_number(headers, _RESET)
    if remaining is None and "ratelimit" in headers:  # one header, as drafts of the IETF have it
        fields = dict(re.findall(r"(remaining|reset|[rt])\s*=\s*(\d+)", headers["ratelimit"]))
        remaining = _whole(fields.get("remaining", fields.get("r")))
        reset = _whole(fields.get("reset", fields.get("t")))
    if reset is not None and reset > 10**6:  # some send the time of day as seconds since 1970
        reset = max(0.0, reset - time.time())
    return None if remaining is None else int(remaining), reset


def _first_number(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        found = _whole(headers.get(name))
        if found is not None:
            return found
    return None


def _whole(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,12}(\.\d+)?\s*", text, re.ASCII) else None

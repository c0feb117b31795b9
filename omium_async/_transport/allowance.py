"""What answers teach about how many requests may start now. Pure rules: the times are given, nobody waits here.

After a 429 nothing starts until the time that the answer asked for; then one probe goes out, and each round of
successes lets one more request be under way at once. What the server accepted between two 429s is what it is taken to
allow between the next two (see `cycle`): beyond that number only single requests go out, spaced, so that a window costs
one 429 and not one a connection, and several clients under one limit get by without wearing each other out.
"""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Mapping
from time import time
from typing import Final, NamedTuple

from .answers import http_date
from .cycle import Cycle

__all__ = ["RATE_HEADERS", "Allowance", "Lesson", "rate_headers"]

_FIRST_BLOCK: Final = 1.0
_LONGEST_BLOCK: Final = 30.0
_STRETCHED: Final = 5.0  # seconds, up to which a wait is stretched that was asked for and turned out to be too short
_MOST_STRETCHED: Final = 8.0  # times
_PATIENCE: Final = 5.0  # seconds for which a request without an answer may hold up those behind it
_LEAST_GROWTH: Final = 0.02  # an answer: of those under way at once, while fewer of them than that are refused
_MOST_REFUSED_AGAIN: Final = 2  # in a row; if more are, then the wait of 0 that was asked for is no answer
_FREE_AGAIN: Final = 64  # requests under way at once after which a recovering client no longer counts them


class Lesson(NamedTuple):
    """What the rules learn from one answer.

    :ivar again: whether the call had been refused or had failed before.
    """

    status: int
    headers: Mapping[str, str]
    retry_after: float | None = None
    again: bool = False


class Allowance:
    """How many requests may start, by the limit that the user set and by what answers said.

    :param rate_limit: requests a minute, by the user; ``None``: none.
    :param minute: seconds; tests scale it down.
    :ivar longest_block: seconds for which one answer may hold all requests at most.
    """

    def __init__(self, rate_limit: float | None, minute: float) -> None:
        self._minute = self.longest_block = minute
        # At most `_most` in any `_window` seconds.
        self._most = None if rate_limit is None else max(1, int(rate_limit))
        self._window = minute if rate_limit is None else max(minute, minute / rate_limit)
        self._ended: deque[float] = deque()
        self.blocked_until = 0.0
        self._blocks = 0  # in a row
        self._accepted = 0  # since the last block
        self._cycle = Cycle()
        self._next_at = 0.0  # for a single one beyond what is left
        self._left: int | None = None
        self._left_until = 0.0
        self._headers_speak = False
        self._at_once: float | None = None
        self._free_at: float = _FREE_AGAIN
        self._refused_again = 0  # in a row, although no wait was asked for
        self._learned_at = 0.0
        self._patient_until = 0.0

    @property
    def limits(self) -> bool:
        """Whether anything limits the client at all."""
        return self._most is not None or self._left is not None or self._at_once is not None

    @property
    def probing(self) -> bool:
        """Whether nothing was accepted since a block, and the probe after it was refused as well."""
        return self._blocks > 1

    @property
    def finding_out(self) -> bool:
        """Whether what goes out next is beyond what is known to be allowed."""
        return self._left == 0 and not self._headers_speak

    def permits(self, now: float, under_way: int) -> bool:
        """Whether one more request may start besides those ``under_way``."""
        if now < self.blocked_until:
            return False
        if self._most is not None:
            self._forget_ended(now)
            if under_way + len(self._ended) >= self._most:
                return False
        if now >= self._patient_until:
            return True
        if self._left is not None and now >= self._left_until:
            self._left = None
            if self._headers_speak:  # one probe, whose answer says how many are left now
                self._at_once = 1
        if self._at_once is not None and under_way >= int(self._at_once):
            return False
        return self._left is None or self._left > 0 or (under_way == 0 and now >= self._next_at)

    def look_again_at(self, now: float, under_way: int) -> float:
        """When time alone may permit what is not permitted now."""
        when = self.earliest(now, under_way, 0)
        if when > now:
            return when
        return self._next_at if not under_way and self._next_at > now else max(self._patient_until, now)

    def started(self, now: float) -> None:
        """A request starts."""
        if self._left:
            self._left -= 1
        spacing = 0.0 if self._headers_speak else self._cycle.spacing
        self._next_at = now + spacing
        self._patient_until = now + max(_PATIENCE, spacing)

    def ended(self, now: float) -> None:
        """A request that was counted as started ended.

        It counts from its end: the server saw it before that, so that no window of the server's ever holds more than
        the limit, wherever that window begins.
        """
        if self._most is not None:
            self._ended.append(now)

    def accepted(self, count: int) -> None:
        """So many requests that nothing limited were accepted."""
        self._accepted += count

    def earliest(self, now: float, under_way: int, ahead: int) -> float:
        """The earliest time at which a request with ``ahead`` others before it can start, as far as is known."""
        start = max(now, self.blocked_until)
        if self.finding_out and now < self._left_until:
            start = max(start, self._next_at)
        if self._most is None:
            return start
        self._forget_ended(now)
        behind = ahead - (self._most - under_way - len(self._ended))
        if behind < 0:
            return start
        windows, behind = divmod(behind, self._most)
        first = self._ended[behind] if behind < len(self._ended) else now
        return max(start, first + self._window * (windows + 1))

    def rate_limit_delay(self, now: float, under_way: int) -> float:
        """Seconds for which the given rate limit alone holds back the next request."""
        if self._most is None:
            return 0.0
        self._forget_ended(now)
        if under_way + len(self._ended) < self._most:
            return 0.0
        return (self._ended[0] if self._ended else now) + self._window - now

    def _forget_ended(self, now: float) -> None:
        while self._ended and self._ended[0] <= now - self._window:
            self._ended.popleft()

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(self, now: float, seen: Lesson, under_way: int, waiting: int = 0) -> None:
        """An answer came; ``under_way`` requests are not answered yet, and ``waiting`` more would start at once."""
        remaining, reset = rate_headers(seen.headers)
        if seen.status == 429:
            self._refused(now, seen, reset, under_way)
            return
        self._accepted += 1
        self._refused_again = 0
        if now >= self.blocked_until:  # else one of those that were under way when the block began
            self._blocks = 0
            self._let_more(now)
        if remaining is not None and reset is not None:
            self._heed(now, remaining, reset, under_way, waiting)

    def _refused(self, now: float, seen: Lesson, reset: float | None, under_way: int) -> None:
        # A reset that is over by now says nothing of when to come again.
        wait = (reset or None) if seen.retry_after is None else seen.retry_after
        if seen.retry_after == 0:
            self._refused_again += seen.again
            if self._refused_again <= _MOST_REFUSED_AGAIN:
                self._one_fewer(now, under_way)
                return
            wait = None  # a server that rounds down, for instance
        self._block(now, wait)

    def _let_more(self, now: float) -> None:
        if self._was_calm(now):
            self._left = self._at_once = None
            self._cycle = Cycle()
        elif self._at_once is not None:
            if self.finding_out:
                self._cycle.allowed_more()
            # One more a round, not one an answer: doubling would run into the next 429 with as many under way again.
            self._at_once += max(1 / self._at_once, _LEAST_GROWTH)
            if self._at_once >= self._free_at:
                self._at_once = None

    def _was_calm(self, now: float) -> bool:
        """Whether it is so long ago that anything was learned that it is to be forgotten."""
        return now - self._learned_at > 2 * self._minute

    def _one_fewer(self, now: float, under_way: int) -> None:
        """A 429 that asks for no wait: no window is used up, it is only too many at once, or one that drew a blank.

        With one fewer a refusal, and the growth above, a server that takes so many at once is met at that number, and
        one that refuses one in a hundred at random slows nobody.
        """
        fewest = min(under_way + 1, self._at_once or math.inf) - 1
        self._at_once = max(1.0, fewest)
        self._free_at = max(_FREE_AGAIN, 2 * self._at_once)
        self._learned_at = now

    def _block(self, now: float, asked: float | None) -> None:
        new = now >= self.blocked_until  # else of one that was under way when the block began
        if new:
            if self._was_calm(now):  # no cycle lasts so long: nobody asked meanwhile
                self._blocks, self._cycle = 0, Cycle()
            self._blocks += 1
        seconds = min(self._wait(asked), self.longest_block)
        if new:
            self._cycle.blocked(seconds, now + seconds, self._accepted, told=asked is not None)
            self._left, self._left_until = self._cycle.at_once, now + 2 * self._minute
            self._headers_speak = False
            self._accepted = 0
        self.blocked_until = max(self.blocked_until, now + seconds)
        self._at_once = 1
        self._free_at = _FREE_AGAIN
        self._learned_at = now

    def _wait(self, asked: float | None) -> float:
        """Seconds: those asked for, and more if they were too short the last time; a guess where none are."""
        grown = 2.0 ** min(self._blocks - 1, 9)
        if asked is None:
            longest = min(_LONGEST_BLOCK, _FIRST_BLOCK * grown)
            return random.uniform(longest / 2, longest)  # noqa: S311
        stretched = asked * min(grown, _MOST_STRETCHED)
        return random.uniform(asked, max(asked, min(stretched, _STRETCHED)))  # noqa: S311

    def _heed(self, now: float, remaining: int, reset: float, under_way: int, waiting: int) -> None:
        """Start no more than the answer says are left, until the time at which it says that there will be more."""
        # Limits by the day show in a 429 soon enough; a wrong header must not stop all.
        reset = min(reset, self._minute)
        left = max(0, remaining - under_way)
        if remaining <= 0:
            if now + reset > self.blocked_until:
                self.blocked_until = now + reset
                self._left = None
            self._headers_speak = True
            self._at_once = self._at_once or 1
            self._accepted = 0
            self._learned_at = now
        elif left > _FREE_AGAIN + waiting:  # nothing to count before few are left
            if now >= self.blocked_until:
                self._left = self._at_once = None
        elif self._left is None or left < self._left:
            self._left, self._left_until = left, now + reset
            self._headers_speak = True
            self._learned_at = now


# -- what the headers of answers say -----------------------------------------------------------------------------------

_REMAINING: Final = ("ratelimit-remaining", "x-ratelimit-remaining-minute", "x-ratelimit-remaining")
_RESET: Final = ("ratelimit-reset", "x-ratelimit-reset-minute", "x-ratelimit-reset")
RATE_HEADERS: Final = (*_REMAINING, "ratelimit")


def rate_headers(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
    """How many requests are left and for how many seconds, by the common names; ``None`` for what is not said."""
    remaining = _first_number(headers, _REMAINING)
    reset = _first_number(headers, _RESET)
    if remaining is None and "ratelimit" in headers:  # one header, as drafts of the IETF have it
        fields = dict(re.findall(r"(remaining|reset|[rt])\s*=\s*(\d+)", headers["ratelimit"]))
        remaining = _number(fields.get("remaining", fields.get("r")))
        reset = _number(fields.get("reset", fields.get("t")))
    if reset is not None and reset > 10**6:  # some send the time of day as seconds since 1970
        reset = max(0.0, reset - time())
    if reset is None and "x-ratelimit-remaining-minute" in headers:
        reset = _to_next_minute(headers.get("date"))
    return None if remaining is None else int(remaining), reset


def _first_number(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        found = _number(headers.get(name))
        if found is not None:
            return found
    return None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,12}(\.\d+)?\s*", text, re.ASCII) else None


def _to_next_minute(date: str | None) -> float | None:
    """Kong counts by the minute of the clock; the answer's own date says how much of it is left."""
    moment = None if date is None else http_date(date)
    return None if moment is None else 60.0 - moment.second

"""How long to wait, how often to look, and for which statuses."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final, Self

import attrs

from .. import _arguments as check

__all__ = ["Pace", "Polling"]

_GROWTH: Final = 1.5
_LONGEST_OF_GIVEN: Final = 4
_SECONDS_PER_REQUEST: Final = 0.5  # of a look that takes many: the service counts requests, and may charge for them


@attrs.frozen
class Polling:
    """The arguments of ``wait``, checked; the time counts from `begin`.

    :ivar timeout: seconds in all; 0: one look; ``None``: no bound.
    :ivar interval: the first and the longest pause between two looks, in seconds.
    :ivar per_request: seconds that each request of a look adds to the pause after it, up to the longest.
    :ivar until: the statuses waited for.
    :ivar deadline: of ``time.monotonic``; ``None``: not begun, or no bound.
    """

    timeout: float | None
    interval: tuple[float, float]
    per_request: float
    until: frozenset[str]
    deadline: float | None = None

    @classmethod
    def of(cls, timeout: Any, poll_interval: Any, until: Any, default: tuple[float, float]) -> Self:
        """Check them.

        :param default: of ``poll_interval``, the first and the longest.
        :raises TypeError: of the wrong kind.
        :raises ValueError: out of range.
        """
        bound = check.seconds(timeout, "timeout", zero=True)
        first = check.seconds(poll_interval, "poll_interval", zero=False)
        statuses = check.known_statuses(until, "until")
        if first is None:
            return cls(bound, default, _SECONDS_PER_REQUEST, statuses)
        return cls(bound, (first, first * _LONGEST_OF_GIVEN), 0.0, statuses)

    @property
    def once(self) -> bool:
        """Whether there is to be one look, and no wait."""
        return self.timeout == 0

    def begin(self) -> Self:
        """The same with the time running from now on; the look of a ``timeout`` of 0 takes what it takes."""
        return self if not self.timeout else attrs.evolve(self, deadline=time.monotonic() + self.timeout)

    def left(self) -> float | None:
        """Seconds until the deadline, at least 0; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    async def sleep(self, seconds: float) -> bool:
        """Sleep, but not past the deadline; whether there is time left."""
        if self.once:
            return False
        left = self.left()
        if left is None or seconds < left:
            await asyncio.sleep(seconds)
            return True
        await asyncio.sleep(left)
        return False

    def missed(self) -> str:
        """What did not happen in time, for messages."""
        wanted = f"come to one of {', '.join(sorted(self.until))}"
        if self.once:
            return f"had not {wanted} at the one look that timeout=0 asks for"
        return f"did not {wanted} within {self.timeout:g} s"


class Pace:
    """The time between looks: growing while nothing moves, and jittered so that many waiters do not look at once."""

    def __init__(self, polling: Polling) -> None:
        self._first, self._longest = polling.interval
        self._per_request = polling.per_request
        self._interval = self._first

    def next(self, *, moved: bool = False, requests: int = 1) -> float:
        """Seconds until the next look.

        :param moved: whether the last one saw a change: what just moved is likely to move again soon.
        :param requests: how many the last one took without a result.
        """
        if moved:
            self._interval = self._first
        least = min(requests * self._per_request, self._longest)
        pause = max(self._interval * random.uniform(0.8, 1.2), least)  # noqa: S311
        self._interval = min(self._interval * _GROWTH, self._longest)
        return pause

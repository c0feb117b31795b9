"""How long to wait, how often to look, and for which statuses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Any, Final, Self

import attrs

from .._arguments import seconds

__all__ = ["Pace", "Polling"]

_FIRST: Final = 0.5
_LONGEST: Final = 10.0
_GROWTH: Final = 1.5
_LONGEST_OF_GIVEN: Final = 4
_SECONDS_PER_REQUEST: Final = 0.5  # of a look that takes many: the service counts requests, and may charge for them


@attrs.frozen
class Polling:
    """The arguments of ``wait``, checked; the time counts from `begin`."""

    timeout: float | None
    interval: float | None
    until: frozenset[str]
    deadline: float | None = None  # of time.monotonic

    @classmethod
    def of(cls, timeout: Any, poll_interval: Any, until: Iterable[str]) -> Self:
        """Check them.

        :raises TypeError: of the wrong kind. :raises ValueError: out of range.
        """
        bound = seconds(timeout, "timeout", zero=True)
        interval = seconds(poll_interval, "poll_interval", zero=False)
        statuses: frozenset[Any] = frozenset([until] if isinstance(until, str) else until)
        if not statuses or not all(isinstance(status, str) for status in statuses):
            raise ValueError("until must name at least one status, each as text")
        return cls(bound, interval, statuses)

    def begin(self) -> Self:
        """The same with the time running from now on."""
        return self if self.timeout is None else attrs.evolve(self, deadline=time.monotonic() + self.timeout)

    def left(self) -> float | None:
        """Seconds until the deadline, at least 0; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    async def sleep(self, seconds: float) -> bool:
        """Sleep, but not past the deadline; whether there is time left."""
        left = self.left()
        if left is None or seconds < left:
            await asyncio.sleep(seconds)
            return True
        await asyncio.sleep(left)
        return False

    def in_words(self) -> str:
        """What is waited for, for messages."""
        return "one of " + ", ".join(sorted(self.until))


class Pace:
    """The time between looks: growing while nothing moves, and jittered so that many waiters do not look at once."""

    def __init__(self, polling: Polling) -> None:
        given = polling.interval
        self._first = _FIRST if given is None else given
        self._longest = _LONGEST if given is None else given * _LONGEST_OF_GIVEN
        self._per_request = _SECONDS_PER_REQUEST if given is None else 0.0
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

"""The time-outs of attempts: one timer for all attempts of an event loop.

A timer an attempt, as aiohttp and ``asyncio.timeout`` have it, costs a tenth of a call, and nearly none ever rings.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import current_task
from time import monotonic
from typing import Final

from .attempt import LiveAttempt

__all__ = ["LONGEST_PAUSE", "Alarms"]

LONGEST_PAUSE: Final = 1e8  # seconds, three years; event loops cannot count much further
_AT_MOST_EVERY: Final = 0.01  # seconds; alarms that are due within this time ring together


class Alarms:
    """The alarms of one event loop: when the time of an attempt is over, its task is cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set: set[LiveAttempt] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def set(self, attempt: LiveAttempt, when: float) -> None:
        """Let ``attempt``, which the running task makes, end at ``when``; to be given to `stop` in the end.

        :param when: by ``time.monotonic``; infinity: never.
        :raises RuntimeError: no task is running that could be ended.
        """
        attempt.when = when
        attempt.task = task = current_task(self._loop)
        if task is None:
            raise RuntimeError(
                "a call must be awaited within a task, which is what its timeout ends: start it by asyncio.run, "
                "asyncio.create_task or loop.run_until_complete"
            )
        attempt.cancelling = task.cancelling()
        self._set.add(attempt)
        if when < self._next:
            self._wind(when)

    def stop(self, attempt: LiveAttempt) -> None:
        """It is over. The attempt forgets its task, whose context may know the attempt: a circle."""
        self._set.discard(attempt)
        attempt.task = None

    def _wind(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = self._loop.call_later(max(0.0, when - monotonic()), self._ring)

    def _ring(self) -> None:
        now = monotonic()
        self._timer, self._next = None, math.inf
        for attempt in [attempt for attempt in self._set if attempt.when <= now]:
            self._set.discard(attempt)
            attempt.ring()
        when = min((attempt.when for attempt in self._set), default=math.inf)
        if when < math.inf:
            self._wind(max(when, now + _AT_MOST_EVERY))

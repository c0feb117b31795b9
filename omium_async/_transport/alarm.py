"""The time-outs of attempts: one timer for all attempts of an event loop.

A timer an attempt, as aiohttp and ``asyncio.timeout`` have it, costs a tenth of a call, and nearly none ever rings.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import current_task
from time import monotonic
from typing import Final

__all__ = ["LONGEST_PAUSE", "Alarm", "Alarms"]

LONGEST_PAUSE: Final = 1e8  # seconds, three years; event loops cannot count much further
_AT_MOST_EVERY: Final = 0.01  # seconds; alarms that are due within this time ring together


class Alarm:
    """The time-out of one attempt: when it rings, the attempt's task is cancelled. `Alarms.set` fills it in.

    :ivar when: it rings, by ``time.monotonic``. :ivar task: ``None`` once the attempt is over. :ivar cancelling: how
        often the task was asked to end before that. :ivar rang: it did, and nobody has asked why yet.
    """

    __slots__ = ("cancelling", "rang", "task", "when")

    when: float
    task: asyncio.Task[object] | None
    cancelling: int
    rang: bool

    def ring(self) -> None:
        """The time is over. The task waits within its attempt, for it stops its alarm in the step that leaves it."""
        if self.task is not None:
            self.rang = True
            self.task.cancel()

    def was_all(self) -> bool:
        """Whether the cancellation that ended the attempt was this alarm's and nobody else's; to be asked once."""
        if not self.rang or self.task is None:
            return False
        self.rang = False
        return self.task.uncancel() <= self.cancelling


class Alarms:
    """The alarms of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set: set[Alarm] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def set(self, alarm: Alarm, when: float) -> None:
        """Let ``alarm`` ring for the running task at ``when``; to be given to `stop` in the end.

        :param when: by ``time.monotonic``; infinity: never.
        """
        alarm.when = when
        alarm.rang = False
        alarm.task = task = current_task(self._loop)
        if task is None:
            raise RuntimeError("calls are made within a task, as asyncio.run and create_task make them")
        alarm.cancelling = task.cancelling()
        self._set.add(alarm)
        if when < self._next:
            self._wind(when)

    def stop(self, alarm: Alarm) -> None:
        """The attempt is over. The alarm forgets its task, whose context may know the alarm: a circle."""
        self._set.discard(alarm)
        alarm.task = None

    def _wind(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = self._loop.call_later(max(0.0, when - monotonic()), self._ring)

    def _ring(self) -> None:
        now = monotonic()
        self._timer, self._next = None, math.inf
        for alarm in [alarm for alarm in self._set if alarm.when <= now]:
            self._set.discard(alarm)
            alarm.ring()
        when = min((alarm.when for alarm in self._set), default=math.inf)
        if when < math.inf:
            self._wind(max(when, now + _AT_MOST_EVERY))

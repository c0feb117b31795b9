"""The time-outs of attempts: one timer for all attempts of an event loop.

A timer an attempt, as aiohttp and ``asyncio.timeout`` have it, costs a tenth of a call, and nearly none ever rings.
"""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["Alarm", "Alarms"]

_AT_MOST_EVERY: Final = 0.01  # seconds; alarms that are due within this time ring together


class Alarm:
    """The time-out of one attempt: when it rings, the attempt's task is cancelled."""

    __slots__ = ("_cancelling", "rang", "task", "when")

    def __init__(self, task: asyncio.Task[object], when: float) -> None:
        self.task = task
        self.when = when
        self.rang = False
        self._cancelling = task.cancelling()

    def ring(self) -> None:
        """The time is over. The task waits within its attempt, for it stops its alarm in the step that leaves it."""
        self.rang = True
        self.task.cancel()

    def was_all(self) -> bool:
        """Whether the cancellation that ended the attempt was this alarm's and nobody else's; to be asked once."""
        if not self.rang:
            return False
        self.rang = False
        return self.task.uncancel() <= self._cancelling


class Alarms:
    """The alarms of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set: set[Alarm] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = float("inf")

    def set(self, seconds: float) -> Alarm:
        """An alarm for the running task; to be given to `stop` in the end."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("calls are made within a task, as asyncio.run and create_task make them")
        alarm = Alarm(task, self._loop.time() + seconds)
        self._set.add(alarm)
        if alarm.when < self._next:
            self._wind(alarm.when)
        return alarm

    def stop(self, alarm: Alarm) -> None:
        """The attempt is over."""
        self._set.discard(alarm)

    def _wind(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        self._timer, self._next = None, float("inf")
        for alarm in [alarm for alarm in self._set if alarm.when <= now]:
            self._set.discard(alarm)
            alarm.ring()
        if self._set:
            self._wind(max(min(alarm.when for alarm in self._set), now + _AT_MOST_EVERY))

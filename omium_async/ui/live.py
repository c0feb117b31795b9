"""One poll for all tabs: what pages look at is asked for while somebody looks, and no longer.

Each thing that pages show is one `Watch`, however many tabs show it. A look keeps it awake for `LOOK` seconds; then its
task is cancelled, also in the middle of a request. What was known stays, with the moment at which it was true.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from omium_async import AuthenticationError, OmiumError, PermissionDeniedError, RateLimitError

from .meter import Meter

__all__ = ["Live", "Pace", "Watch", "longest_failing"]

T = TypeVar("T")

LOOK: Final = 4.0  # a page that is looked at looks again every 2 seconds; nothing is asked 5 seconds after the last
_AFTER_FAILURE: Final = 5.0
_AFTER_REFUSAL: Final = 30.0
_LONGEST_HOLD: Final = 3600.0
_ENDED: Final = 54.0  # seconds until the answer of the next look at what does not change any more by itself
_KEPT: Final = 32

_log = logging.getLogger("omium_async.ui")


@attrs.frozen
class Pace:
    """Seconds from one question to the next.

    :ivar quick: at least, after a change.
    :ivar slow: until the answer of the next, while nothing changes.
    :ivar each_request: after a change at least so many for each request that the question took.
    """

    quick: float
    slow: float
    each_request: float


class Watch(Generic[T]):
    """One thing that pages look at: its last known value, and a task that asks anew while somebody looks."""

    def __init__(self, ask: Callable[[], Awaitable[T]], pace: Pace, meter: Meter) -> None:
        self.value: T | None = None
        self.as_of: datetime | None = None
        self.error: Exception | None = None
        self.failing_since: datetime | None = None
        self.interval = pace.quick
        self.cost = 1
        self.on_change: Callable[[], object] | None = None
        self.has_ended: Callable[[T], bool] = lambda _: False
        self.true_at: Callable[[T], datetime] = lambda _: datetime.now(UTC)  # all of a value that was just read
        self.kept: dict[str, Any] = {}  # what a page made of the value, for its next look
        self._ask = ask
        self._pace = pace
        self._meter = meter
        self._asked = 0.0  # when the last question began, by the monotonic clock
        self._spent: deque[tuple[float, int]] = deque(maxlen=64)  # when it asked last, and what it took
        self._answers = 0
        self._answered = asyncio.Event()
        self._wake = asyncio.Event()
        self._now = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_the_last_minute(self) -> int:
        """Requests that it took."""
        since = time.monotonic() - 60
        return sum(requests for when, requests in self._spent if when > since)

    @property
    def due_in(self) -> float:
        """Seconds until it is asked for again."""
        return max(0.0, self._asked + self.interval - time.monotonic())

    @property
    def awake(self) -> bool:
        """Whether somebody looks at it."""
        return self._task is not None

    def look(self) -> None:
        """Somebody looks at it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LOOK, self.stop)
        if self._task is None:
            self._no_later()
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Nobody looks at it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def soon(self) -> None:
        """Something may have changed: ask at once."""
        self._now = True
        self._wake.set()

    def hurry(self) -> None:
        """Something else has changed: ask as soon as its pace allows, at once where that costs nothing."""
        self.interval = min(self.interval, self._quick() if self.cost else 0.01)
        self._wake.set()

    async def settle(self, seconds: float) -> None:
        """Wait until it has a value that is not older than it may be, or has failed; at most so many seconds."""
        if self.value is not None and time.monotonic() - self._asked < self._pace.slow:
            return
        if self.error is not None and self.due_in:
            return  # it failed a moment ago: it is not asked now, and what is known is shown
        self._no_later()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                before = self._answers
                while self._answers == before:
                    await self._answered.wait()

    def _no_later(self) -> None:
        """Somebody comes to look: what has ended may have been replayed elsewhere."""
        if self.error is None and self.interval > self._pace.slow:
            self.interval = self._pace.slow
            self._wake.set()

    async def _run(self) -> None:
        while True:
            unheard = self.value is None and self.error is None
            if unheard or self.due_in == 0 or self._now:
                self._now = False
                await self._once()
            self._wake.clear()
            if self._now:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self.due_in, 0.01)):
                    await self._wake.wait()

    async def _once(self) -> None:
        self._asked = time.monotonic()
        with self._meter.counting() as cost:
            try:
                value = await self._ask()
            except (OmiumError, ValueError, TypeError) as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - a defect of the console's own must show, and not end the page
                _log.exception("the console could not read what a page shows")
                self._failed(error)
            else:
                self.cost = cost.requests
                self._took(value)
            finally:
                self._spent.append((self._asked, cost.requests))
        self._answers += 1
        self._answered.set()
        self._answered = asyncio.Event()

    def _took(self, value: T) -> None:
        first, changed = self.value is None, value != self.value
        recovered = self.failing_since is not None
        self.value, self.as_of = value, self.true_at(value)
        self.error, self.failing_since = None, None
        quick = self._quick()
        slow = _ENDED if self.has_ended(value) else self._pace.slow
        slow = max(slow - (time.monotonic() - self._asked), quick)  # the next may take as long as this one
        self.interval = quick if changed and not first else min(max(self.interval, quick) * 2, slow)
        if (changed or recovered) and self.on_change is not None:
            self.on_change()

    def _quick(self) -> float:
        return max(self._pace.quick, min(self.cost * self._pace.each_request, self._pace.slow))

    def _failed(self, error: Exception) -> None:
        self.error = error
        self.failing_since = self.failing_since or datetime.now(UTC)
        refused = isinstance(error, AuthenticationError | PermissionDeniedError)
        self.interval = _AFTER_REFUSAL if refused else _AFTER_FAILURE
        if isinstance(error, RateLimitError) and error.retry_after is not None:
            self.interval = max(self.interval, min(error.retry_after, _LONGEST_HOLD))


class Live:
    """All that pages look at."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._watches: dict[Hashable, Watch[Any]] = {}

    def look(self, key: Hashable, asking: Callable[[], Callable[[], Awaitable[T]]], pace: Pace) -> Watch[T]:
        """The watch of that key, kept awake by each look; what it is to ask is made at the first."""
        found = self._watches.pop(key, None)
        watch: Watch[T] = Watch(asking(), pace, self._meter) if found is None else cast("Watch[T]", found)
        self._watches[key] = watch  # the one looked at last is the last
        watch.look()
        self._forget()
        return watch

    def known(self, key: Hashable) -> Watch[Any] | None:
        """The watch of that key, without a look at it."""
        return self._watches.get(key)

    def awake(self) -> list[Watch[Any]]:
        """What is looked at now."""
        return [watch for watch in self._watches.values() if watch.awake]

    def failing(self) -> Watch[Any] | None:
        """What is looked at now and has failed for longest, if anything has."""
        return longest_failing(self.awake())

    def soon(self) -> None:
        """Something was written: whatever is looked at is asked for at once."""
        for watch in self.awake():
            watch.soon()

    def close(self) -> None:
        """Ask for nothing more."""
        for watch in self._watches.values():
            watch.stop()

    def _forget(self) -> None:
        asleep = [key for key, watch in self._watches.items() if not watch.awake]
        for key in asleep[: max(0, len(self._watches) - _KEPT)]:
            del self._watches[key]


def longest_failing(watches: Iterable[Watch[Any]]) -> Watch[Any] | None:
    """The watch that has failed for longest, ``None`` if none fails."""
    failing = [(watch.failing_since, watch) for watch in watches if watch.failing_since is not None]
    return min(failing, key=lambda pair: pair[0])[1] if failing else None

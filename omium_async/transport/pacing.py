"""The gate that all requests of a client pass: never more than allowed a minute, and slower after a 429.

It is shared by all event loops of a client, hence the lock, and by the finalizers of calls that were thrown away
half-way, which may run at any moment in the same thread: hence one that can be taken again. While nothing limits the
client the gate is ``open`` and a request passes without entering. `Allowance` has the rules; here calls wait.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import attrs

from .allowance import Allowance

__all__ = ["Pacer", "TooLate"]

MINUTE: Final = 60.0


class TooLate(Exception):  # noqa: N818 - a signal to the call, which raises what it knows
    """The gate would hold the request past its deadline."""


@attrs.define(eq=False)
class _Waiter:
    """A call in line; ``outcome`` becomes whether it may go."""

    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[bool]
    deadline: float | None
    granted: bool = False


class Pacer:
    """The gate of one client. Times are those of ``time.monotonic``."""

    def __init__(self, rate_limit: float | None, *, minute: float = MINUTE) -> None:
        self._lock = threading.RLock()
        self._rules = Allowance(rate_limit, minute)
        self._line: OrderedDict[_Waiter, None] = OrderedDict()
        self._waiting: Counter[asyncio.AbstractEventLoop] = Counter()
        self._under_way: Counter[asyncio.AbstractEventLoop] = Counter()
        self._alarms: dict[asyncio.AbstractEventLoop, float] = {}
        self._closed = False
        self.open = not self._rules.limits

    # -- entering and leaving --------------------------------------------------------------------------------------

    def check(self, deadline: float | None) -> None:
        """Look whether there is sense in waiting.

        :raises TooLate: a request could not start before ``deadline``.
        """
        if deadline is None:
            return
        with self._lock:
            if self._rules.earliest(time.monotonic(), self._count(), len(self._line)) > deadline:
                raise TooLate

    async def enter(self, deadline: float | None) -> None:
        """Wait until a request may start. Every entry is followed by one `leave`.

        :raises TooLate: that would be after ``deadline``.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            now = time.monotonic()
            if not self._line and self._rules.permits(now, self._count()):
                self._start(loop, now)
                return
            self.check(deadline)
            if self._closed:
                self._start(loop, now)
                return
            waiter = _Waiter(loop, loop.create_future(), deadline)
            self._line[waiter] = None
            self._waiting[loop] += 1
            self._pump(now)
        await self._wait(waiter)

    async def _wait(self, waiter: _Waiter) -> None:
        seconds = None if waiter.deadline is None else max(0.0, waiter.deadline - time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                may_go = await waiter.outcome
        except BaseException as error:
            with self._lock:
                if waiter.granted:
                    self._end(waiter.loop)  # it was let through at the very moment at which it gave up
                self._drop(waiter)
                self._pump(time.monotonic())
            if isinstance(error, TimeoutError):
                raise TooLate from None
            raise
        if not may_go:
            raise TooLate

    def leave(
        self,
        loop: asyncio.AbstractEventLoop,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """A request that had entered on ``loop`` ended: with an answer's status, or with none."""
        with self._lock:
            now = time.monotonic()
            self._end(loop)
            self._rules.ended(now)
            if status is not None:
                self._learn(now, status, headers or {}, retry_after, self._count())
            self._pump(now)

    def passed(self, status: int, headers: Mapping[str, str], retry_after: float | None, busy: int) -> None:
        """A request that passed the open gate was answered with a 429, or with headers that speak of a limit.

        :param busy: how many calls of its loop are under way or wait here.
        """
        with self._lock:
            now = time.monotonic()
            self._learn(now, status, headers, retry_after, max(0, busy - len(self._line)))
            self._pump(now)

    def accepted(self) -> None:
        """A request that passed the open gate was accepted."""
        self._rules.accepted()

    def close(self) -> None:
        """Let all who wait through, for the client is closed and each shall find that out by itself."""
        with self._lock:
            self._closed = True
            while self._line:
                self._grant(next(iter(self._line)), time.monotonic())

    # -- counting ----------------------------------------------------------------------------------------------------

    def _count(self) -> int:
        """How many requests are under way. Those of a loop that died will not come back to say that they ended."""
        if len(self._under_way) == 1 and not next(iter(self._under_way)).is_closed():
            return next(iter(self._under_way.values()))
        for loop in [loop for loop in self._under_way if loop.is_closed()]:
            del self._under_way[loop]
        return self._under_way.total()

    def _start(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._under_way[loop] += 1
        self._rules.started(now)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        _one_less(self._under_way, loop)

    def _learn(
        self, now: float, status: int, headers: Mapping[str, str], retry_after: float | None, under_way: int
    ) -> None:
        before = self._rules.blocked_until
        self._rules.learn(now, status, headers, retry_after, under_way)
        self.open = not self._rules.limits
        if self._rules.blocked_until > before:
            until = self._rules.blocked_until
            for waiter in [w for w in self._line if w.deadline is not None and w.deadline < until]:
                self._drop(waiter)
                self._tell(waiter, may_go=False)

    # -- letting through -----------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Let through who may start, and come back when time alone opens the gate."""
        while self._line and self._rules.permits(now, self._count()):
            self._grant(next(iter(self._line)), now)
        if self._line:
            self._set_alarms(now)

    def _grant(self, waiter: _Waiter, now: float) -> None:
        self._drop(waiter)
        waiter.granted = self._tell(waiter, may_go=True)
        if waiter.granted:
            self._start(waiter.loop, now)

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in self._line:
            del self._line[waiter]
            _one_less(self._waiting, waiter.loop)

    def _tell(self, waiter: _Waiter, *, may_go: bool) -> bool:
        """Tell a call; ``False`` where its loop is closed and nobody waits any more."""

        def tell() -> None:
            if not waiter.outcome.done():
                waiter.outcome.set_result(may_go)

        try:
            waiter.loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return False
        return True

    def _set_alarms(self, now: float) -> None:
        """Each loop on which calls wait has an alarm of its own, for any of them may end at any time."""
        when = self._rules.look_again_at(now, self._count())
        for loop in [loop for loop in self._alarms if loop.is_closed()]:
            del self._alarms[loop]
        for loop in [loop for loop in self._waiting if self._alarms.get(loop, math.inf) > when]:
            self._alarms[loop] = when
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._set_alarm, loop, when)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        loop.call_later(max(0.0, when - time.monotonic()), self._alarm, loop)

    def _alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._alarms.pop(loop, None)
            self._pump(time.monotonic())


def _one_less(counter: Counter[asyncio.AbstractEventLoop], loop: asyncio.AbstractEventLoop) -> None:
    counter[loop] -= 1
    if counter[loop] <= 0:
        del counter[loop]

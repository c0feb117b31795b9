"""The gate that all requests of a client pass: never more than allowed a minute, and slower after a 429.

It is shared by all event loops of a client, hence the lock, and by the finalizers of calls that were thrown away
half-way, which may run at any moment in the same thread: hence one that can be taken again. While nothing limits the
client the gate is ``open`` and a request passes without entering. `Allowance` has the rules; here calls wait.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import Final

import attrs

from .alarm import LONGEST_PAUSE
from .allowance import Allowance, Lesson
from .attempt import LiveAttempt
from .slots import Slots

__all__ = ["Pacer", "TooLate"]

MINUTE: Final = 60.0

_log: Final = logging.getLogger("omium_async.transport.pace")


class TooLate(Exception):  # noqa: N818 - a signal to the call, which raises what it knows
    """The gate would hold the request past its deadline."""


@attrs.define(eq=False)
class _Waiter:
    """A call in line, with so many attempts behind it; ``outcome`` becomes whether it may go."""

    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[bool]
    deadline: float | None
    attempts: int


class Pacer:
    """The gate of one client, passed by calls that hold a slot. Times are those of ``time.monotonic``.

    :ivar open: whether nothing limits the client.
    :ivar longest_block: seconds for which one answer may hold all calls at most.
    """

    def __init__(self, rate_limit: float | None, *, minute: float = MINUTE) -> None:
        self._lock = threading.RLock()
        self._rules = Allowance(rate_limit, minute)
        self.longest_block = self._rules.longest_block
        self._line: OrderedDict[_Waiter, None] = OrderedDict()
        self._waiting: Counter[asyncio.AbstractEventLoop] = Counter()
        self._slots: dict[asyncio.AbstractEventLoop, Slots] = {}
        self._alarms: dict[asyncio.AbstractEventLoop, float] = {}
        self._closed = False
        self.open = not self._rules.limits
        self.passed = (
            0  # answered, after they passed the open gate; counted without the lock, one more or less is no harm
        )

    def join(self, loop: asyncio.AbstractEventLoop, slots: Slots) -> None:
        """Calls of ``loop`` will come, each with one of ``slots``."""
        with self._lock:
            self._forget_ended()
            self._slots[loop] = slots

    # -- entering and leaving --------------------------------------------------------------------------------------

    def check(self, deadline: float | None) -> None:
        """Look whether there is sense in waiting.

        :raises TooLate: a request could not start before ``deadline``.
        """
        if deadline is None:
            return
        with self._lock:
            ahead = len(self._line) + sum(slots.waiting for slots in self._slots.values())
            if self._rules.earliest(time.monotonic(), self._under_way(), ahead) > deadline:
                raise TooLate

    def rate_limit_delay(self) -> float:
        """Seconds for which ``rate_limit`` holds back the next request; 0: it does not."""
        with self._lock:
            return self._rules.rate_limit_delay(time.monotonic(), self._under_way())

    async def enter(self, deadline: float | None, attempts: int = 0) -> None:
        """Wait, with a slot, until a request may start. In the end, be it sent or not, comes `ended`.

        :param attempts: those that the call has behind it; then it goes before all who wait, for it has only so many.
        :raises TooLate: that would be after ``deadline``.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            now = time.monotonic()
            waiter = _Waiter(loop, loop.create_future(), deadline, attempts)
            self._line[waiter] = None
            self._waiting[loop] += 1
            if attempts:
                self._line.move_to_end(waiter, last=False)
            ahead = 0 if attempts else len(self._line) - 1
            if not ahead and (self._closed or self._rules.permits(now, self._under_way())):
                self._drop(waiter)
                self._rules.started(now)
                return
            if deadline is not None and self._rules.earliest(now, self._under_way(), ahead) > deadline:
                self._drop(waiter)
                raise TooLate
            self._pump(now)
        await self._wait(waiter)

    async def _wait(self, waiter: _Waiter) -> None:
        seconds = None if waiter.deadline is None else max(0.0, waiter.deadline - time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                may_go = await waiter.outcome
        except BaseException as error:
            with self._lock:
                self._drop(waiter)
            if isinstance(error, TimeoutError):
                raise TooLate from None
            raise
        if not may_go:
            raise TooLate

    def ended(
        self,
        slots: Slots,
        attempt: LiveAttempt | None = None,
        retry_after: float | None = None,
        *,
        entered: bool = False,
    ) -> None:
        """A call ends, or an attempt of it, and gives its slot back.

        :param attempt: what was seen of it; ``None``: none began.
        :param retry_after: seconds that the answer asked to wait.
        :param entered: where no attempt began: whether the call had come through here.
        """
        with self._lock:  # in one go: other threads must not see the slot free and the call not counted yet
            now = time.monotonic()
            if entered if attempt is None else attempt.entered:
                self._rules.ended(now)
            slots.give()
            if attempt is not None and attempt.status is not None:
                self._learn(now, attempt, retry_after)
            self._pump(now)
        if attempt is not None and attempt.status == 429 and retry_after and retry_after > self.longest_block:
            _log.warning(
                "a 429 asks to wait %.0f s: the call that met it does, others wait for %.0f s and try again",
                retry_after,
                self.longest_block,
                extra={"omium_status": 429, "omium_attempt": attempt.number, "omium_retry_after": retry_after},
            )

    def close(self) -> None:
        """Let all who wait through, for the client is closed and each shall find that out by itself."""
        with self._lock:
            self._closed = True
            while self._line:
                self._grant(next(iter(self._line)), time.monotonic())

    # -- inside, with the lock -------------------------------------------------------------------------------------

    def _under_way(self) -> int:
        """How many requests are under way: calls that hold a slot and do not wait here, but those of dead loops."""
        self._forget_ended()
        return max(0, sum(slots.busy for slots in self._slots.values()) - len(self._line))

    def _forget_ended(self) -> None:
        for loop in [loop for loop in self._slots if loop.is_closed()]:
            del self._slots[loop]

    def _learn(self, now: float, attempt: LiveAttempt, retry_after: float | None) -> None:
        before = self._rules.blocked_until
        self._rules.accepted(self.passed)
        self.passed = 0
        seen = Lesson(attempt.status or 0, attempt.headers or {}, retry_after, again=attempt.number > 1)
        self._rules.learn(now, seen, self._under_way(), len(self._line))
        self.open = not self._rules.limits
        if self._rules.blocked_until > before:
            until = self._rules.blocked_until
            for waiter in [w for w in self._line if w.deadline is not None and w.deadline < until]:
                self._drop(waiter)
                self._tell(waiter, may_go=False)
            for loop, slots in self._slots.items():
                if slots.waiting:
                    with suppress(RuntimeError):  # it is closed, and nobody waits any more
                        loop.call_soon_threadsafe(slots.refuse, until)

    def _pump(self, now: float) -> None:
        """Let through who may start, and come back when time alone opens the gate."""
        while self._line and self._rules.permits(now, self._under_way()):
            self._grant(self._next(), now)
        if self._line:
            self._set_alarms(now)

    def _next(self) -> _Waiter:
        """The first in line; but where it may well be refused again, one that has not used up its attempts as yet.

        As a probe the first of those least often refused; to find out whether more is allowed, of those that were
        refused once at most.
        """
        if self._rules.probing:
            return min(self._line, key=lambda waiter: waiter.attempts)
        if self._rules.finding_out:
            return min(self._line, key=lambda waiter: max(waiter.attempts, 1))
        return next(iter(self._line))

    def _grant(self, waiter: _Waiter, now: float) -> None:
        self._drop(waiter)
        if self._tell(waiter, may_go=True):
            self._rules.started(now)

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in self._line:
            del self._line[waiter]
            self._waiting[waiter.loop] -= 1
            if not self._waiting[waiter.loop]:
                del self._waiting[waiter.loop]

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
        when = self._rules.look_again_at(now, self._under_way())
        for loop in [loop for loop in self._alarms if loop.is_closed()]:
            del self._alarms[loop]
        for loop in [loop for loop in self._waiting if self._alarms.get(loop, math.inf) > when]:
            self._alarms[loop] = when
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._set_alarm, loop, when)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        # After the longest pause it looks again.
        loop.call_later(min(max(0.0, when - time.monotonic()), LONGEST_PAUSE), self._alarm, loop)

    def _alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._alarms.pop(loop, None)
            self._pump(time.monotonic())

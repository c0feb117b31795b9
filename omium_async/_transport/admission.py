"""Admission: the one place where calls wait until they may begin.

A call begins when its lane lets it, a connection is free, and the pacer allows it. The calls of a batch are a lane;
all other calls share one lane without a limit. Lanes take turns, so that a batch of a million items delays no single
call.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from contextlib import suppress
from time import monotonic

from .attempt import LONGEST_PAUSE
from .pacing import Pacer


class TooLate(Exception):  # noqa: N818 - a signal
    """The call cannot begin before its deadline."""


class LaneClosed(Exception):  # noqa: N818 - a signal
    """The lane of the call was closed, and the call has not begun."""


class Lane:
    """The calls of one batch: how many of them may be in flight.

    :param limit: calls in flight at once.
    :ivar limit: calls that may be in flight at once since the last pause; 0: the lane is paused.
    :ivar period: the number of pauses so far. A call belongs to the period in which it was admitted.
    :ivar is_closed: whether no call begins any more.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.period = 0
        self.is_closed = False
        self._most = limit
        self._in_flight = 0  # calls of all periods
        self._current = 0  # calls of this period
        # Ordered, and fast to leave from the middle: a thousand calls may give up at once.
        self._line: OrderedDict[asyncio.Future[int], float] = OrderedDict()  # with the deadline of each
        self._gate: Gate | None = None

    def pause(self) -> None:
        """Let no call begin until `resume`, not even one that was admitted and has not begun."""
        self.period += 1
        self.limit = self._current = 0

    def resume(self, limit: float) -> None:
        """Let so many calls be in flight, besides those from before the pause."""
        self.limit = limit
        if self._gate is not None:
            self._gate.admit()

    def close(self) -> None:
        """Let no call begin any more; those that wait raise `LaneClosed`."""
        self.is_closed = True
        self._raise_in(list(self._line), LaneClosed)

    # -- for the gate ------------------------------------------------------------------------------------------------

    def begin_now(self) -> bool:
        """Let a call begin that has not waited, if no other one waits."""
        if self._line or self.is_closed or self._room() <= 0:
            return False
        self._count_begun()
        return True

    @property
    def is_empty(self) -> bool:
        """Whether no call waits."""
        return not self._line

    @property
    def next_calls(self) -> float:
        """The number of waiting calls that the lane would let begin now."""
        return max(0, min(len(self._line), self._room()))

    def add(self, gate: Gate, turn: asyncio.Future[int], deadline: float, *, first: bool) -> None:
        """Add a waiting call at the end, or before all others."""
        if self.is_closed:
            raise LaneClosed
        self._gate = gate
        self._line[turn] = deadline
        if first:
            self._line.move_to_end(turn, last=False)

    def remove(self, turn: asyncio.Future[int]) -> None:
        """Remove a call that gave up."""
        self._line.pop(turn, None)

    def peek(self) -> asyncio.Future[int]:
        """Return the first waiting call."""
        return next(iter(self._line))

    def begin(self, turn: asyncio.Future[int]) -> None:
        """Admit a waiting call."""
        self._count_begun()
        turn.set_result(self.period)

    def end(self, period: int) -> None:
        """End a call that was admitted in a period."""
        self._in_flight -= 1
        if period == self.period:
            self._current -= 1

    def refuse(self, until: float) -> None:
        """Refuse the calls that must begin before a time."""
        self._raise_in([turn for turn, deadline in self._line.items() if deadline < until], TooLate)

    def _room(self) -> float:
        return min(self.limit - self._current, self._most - self._in_flight)

    def _count_begun(self) -> None:
        self._in_flight += 1
        self._current += 1

    def _raise_in(self, turns: list[asyncio.Future[int]], signal: type[Exception]) -> None:
        for turn in turns:
            del self._line[turn]
            if not turn.done():
                turn.set_exception(signal())


class Gate:
    """Admits the calls of one event loop: at most ``size`` at once, and only when the pacer allows it."""

    def __init__(self, pacer: Pacer, size: int) -> None:
        self._pacer = pacer
        self._loop = asyncio.get_running_loop()
        self._free = size
        self._single_calls = Lane()  # all calls outside batches
        self._lanes: OrderedDict[Lane, None] = OrderedDict()  # those in which calls wait; the first has the next turn
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        pacer.add(self)

    @property
    def waiting(self) -> int:
        """The number of calls that wait for the pacer or a connection."""
        return int(sum(lane.next_calls for lane in self._lanes))

    def enter_now(self, lane: Lane | None) -> bool:
        """Admit a call at once, if nothing holds it back; it belongs to the present period of its lane."""
        if self._free <= 0 or not self._pacer.open or (lane is not None and not lane.begin_now()):
            return False
        self._free -= 1
        return True

    async def enter(self, lane: Lane | None, deadline: float, *, first: bool) -> int:
        """Wait until a call may begin, and return the period of its lane. `leave` must follow.

        :param lane: ``None``: that of all calls outside batches.
        :param deadline: of the call, by ``time.monotonic``; infinity: none.
        :param first: whether the call goes before all that wait in its lane, because it was refused or failed before.
        :raises TooLate: the call cannot begin before the deadline.
        :raises LaneClosed: the lane is closed.
        """
        line = lane or self._single_calls
        while True:
            period = await self._wait(line, deadline, first=first)
            if period == line.period and not line.is_closed:
                return period
            self._release(line, period, sent=False)  # the lane was paused or closed since the call was admitted
            first = True

    async def _wait(self, lane: Lane, deadline: float, *, first: bool) -> int:
        now = monotonic()
        if self._pacer.earliest(now, first=first) > deadline:
            raise TooLate
        turn: asyncio.Future[int] = self._loop.create_future()
        lane.add(self, turn, deadline, first=first)
        self._lanes.setdefault(lane)
        self.admit()
        try:
            async with asyncio.timeout(None if deadline == math.inf else max(0.0, deadline - now)):
                return await turn
        except BaseException as error:
            lane.remove(turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release(lane, turn.result(), sent=False)  # it was admitted just when it gave up
            else:
                self.admit()
            if isinstance(error, TimeoutError):
                raise TooLate from None
            raise

    def leave(self, lane: Lane | None, period: int, *, sent: bool) -> None:
        """End an attempt, or a call that was admitted and began none.

        :param period: as `enter` returned it.
        :param sent: whether an attempt began, which counts for the rate limit.
        """
        self._release(lane or self._single_calls, period, sent=sent)

    def _release(self, lane: Lane, period: int, *, sent: bool) -> None:
        self._pacer.end(sent=sent)
        self._free += 1
        if lane is not self._single_calls:  # its calls are not counted, because it has no limit
            lane.end(period)
        if self._lanes:
            self.admit()

    def admit(self) -> None:
        """Admit calls, one of each lane in turn, and come back when the pacer allows more."""
        if self._loop.is_closed():
            return
        while self._free > 0 or self._is_closed:
            lane = self._next_lane()
            if lane is None:
                return
            turn = lane.peek()
            if not turn.done():
                if not self._is_closed and (when := self._pacer.start(monotonic())):
                    self._come_back(when)
                    return
                self._free -= 1
                lane.begin(turn)
            lane.remove(turn)
            self._lanes.move_to_end(lane)

    def _next_lane(self) -> Lane | None:
        for lane in [lane for lane in self._lanes if lane.is_empty]:
            del self._lanes[lane]
        return next((lane for lane in self._lanes if lane.next_calls or self._is_closed), None)

    def _come_back(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(min(when - monotonic(), LONGEST_PAUSE), self.admit)

    def pause_soon(self, until: float) -> None:
        """Notify the gate, from any thread, that the pacer pauses: calls that must begin before fail at once."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._refuse, until)

    def _refuse(self, until: float) -> None:
        for lane in self._lanes:
            lane.refuse(until)

    def close(self) -> None:
        """Admit all that wait: each finds out that the client is closed."""
        self._is_closed = True
        self.admit()

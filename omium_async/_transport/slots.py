"""At most so many requests of one event loop at once; the rest wait in line, which is no part of an attempt."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

__all__ = ["Slots"]


class Slots:
    """First come, first served. Belongs to one loop, whose size it never exceeds."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.busy = 0
        # Ordered, and quick to leave from the middle: a thousand calls may give up in the same moment.
        self._line: OrderedDict[asyncio.Future[None], float | None] = OrderedDict()  # with the deadline of each

    def take_now(self) -> bool:
        """Take a slot if one is free; then nobody waits."""
        if self.free <= 0:
            return False
        self.free -= 1
        self.busy += 1
        return True

    async def take(self, deadline: float | None, *, first: bool = False) -> None:
        """Wait for a slot.

        :param deadline: by ``time.monotonic``; ``None``: no bound.
        :param first: before all who wait: for a call that had a slot already and must try again.
        :raises TimeoutError: none came free before ``deadline``, or `refuse` found that it would be of no use.
        """
        if self.take_now():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line[turn] = deadline
        if first:
            self._line.move_to_end(turn, last=False)
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await turn
        except BaseException:
            self._line.pop(turn, None)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give()  # it came at the very moment at which the call gave up
            raise

    @property
    def waiting(self) -> int:
        """How many calls wait in line."""
        return len(self._line)

    def give(self) -> None:
        """Give a slot back, to the first in line."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
        self.busy -= 1

    def refuse(self, until: float) -> None:
        """End the wait of all who must be done before ``until``, for nothing may start before that."""
        for turn in [turn for turn, deadline in self._line.items() if deadline is not None and deadline < until]:
            del self._line[turn]
            if not turn.done():
                turn.set_exception(TimeoutError())

    def open_up(self) -> None:
        """Let all who wait through, for the client is closed and each shall find that out by itself."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                turn.set_result(None)

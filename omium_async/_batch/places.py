"""Places: how many executions of a batch may still be created."""

from __future__ import annotations

import asyncio
from collections import deque

from .._transport.admission import LaneClosed

__all__ = ["Places"]


class Places:
    """Counts the executions that have not ended; those who want to create one wait in line.

    :param count: executions at once. More may be taken, by executions that run already; none is created then.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    def take(self, count: int = 1) -> None:
        """Take places for executions that may run already."""
        self._free -= count

    async def wait(self) -> None:
        """Wait for a place, and take it.

        :raises LaneClosed: the batch ends.
        """
        if self._is_closed:
            raise LaneClosed
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()  # it got the place just when it was cancelled
            raise

    def release(self, count: int = 1) -> None:
        """Give places back."""
        self._free += count
        self._admit()

    def close(self) -> None:
        """The batch ends: those who wait raise `LaneClosed`."""
        self._is_closed = True
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_exception(LaneClosed())

    def _admit(self) -> None:
        while self._line and self._free > 0:
            waiter = self._line.popleft()
            if not waiter.done():
                self._free -= 1
                waiter.set_result(None)

"""How many calls of a batch may be under way: fewer when the service refuses or slows down, within what was given."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from types import TracebackType
from typing import Final

__all__ = ["Gate", "Limit"]

_FIRST: Final = 16  # calls at once to begin with; one more for each that is answered, until a sign of trouble
_FEWEST: Final = 2  # refusals leave two: one item that is refused again and again must not hold up all others
_SLOWER: Final = 3.0  # times the usual latency at which the service counts as slowed down
_LEAST_SHARE: Final = 8  # slowness alone leaves an eighth of what was given
_SMALLEST_WINDOW: Final = 32  # answers over which a latency is averaged
_MEMORY: Final = 0.2  # weight of the latest window in what is usual


class Limit:
    """The number of calls that may be under way at once.

    :ivar now: that number, from 1 to ``most``. :ivar closed: whether the batch is ending, and nothing more may begin.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = min(most, _FIRST)
        self.closed = False
        self._rising = True
        self._usual: float | None = None
        self._sum = 0.0
        self._count = 0
        self._cut_at = 0.0

    def answered(self, started: float) -> None:
        """A call that started then (of ``time.monotonic``) was answered just now."""
        if self._rising and self.now < self.most:
            self.now += 1
        self._sum += time.monotonic() - started
        self._count += 1
        if self._count >= self.now and self._count >= _SMALLEST_WINDOW:
            self._weigh(self._sum / self._count)
            self._sum, self._count = 0.0, 0

    def refused(self, started: float) -> None:
        """A call that started then was held back by a rate limit or refused with a 429."""
        if started < self._cut_at:
            return  # it was under way already when the last cut was made, which answers for it
        self._rising = False
        self._cut_at = time.monotonic()
        self.now = max(min(_FEWEST, self.most), self.now // 2)

    def _weigh(self, latency: float) -> None:
        """Shrink by as much as the latency exceeds what is bearable, else grow a little."""
        if self._usual is None:
            self._usual = latency
        bearable = self._usual * _SLOWER
        if latency > bearable:
            self._rising = False
            shrunk = int(self.now * max(0.5, bearable / latency))
            self.now = max(shrunk, self.most // _LEAST_SHARE, 1)
        elif not self._rising:
            self.now = min(self.most, self.now + math.isqrt(self.now))
        self._usual += (latency - self._usual) * _MEMORY


class Gate:
    """Lets no more through than the limit says, first come, first served: ``async with gate``."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._inside = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._inside < self._limit.now and not self._waiters:
            self._inside += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        while self._waiters and self._inside < self._limit.now:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._inside += 1
                waiter.set_result(None)

"""Asking for windows ahead of the consumer, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from .._models.types import ExecutionPage
from .._tasks import wait_until_done
from .exact import Reading
from .windows import Window

#: ``(page, page_size)`` to one answered window; retries are inside.
Fetch = Callable[[int, int], Awaitable[ExecutionPage]]

_MOST_AHEAD = 8
_MOST_ROWS_AHEAD = 3000  # eight of the largest windows would be 8 MB
_WORK = 0.0005  # seconds of computing in one wait, below which it is not worth a thought


def default_bound(page_size: int) -> int:
    """How many windows may be in flight when the caller leaves it open."""
    return min(_MOST_AHEAD, max(2, _MOST_ROWS_AHEAD // page_size))


class Prefetch:
    """Windows in flight, given out in the order asked for.

    How many depends on the consumer: one after the first answer, then twice as many each time it has to wait for the
    next, up to ``bound``. But where this process computes rather than waits (it reads answers as fast as it can), more
    of them would only fill the memory. Plain tasks and no task group: the generator that owns this yields meanwhile.
    """

    def __init__(self, fetch: Fetch, reading: Reading, bound: int, held: Callable[[], int]) -> None:
        self._fetch = fetch
        self._reading = reading
        self._bound = bound
        self._held = held
        self._depth = 1
        self._busy = False
        self._flying: deque[tuple[Window, asyncio.Task[ExecutionPage]]] = deque()

    def fill(self) -> None:
        """Ask for as many windows as may be in flight."""
        if not self._reading.steady:
            self._depth = 1
        most = min(self._depth, self._bound - self._held())
        while len(self._flying) < most and not self._reading.ended:
            window = self._reading.ahead() if self._flying else self._reading.needed()
            if window is None:
                break
            self._flying.append((window, asyncio.create_task(self._ask(window))))

    @property
    def ready(self) -> bool:
        """Whether the next window has arrived."""
        return bool(self._flying) and self._flying[0][1].done()

    async def next(self) -> tuple[Window, ExecutionPage]:
        """The next window and its answer; what its request raised is raised here."""
        if self._flying and not self._busy and not self._flying[0][1].done():
            self._depth = min(2 * self._depth, self._bound)
        if self._flying or self._reading.steady:
            self.fill()
        if not self._flying:
            window = self._reading.needed()
            return window, await self._ask(window)
        window, task = self._flying[0]
        if not task.done():
            await self._wait(task)
        self._flying.popleft()
        return window, task.result()

    async def _wait(self, task: asyncio.Task[ExecutionPage]) -> None:
        began, computed = time.perf_counter(), time.thread_time()
        # Not `await task`: a cancellation would go to the task, and be lost if that answers all the same.
        await asyncio.wait([task])
        took, computed = time.perf_counter() - began, time.thread_time() - computed
        self._busy = computed > max(_WORK, took / 2)

    async def aclose(self) -> None:
        """Cancel what is in flight, and return when all of it has ended."""
        tasks = [task for _, task in self._flying]
        for task in tasks:
            task.cancel()
        try:
            await wait_until_done(tasks)
        finally:
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # nobody needs it; asked for so that asyncio does not report it

    async def _ask(self, window: Window) -> ExecutionPage:
        return await self._fetch(window.page, window.size)

"""Requesting windows ahead of the consumer, and cancelling them when it leaves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .._models.types import ExecutionPage
from .._tasks import wait_until_done
from .exact import Reading
from .windows import Window

#: Requests one window, by its page and page size; retries are inside.
Fetch = Callable[[int, int], Awaitable[ExecutionPage]]

_MOST_AHEAD = 8  # as the docstring of `Executions.list` says
_MOST_ROWS_AHEAD = 3000  # `_MOST_AHEAD` of the largest windows would take 8 MB


def default_bound(page_size: int) -> int:
    """How many windows may be in flight by default."""
    return min(_MOST_AHEAD, max(2, _MOST_ROWS_AHEAD // page_size))


class Prefetch:
    """Windows in flight, returned in the order in which they were requested.

    Their number follows the consumer: one after the first answer, then twice as many each time it has to wait for the
    next, up to ``bound``. They are tasks without a task group, because the generator that owns them yields while they
    run.

    :ivar held: how many windows returned before still wait for the consumer; they count as ahead of it.
    """

    def __init__(self, fetch: Fetch, reading: Reading, bound: int) -> None:
        self._fetch = fetch
        self._reading = reading
        self._bound = bound
        self.held = 0
        self._depth = 1
        self._flying: deque[tuple[Window, asyncio.Task[ExecutionPage]]] = deque()

    def fill(self) -> None:
        """Request as many windows as may be in flight."""
        if not self._reading.steady:
            self._depth = 1
        most = min(self._depth, self._bound - self.held)
        while len(self._flying) < most and not self._reading.ended:
            window = self._reading.ahead() if self._flying else self._reading.needed()
            if window is None:
                break
            self._flying.append((window, asyncio.create_task(self._request(window))))

    @property
    def ready(self) -> bool:
        """Whether the next window has arrived."""
        return bool(self._flying) and self._flying[0][1].done()

    async def next(self) -> tuple[Window, ExecutionPage]:
        """Return the next window and its answer, or raise the exception of its request."""
        if self._flying and not self._flying[0][1].done():
            self._depth = min(2 * self._depth, self._bound)
        if self._flying or self._reading.steady:
            self.fill()
        if not self._flying:
            window = self._reading.needed()
            return window, await self._request(window)
        window, task = self._flying[0]
        # Not `await task`: a cancellation would go to the task, and be lost if it answers all the same.
        if not task.done():
            await asyncio.wait([task])
        self._flying.popleft()
        return window, task.result()

    async def aclose(self) -> None:
        """Cancel the windows in flight, and return when all requests have ended."""
        tasks = [task for _, task in self._flying]
        for task in tasks:
            task.cancel()
        try:
            await wait_until_done(tasks)
        finally:
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # retrieved, so that asyncio does not report it

    async def _request(self, window: Window) -> ExecutionPage:
        return await self._fetch(window.page, window.size)

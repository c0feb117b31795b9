"""A pool of workers that take items from an iterable: flat memory, limited concurrency, results as they finish.

Each worker is a task that handles one item after the other. For a million items, a task for each item would take
gigabytes.

Nothing is yielded inside a task group or a cancel scope.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from typing import Any, Final, Generic, TypeVar

from ._tasks import wait_until_done

T = TypeVar("T")
R = TypeVar("R")

_ITEMS_AT_ONCE: Final = 16


def most_ahead(concurrency: int) -> int:
    """Return how many items a batch may take before the consumer has received their results."""
    return 4 * concurrency + 64


class Pool(Generic[T, R]):
    """Runs ``work(position, item)`` for each item of ``source``.

    A plain iterable is read on the event loop, because it may belong to this thread, as a database cursor does; one
    that blocks should be an async iterable. An exception of ``work`` or of the source ends the pool: no more items are
    taken, and `more` raises it after the results known by then.

    :param workers: items in work at once.
    :param ahead: items taken whose results the consumer has not received.
    :ivar on_stop: called once when the pool begins to end: it has failed or is closed.
    """

    def __init__(
        self,
        source: Iterable[T] | AsyncIterable[T],
        work: Callable[[int, T], Awaitable[R]],
        workers: int,
        ahead: int,
    ) -> None:
        self.on_stop: Callable[[], object] = lambda: None
        self._items = aiter(source) if isinstance(source, AsyncIterable) else _Items(iter(source))
        self._work = work
        self._workers = min(workers, ahead)
        self._room = asyncio.Semaphore(ahead)
        self._queue: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue()  # `None` ends a worker
        self._started = self._stopped = False
        self._error: BaseException | None = None
        self._source_error: BaseException | None = None
        self._results: deque[R] = deque()
        self._news = asyncio.Event()  # a result, or the end of a worker
        self._running = 0  # workers that have not ended
        self._tasks: set[asyncio.Task[None]] = set()

    # -- for the consumer ----------------------------------------------------------------------------------------

    async def results(self) -> AsyncGenerator[R]:
        """Yield all results as they finish; at the end, or when closed, no task is left.

        :raises BaseException: as `more`.
        """
        try:
            while await self.more():
                while self._results:
                    yield self.pop()
        finally:
            await self.close()

    async def more(self) -> bool:
        """Wait for a result; ``False``: there are no more.

        :raises BaseException: the exception that ended the pool, after all results.
        """
        if not self._started:
            self._started, self._running = True, self._workers
            self.add_helper(self._read())
            for _ in range(self._workers):
                self.add_helper(self._run())
        while not self._results and self._running:
            self._news.clear()
            await self._news.wait()
        error = self._error or self._source_error
        if not self._results and error is not None:
            raise error
        return bool(self._results)

    def pop(self) -> R:
        """Return the next result after `more` has returned ``True``."""
        self._room.release()
        return self._results.popleft()

    @property
    def has_results(self) -> bool:
        """Whether `pop` has a result."""
        return bool(self._results)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        self._stop()
        tasks = self._tasks.copy()
        for task in tasks:
            task.cancel()
        await wait_until_done(tasks)

    # -- for the work --------------------------------------------------------------------------------------------

    def add_helper(self, helper: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine beside the workers, at most until the pool is closed."""
        task = asyncio.create_task(helper)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def fail(self, error: BaseException) -> None:
        """End the pool with ``error``: take no more items, and let the work in progress end. The first error counts."""
        if self._error is None:
            self._error = error
        self._stop()

    # -- inside --------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._end_workers()
            self.on_stop()

    def _end_workers(self) -> None:
        for _ in range(self._workers):
            self._queue.put_nowait(None)

    async def _read(self) -> None:
        """Read the source in one task, because a generator may hold a scope that belongs to a task."""
        try:
            for position in itertools.count():
                await self._room.acquire()
                self._queue.put_nowait((position, await anext(self._items)))
        except StopAsyncIteration:
            pass
        except BaseException as error:
            if self._stopped and isinstance(error, asyncio.CancelledError):
                raise
            self._source_error = error  # also a `CancelledError` of the source
        self._end_workers()

    async def _run(self) -> None:
        """Handle one item after the other."""
        try:
            while (taken := await self._queue.get()) is not None and not self._stopped:
                self._results.append(await self._work(*taken))
                self._news.set()
        except BaseException as error:
            if not self._stopped:
                self.fail(error)  # also if someone else cancelled this task
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._running -= 1
            self._news.set()


class _Items(AsyncIterator[T]):
    """An iterator as an async iterator, which lets the workers begin after every few items."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._read = 0

    async def __anext__(self) -> T:
        self._read += 1
        if self._read % _ITEMS_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None

"""A pool of workers that take items from an iterable: flat memory, limited concurrency, results as they finish.

Each worker is a task that handles one item after the other, and there are only as many as there is work for. For a
million items, a task for each item would take gigabytes, and a limiter for each item would halve the speed.

Nothing is yielded inside a task group or a cancel scope.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from typing import Any, Final, Generic, TypeVar

from ._tasks import wait_until_done

__all__ = ["Pool", "Stopped"]

T = TypeVar("T")
R = TypeVar("R")

_AHEAD_PER_CALL: Final = 4
_AHEAD: Final = 64
_NOTHING: Final[Any] = object()


class Stopped(Exception):  # noqa: N818 - a signal to the pool, not an error
    """The pool is ending, and the work on an item was abandoned without a result."""


class Pool(Generic[T, R]):
    """Runs ``work(position, item)`` for each item of ``source``.

    Items are taken only while fewer than 4 * ``concurrency`` + 64 are ahead of the consumer. A plain iterable is read
    on the event loop, because it may belong to this thread, as a database cursor does; one that blocks should be an
    async iterable. An exception of ``work`` or of the source ends the pool: no more items are taken, and `more` raises
    it after the results known by then.

    :param workers: items in work at once; by default ``concurrency``.
    :ivar on_stop: called once when the pool begins to end: it has failed or is closed.
    """

    def __init__(
        self,
        source: Iterable[T] | AsyncIterable[T],
        work: Callable[[int, T], Awaitable[R]],
        concurrency: int,
        workers: int | None = None,
    ) -> None:
        self.on_stop: Callable[[], object] = lambda: None
        self._work = work
        self._most_workers = workers or concurrency
        self._most_ahead = _AHEAD_PER_CALL * concurrency + _AHEAD
        self._stream: AsyncIterator[T] | None = None
        self._items: Iterator[T] = iter(())
        if isinstance(source, AsyncIterable):
            self._stream = aiter(source)
        else:
            self._items = iter(source)
        self._buffer: deque[T] = deque()  # items of an async source that no worker has taken yet
        self._results: deque[R] = deque()
        self._position = 0  # of the next item
        self._read = 0  # items read from the source
        self._given = 0  # results given to the consumer
        self._active = 0
        self._parked = 0
        self._started = False
        self._exhausted = False
        self._stopped = False
        self._error: BaseException | None = None
        self._source_error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._news = asyncio.Event()

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
        self._start()
        while not self._results:
            if self._is_finished():
                error = self._error or self._source_error
                if error is not None:
                    raise error
                return False
            self._news.clear()
            await self._news.wait()
        return True

    def pop(self) -> R:
        """Return the next result after `more` has returned ``True``."""
        self._given += 1
        self._room.set()
        result = self._results.popleft()
        self._hire()
        return result

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
        self._changed()

    @contextlib.contextmanager
    def parked(self) -> Generator[None]:
        """Let another worker take the place of this one during a long wait."""
        self._active -= 1
        self._parked += 1
        self._changed()
        try:
            yield
        finally:
            self._parked -= 1
            self._active += 1

    # -- inside --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if not self._started:
            self._started = True
            if self._stream is not None:
                self.add_helper(self._read_stream(self._stream))
            self._hire()

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.on_stop()

    def _changed(self) -> None:
        self._news.set()
        self._hire()

    def _is_finished(self) -> bool:
        if self._active or self._parked:
            return False
        return self._stopped or (self._exhausted and not self._buffer)

    def _has_room(self) -> bool:
        return self._read - self._given < self._most_ahead

    def _hire(self) -> None:
        """Start one more worker if there is work for it; it starts the next."""
        if self._active < self._most_workers and self._may_take():
            self._active += 1
            self.add_helper(self._run())

    def _may_take(self) -> bool:
        if self._stopped:
            return False
        return bool(self._buffer) or (self._stream is None and not self._exhausted and self._has_room())

    async def _run(self) -> None:
        """Handle one item after the other."""
        try:
            while self._active <= self._most_workers and self._may_take():
                item = self._take()
                if item is _NOTHING:
                    break
                position, self._position = self._position, self._position + 1
                self._hire()
                self._results.append(await self._work(position, item))
                self._news.set()
        except BaseException as error:
            if not self._stopped:
                self.fail(error)  # also if someone else cancelled this task
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._active -= 1
            self._changed()

    def _take(self) -> Any:
        if self._buffer:
            return self._buffer.popleft()
        try:
            item = next(self._items)
        except StopIteration:
            self._exhausted = True
            return _NOTHING
        except Exception as error:  # noqa: BLE001 - the consumer receives it
            self._exhausted, self._source_error = True, error
            return _NOTHING
        self._read += 1
        return item

    async def _read_stream(self, stream: AsyncIterator[T]) -> None:
        try:
            while not self._stopped:
                if not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                    continue
                self._buffer.append(await anext(stream))
                self._read += 1
                self._hire()
        except StopAsyncIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - the consumer receives it, also a `CancelledError` of the source
            if not self._stopped:
                self._source_error = error
        finally:
            self._exhausted = True
            self._changed()

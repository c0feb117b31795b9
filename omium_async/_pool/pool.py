"""A pool of tasks that pull their work from an iterator: flat memory, a bounded number at once, results as they end.

Measured against the alternatives on a million items: a task an item takes gigabytes, a limiter an item costs half the
speed. The tasks here take one item after the other; there are only as many as there is work for.

Nothing is ever yielded inside a task group or a cancel scope: `Pool.results` is a generator without either. Whoever
bounds each step by time pulls results with `Pool.more` and `Pool.pop`, and calls `Pool.close` at the end, however it
comes.
"""

from __future__ import annotations

import asyncio
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

from .ending import ended
from .limit import Limit

__all__ = ["Pool", "Stopped"]

T = TypeVar("T")
R = TypeVar("R")

_NOTHING: Final[Any] = object()
_AHEAD_FACTOR: Final = 4
_AHEAD: Final = 64


class Stopped(Exception):  # noqa: N818 - a signal to the pool
    """The pool is ending, and the work on an item was given up before anything came of it."""


class Pool(Generic[T, R]):
    """Runs ``work(position, item)`` for each item of ``source``, ``limit.now`` at once.

    :param work: gives the result, or ``None`` when the item is held: then `settle` or `again` is called for it later.
        What it raises ends the pool: nothing more is taken, and `more` raises it after the results known by then. So
        it does with what the source raises.

    :param tasks_per_call: so many times more tasks; ``work`` then has a gate of its own for its calls.
    :ivar on_change: called after changes upon which the pool may be quiet.
    :ivar on_stop: called when nothing more is to begin: the pool ends with an error, or is closed.

    Items are taken from the source only while fewer than 4 * ``limit.most`` + 64 are ahead of the consumer. A plain
    iterable is advanced on the event loop itself, for it may belong to this thread (a database cursor does): one that
    blocks belongs into an async iterable.
    """

    on_change: Callable[[], None] = staticmethod(lambda: None)
    on_stop: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self,
        source: Iterable[T] | AsyncIterable[T],
        work: Callable[[int, T], Awaitable[R | None]],
        limit: Limit,
        tasks_per_call: int = 1,
    ) -> None:
        self._work = work
        self._limit = limit
        self._tasks_per_call = tasks_per_call
        self._ahead = _AHEAD_FACTOR * limit.most + _AHEAD
        self._plain: Iterator[T] | None = None
        self._unread: AsyncIterator[T] | None = None  # an async source, until it is read
        if isinstance(source, AsyncIterable):
            self._unread = aiter(source)
        else:
            self._plain = iter(source)
        self._read: deque[T] = deque()  # of an async source, not yet taken
        self._repeats: deque[tuple[int, T]] = deque()
        self._results: deque[R] = deque()
        self._position = 0  # of the next item that a task takes
        self._taken = 0  # from the source
        self._given = 0  # to the consumer
        self._held = 0
        self._expected = 0  # of those held
        self._busy = 0
        self._source_ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._source_error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._helpers: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._news = asyncio.Event()

    # -- the consumer's side -------------------------------------------------------------------------------------

    async def results(self) -> AsyncGenerator[R]:
        """All results as they come; ended or closed, it leaves nothing under way.

        :raises BaseException: as `more`.
        """
        try:
            while await self.more():
                while (result := self.pop()) is not None:
                    yield result
        finally:
            await self.close()

    def pop(self) -> R | None:
        """The next result, if one is there; it counts as given to the consumer."""
        if not self._results:
            return None
        self._given += 1
        result = self._results.popleft()
        self._room.set()
        self._hire()
        return result

    async def more(self) -> bool:
        """Wait until there is a result. ``False``: there will be none.

        :raises BaseException: what ended the pool, once all results known by then were given.
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

    async def close(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self._stop()
        tasks = self._tasks | self._helpers
        for task in tasks:
            task.cancel()
        await ended(tasks)

    # -- the workers' side ---------------------------------------------------------------------------------------

    def add_helper(self, life: Coroutine[Any, Any, None]) -> None:
        """Run something beside the tasks, until the pool is closed."""
        self._helpers.add(asyncio.create_task(life))

    def fail(self, error: BaseException) -> None:
        """End the pool: take nothing more, let what is under way end, then raise ``error``; the first one counts."""
        if self._error is None:
            self._error = error
        self._stop()
        self._tell()

    @property
    def failed(self) -> bool:
        """Whether the pool ends with an error."""
        return self._error is not None

    def settle(self, result: R) -> None:
        """The result of an item that was held."""
        self._held -= 1
        self._results.append(result)
        self._tell()

    def expect(self) -> None:
        """The result of an item will be given to `deliver` soon, without a task that works on it.

        For such an item ``work`` returns ``None``, which holds it.
        """
        self._expected += 1

    def deliver(self, result: R) -> None:
        """The result of an item that was expected."""
        self._expected -= 1
        self.settle(result)

    def again(self, position: int, item: T) -> None:
        """Work on an item that was held once more, before others."""
        self._held -= 1
        self._repeats.append((position, item))
        self._hire()
        self._tell()

    def is_quiet(self) -> bool:
        """Whether only items that are held keep the pool from going on or from ending."""
        if self._busy or self._expected or self._repeats:
            return False
        blocked = not self._has_room() and not self._results
        return self._stopped or (self._source_ended and not self._read) or blocked

    # -- inside --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        stream, self._unread = self._unread, None
        if stream is not None:
            self.add_helper(self._read_stream(stream))
        self._hire()

    def _stop(self) -> None:
        self._stopped = self._limit.closed = True
        self.on_stop()

    def _tell(self) -> None:
        self._news.set()
        self.on_change()

    def _is_finished(self) -> bool:
        if self._busy or self._held:
            return False
        return self._stopped or (self._source_ended and not self._read and not self._repeats)

    def _has_room(self) -> bool:
        return self._taken - self._given < self._ahead

    def _can_take(self) -> bool:
        if self._stopped:
            return False
        if self._repeats or self._read:
            return True
        return self._plain is not None and not self._source_ended and self._has_room()

    def _hire(self) -> None:
        """One more task, if there is work for it; it hires the next."""
        if self._busy < self._limit.now * self._tasks_per_call and self._can_take():
            self._busy += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)

    async def _run(self) -> None:
        """The life of one task: one item after the other while there are some."""
        try:
            while self._busy <= self._limit.now * self._tasks_per_call:
                found = self._take()
                if found is _NOTHING:
                    break
                self._hire()
                position, item = found
                result = await self._work(position, item)
                if result is None:
                    self._held += 1
                else:
                    self._results.append(result)
                    if not self._news.is_set():
                        self._news.set()
        except BaseException as error:
            if not self._stopped:
                self.fail(error)  # the consumer is told, whatever it is: also when others cancelled this task
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._busy -= 1
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._tell()

    def _take(self) -> Any:
        if self._stopped:
            return _NOTHING
        if self._repeats:
            return self._repeats.popleft()
        item: Any = self._next()
        if item is _NOTHING:
            return _NOTHING
        position = self._position
        self._position += 1
        return position, item

    def _next(self) -> Any:
        if self._plain is None:
            if not self._read:
                return _NOTHING
            return self._read.popleft()
        if self._source_ended or not self._has_room():
            return _NOTHING
        try:
            item = next(self._plain)
        except StopIteration:
            self._source_ended = True
            return _NOTHING
        except Exception as error:  # noqa: BLE001 - the consumer is told, whatever it is
            self._end_source(error)
            return _NOTHING
        self._taken += 1
        return item

    def _end_source(self, error: BaseException) -> None:
        """The source failed: what was taken from it is still worked on, and then the error is raised."""
        self._source_ended = True
        self._source_error = error

    async def _read_stream(self, stream: AsyncIterator[T]) -> None:
        try:
            while not self._stopped:
                if not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                    continue
                try:
                    item = await anext(stream)
                except StopAsyncIteration:
                    break
                self._read.append(item)
                self._taken += 1
                self._hire()
        except Exception as error:  # noqa: BLE001 - the consumer is told, whatever it is
            self._end_source(error)
        finally:
            self._source_ended = True
            self._tell()

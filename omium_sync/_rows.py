"""Plain iterators over async generators. Items cross from the loop to the thread in groups, rows of lists in pages."""

from __future__ import annotations

import asyncio
import threading
from _thread import get_ident
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from typing import Any, Final, Generic, Self, TypeVar

from ._dispatcher import Dispatcher
from ._portal import LoopThread

T = TypeVar("T")

_END: Final[Any] = object()
_LARGEST_GROUP: Final = 256  # items


class Groups(Generic[T]):
    """Reads an async generator in the loop, a group of items at a time. Each step is a task, which `close` cancels.

    :param items: the generator, of items or of groups of items.
    :param grouped: whether it yields groups.
    :param ahead: whether to start the next step before it is wanted, and to gather all items that are ready.
    """

    def __init__(self, items: AsyncGenerator[Any], *, grouped: bool = False, ahead: bool = False) -> None:
        self._items = items
        self._grouped = grouped
        self._ahead = ahead
        self._step: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None
        self._being_read = False
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether the next group is ready, or the iterator is closed."""
        return self._closed or (self._step is not None and self._step.done())

    @property
    def notes(self) -> Sequence[str]:
        """The notes of the exception that ended a step that was cancelled."""
        return getattr(self._error, "__notes__", ())

    async def start(self) -> None:
        """Start the next step, if none is in progress."""
        if self._step is None and not self._closed:
            self._step = asyncio.create_task(self._advance())

    async def next_group(self) -> Sequence[T] | None:
        """Return the next group, or ``None`` at the end."""
        if self._closed:  # another thread closed the client just now: this is not the end of the list
            raise asyncio.CancelledError
        self._being_read = True
        try:
            await self.start()
            group = await self._finish_step()
            while self._ahead and group is not None and len(group) < _LARGEST_GROUP:
                await self.start()
                await asyncio.sleep(0)  # then a step that need not wait is done
                if self._step is None or not self._step.done() or self._step.result() is _END:
                    break
                group = [*group, *(await self._finish_step() or ())]
        finally:
            self._being_read = False
        return group

    def raise_error(self) -> None:
        """Raise the exception that ended the generator, if any."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    def cancel(self) -> None:
        """Cancel the step in progress. Cancels only once: a second time would interrupt its cleanup."""
        if self._step is not None and not self._closed:
            self._step.cancel()
        self._closed = True

    async def close(self) -> None:
        """Cancel the step in progress, wait until it has ended, and close the generator."""
        self.cancel()
        if self._step is not None:
            await asyncio.wait([self._step])
        await self._items.aclose()

    async def close_unread(self) -> None:
        """Close the generator, unless a thread waits for a group."""
        if not self._being_read:
            await self.close()

    async def _finish_step(self) -> Sequence[T] | None:
        if self._step is None:
            return None
        await asyncio.wait([self._step])
        item = self._step.result()
        self._step = None
        return None if item is _END else item if self._grouped else (item,)

    async def _advance(self) -> Any:
        try:
            return await anext(self._items, _END)
        except BaseException as error:  # noqa: BLE001 - raised to the reader, also a `SystemExit` of a hook
            trace = error.__traceback__
            self._error = error.with_traceback(trace and trace.tb_next)
            return _END


class IterableAdapter(AsyncIterator[T]):
    """Turns a plain iterable into an async iterator of the loop. The thread that reads the outcomes takes its items.

    So the iterable may be a database cursor, may block, and may call the client itself.

    :param most: how many items may be taken that have no outcome yet.
    """

    def __init__(self, items: Iterable[T], most: int) -> None:
        self._items = iter(items)
        self._most = most
        self._taken = 0
        self._ready: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    @classmethod
    def of(cls, items: Any, concurrency: Any) -> IterableAdapter[Any] | None:
        """Return an adapter of a plain iterable, or ``None`` for anything else, which the core accepts or rejects."""
        if isinstance(items, (AsyncIterable, str, bytes, bytearray, Mapping)) or not isinstance(items, Iterable):
            return None
        most = 4 * concurrency + 64 if isinstance(concurrency, int) else 0  # the core rejects what is not an int
        return cls(items, most)  # pyright: ignore[reportUnknownArgumentType]

    def fill(self, thread: LoopThread, given: int, until: Callable[[], bool]) -> None:
        """In the reader's thread: take items until an outcome is ready. Each is passed on at once."""
        while not self._ended and self._taken - given < self._most and not until():
            try:
                self._ready.append(next(self._items))
                self._taken += 1
            except StopIteration:
                self._ended = True
            except Exception as error:  # noqa: BLE001 - ends the batch, after the outcomes known by then
                self._error, self._ended = error, True
            if not self._arrived.is_set():
                thread.call_soon(self._arrived.set)

    def release(self) -> None:
        """In the reader's thread: drop the iterable. A generator is closed here, as its database cursor may need."""
        self._items = iter(())

    async def __anext__(self) -> T:
        while not self._ready:
            if self._ended and not self._ready:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._arrived.clear()
            if not self._ready and not self._ended:
                await self._arrived.wait()
        return self._ready.popleft()


class SyncIterator(Iterator[T]):
    """Iterates once, also in several threads: each item goes to one of them. It may be left half-read, or closed."""

    def __init__(self, dispatcher: Dispatcher, groups: Groups[T], adapter: IterableAdapter[Any] | None = None) -> None:
        self._dispatcher = dispatcher
        self._groups = groups
        self._adapter = adapter
        self._group: Iterator[T] = iter(())
        self._given = 0
        self._lock = threading.Lock()
        self._reader: int | None = None
        self._thread: LoopThread | None = None  # since its first item
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for item in self._group:
            return item
        return self._read()

    def close(self) -> None:
        """End the iteration. Its work in progress is cancelled and has ended when this returns."""
        self._ended = True
        self._group = iter(())
        if self._adapter is not None:
            self._adapter.release()
        thread = self._thread
        if thread is None or not thread.alive:
            return
        if get_ident() == thread.ident:
            self._groups.cancel()
            return
        with suppress(RuntimeError):  # the loop ended just now
            thread.wait(thread.start_task(self._groups.close))

    def __del__(self) -> None:
        if self._adapter is not None:
            self._adapter.release()
        # A generator between two steps is closed by asyncio when it is collected.
        if self._thread is not None and self._thread.alive:
            self._thread.call_soon(self._groups.cancel)

    def _read(self) -> T:
        if self._reader == get_ident():
            raise ValueError("this iterator is already executing, in this very thread")
        if self._thread is not None and not self._thread.alive and not self._ended:
            self._dispatcher.check_open()
            raise RuntimeError(
                "the event loop of this iterator has ended, or it was begun in another process, before a fork: begin a "
                "new one"
            )
        with self._lock:
            for item in self._group:  # another thread has just read it
                return item
            while not self._ended:
                self._reader = get_ident()
                try:
                    group = self._next_group()
                except BaseException as error:
                    self.close()
                    for note in self._groups.notes:
                        error.add_note(note)
                    raise
                finally:
                    self._reader = None
                if group is None:
                    self._ended = True
                    break
                self._given += len(group)
                self._group = iter(group)
                for item in self._group:
                    return item
        raise StopIteration

    def _next_group(self) -> Sequence[T] | None:
        if self._thread is None:
            thread = self._dispatcher.connect()
            self._dispatcher.iterators.add(self._groups)
            self._thread = thread
        try:
            if self._adapter is not None:
                self._dispatcher.call(self._groups.start)
                self._adapter.fill(self._thread, self._given, lambda: self._groups.ready)
            group: Sequence[T] | None = self._dispatcher.call(self._groups.next_group)
            if group is None:
                self._groups.raise_error()
        except asyncio.CancelledError:
            if self._ended:
                raise RuntimeError("this iterator was closed by another thread while it was read") from None
            raise
        return group

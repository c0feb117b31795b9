"""Plain iterators over what is read on the loop: a group of items crosses at a time, and is handed out one by one."""

from __future__ import annotations

import threading
from abc import abstractmethod
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from typing import Generic, Self, TypeVar

from omium_async import Execution

from ._bridge.ahead import Ahead
from ._bridge.call import Call, show_core
from ._bridge.line import Line
from ._bridge.process import process
from ._bridge.sources import Groups, Source

__all__ = ["GroupStream", "RowStream"]

T = TypeVar("T")


class Stream(Iterator[T], Generic[T]):
    """Iterates once, in any number of threads, each item going to one of them. It may be left half-read, or closed."""

    def __init__(self, line: Line, source: Source) -> None:
        self._line = line
        self._source = source
        self._group: Iterator[T] = iter(())
        self._lock = threading.Lock()
        self._reader: int | None = None
        self._process: int | None = None  # in which it was begun
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for item in self._group:
            return item
        return self._first_of_next()

    def close(self) -> None:
        """End it: what is under way for it is cancelled and has ended when this returns."""
        begun = self._process == process.number and not self._ended
        self._ended = True
        self._group = iter(())
        if begun:
            self._line.end(self._source)

    def _first_of_next(self) -> T:
        self._check_reader()
        with self._lock:
            self._reader = threading.get_ident()
            try:
                for item in self._group:  # another thread has just read it
                    return item
                while not self._ended:
                    self._group = iter(self._read())
                    for item in self._group:
                        return item
                raise StopIteration
            finally:
                self._reader = None

    def _check_reader(self) -> None:
        if self._process is None:
            self._process = process.number
        if self._process != process.number:
            raise RuntimeError("this iterator was begun in another process, before a fork: begin a new one here")
        if self._reader == threading.get_ident():
            raise ValueError("this iterator is already executing, in this very thread")

    def _read(self) -> Sequence[T]:
        try:
            return self._take()
        except StopAsyncIteration:
            self._ended = True
            return ()
        except CancelledError:
            if self._ended:
                raise RuntimeError("this iterator was closed by another thread while it was read") from None
            self._ended = True
            raise
        except BaseException as error:
            if not self._ended:
                self._ended = True
                self._end_source()
            show_core(error)
            raise

    def _end_source(self) -> None:
        try:
            self._line.end(self._source)
        except BaseException as error:
            self._line.end_soon(self._source)  # nobody else will
            if not isinstance(error, RuntimeError):  # that is: the client is closed, or this is the loop's own thread
                raise

    @abstractmethod
    def _take(self) -> Sequence[T]:
        """The next group. ``StopAsyncIteration``: there is none."""

    def __del__(self) -> None:
        # In this order: when the interpreter ends, the last of these may be gone already.
        if not self._ended and self._process is not None and self._line.is_used and self._process == process.number:
            self._line.end_soon(self._source)


class GroupStream(Stream[T]):
    """Asks for each group."""

    def __init__(self, line: Line, source: Groups[T]) -> None:
        super().__init__(line, source)
        self._groups = source

    def _take(self) -> Sequence[T]:
        self._groups.prepare()
        return self._line.read(self._groups)


class RowStream(Stream[Execution]):
    """Takes batches that come by themselves."""

    def __init__(self, line: Line, source: Ahead) -> None:
        super().__init__(line, source)
        self._ahead = source
        self._pump: Call | None = None  # here, for the source would lead back to itself, and to the client

    def _take(self) -> Sequence[Execution]:
        if self._pump is None:
            self._pump = self._line.begin(self._ahead)
        return self._line.take(self._ahead, self._pump)

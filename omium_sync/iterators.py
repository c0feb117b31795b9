"""Async generators as plain iterators: read on the loop a group at a time, handed out one by one in the thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Generic, Self, TypeVar

from .line import Line

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Iterator[T], Generic[T]):
    """Iterates once, in any number of threads, each item going to one of them. It may be left half-read, or closed."""

    def __init__(self, line: Line, source: AsyncGenerator[T]) -> None:
        self._line = line
        self._source = source
        self._group: Iterator[T] = iter(())
        self._lock = threading.Lock()
        self._reader: int | None = None
        self._process: int | None = None
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for item in self._group:
            return item
        return self._first_of_next()

    def close(self) -> None:
        """End it: what is under way for it is cancelled and has ended when this returns."""
        if self._process is not None and not self._ended and self._process == self._line.check_process(None):
            self._ended = True
            self._line.call(self._line.end, self._source)
        self._ended = True
        self._group = iter(())

    def _first_of_next(self) -> T:
        self._process = self._line.check_process(self._process)
        if self._reader == threading.get_ident():
            raise ValueError("this iterator is already executing, in this very thread")
        with self._lock:
            self._reader = threading.get_ident()
            try:
                for item in self._group:  # another thread has just read it
                    return item
                if self._ended:
                    raise StopIteration
                self._line.check_open()
                self._group = iter(self._read())
                return next(self._group)
            finally:
                self._reader = None

    def _read(self) -> Sequence[T]:
        try:
            return self._line.call(_next_group, self._line, self._source)
        except StopAsyncIteration:
            self._ended = True
            return ()
        except BaseException:
            self._ended = True
            raise

    def __del__(self) -> None:
        if self._process is not None and not self._ended:
            self._line.post(self._line.end, self._source)


async def _next_group(line: Line, source: AsyncGenerator[T]) -> Sequence[T]:
    line.opened(source)
    return (await anext(source),)

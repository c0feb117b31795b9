"""Plain iterators over what is read on the loop: a group of items crosses at a time, and is handed out one by one."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ._bridge.line import Line
from ._bridge.process import process
from ._bridge.reading import Reading

if TYPE_CHECKING:
    from ._bridge.call import Call
    from ._bridge.calls import Calls

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Iterator[T], Generic[T]):
    """Iterates once, in any number of threads, each item going to one of them. It may be left half-read, or closed."""

    def __init__(self, line: Line, reading: Reading[Any, T]) -> None:
        self._line = line
        self._reading = reading
        self._group: Iterator[T] = iter(())
        self._lock = threading.Lock()
        self._reader: int | None = None
        self._process: int | None = None  # in which it was begun
        self._begun: tuple[Calls, Call] | None = None
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for item in self._group:
            return item
        return self._first_of_next()

    def close(self) -> None:
        """End it: what is under way for it is cancelled and has ended when this returns."""
        self._ended = True
        self._group = iter(())
        if self._begun is not None and self._process == process.number:
            calls, call = self._begun
            calls.end(call)

    def _first_of_next(self) -> T:
        self._check_reader()
        with self._lock:
            for item in self._group:  # another thread has just read it
                return item
            while not self._ended:
                self._reader = threading.get_ident()
                try:
                    self._group = iter(self._take())
                except BaseException:
                    self.close()
                    raise
                finally:
                    self._reader = None
                for item in self._group:
                    return item
        raise StopIteration

    def _check_reader(self) -> None:
        if self._process is None:
            self._process = process.number
        if self._process != process.number:
            raise RuntimeError("this iterator was begun in another process, before a fork: begin a new one here")
        if self._reader == threading.get_ident():
            raise ValueError("this iterator is already executing, in this very thread")

    def _take(self) -> Sequence[T]:
        self._line.check_open()
        self._line.check_not_blocked()
        if self._begun is None:
            calls = self._line.connect()
            self._begun = calls, calls.read(self._reading)
        calls = self._begun[0]
        if not calls.thread.alive:
            raise RuntimeError("the loop that this iterator reads on has ended: begin a new one")
        calls.thread.check_other_thread()
        group = self._reading.take(calls.thread.notify)
        if group is not None:
            return group
        error, self._reading.error = self._reading.error, None
        was_closed, self._ended = self._ended, True
        if isinstance(error, CancelledError):
            if was_closed:
                raise RuntimeError("this iterator was closed by another thread while it was read")
            self._line.check_open()  # the client was closed just before this asked
        if error is None:
            return ()
        try:
            raise error
        finally:
            del error  # its traceback holds this frame

    def __del__(self) -> None:
        # In this order: when the interpreter ends, the last of these may be gone already.
        if self._begun is not None and self._begun[0].thread.alive and self._process == process.number:
            calls, call = self._begun
            calls.end_soon(call)

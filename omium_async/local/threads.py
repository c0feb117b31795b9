"""Daemon threads for calls that may block; they never delay the end of the server or the interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]


class _ThreadCall:
    __slots__ = ("context", "function", "future", "loop", "thread")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.function = function
        self.context = contextvars.copy_context()
        self.thread: threading.Thread | None = None

    def run(self) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.context.run(self.function)
        except BaseException as raised:  # noqa: BLE001 - the awaiting task receives it
            error = raised
        with contextlib.suppress(RuntimeError):  # the event loop was closed: nothing awaits the call
            self.loop.call_soon_threadsafe(self._deliver, result, error)

    def _deliver(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # a future cannot hold it
            self.future.set_exception(RuntimeError(f"the function raised {error!r}"))
        else:
            self.future.set_exception(error)


class Threads:
    """A pool of up to `limit` daemon threads, started as needed.

    A call cannot be interrupted. If its awaiting task is cancelled, its thread leaves the pool and ends with the call,
    and another thread may take its place.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._changed = threading.Condition()
        self._calls: deque[_ThreadCall] = deque()
        self._threads: set[threading.Thread] = set()  # without those that left the pool
        self._detached: set[threading.Thread] = set()
        self._idle = 0
        self._count = 0
        self._closing = False

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call the function in a thread with the context of the caller, and return its result."""
        call = _ThreadCall(functools.partial(function, *args, **kwargs))
        self._submit(call)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._detach(call)
            raise

    async def close(self, *, wait_for_busy: bool) -> None:
        """End all threads. Busy threads end with their calls; `wait_for_busy` waits for them."""
        self.abandon()
        while self._idle or (  # noqa: ASYNC110 - threads cannot set an event of the loop as their very last act
            wait_for_busy and (self._threads or self._detached)
        ):
            await asyncio.sleep(0.001)

    def abandon(self) -> None:
        """End all threads without waiting. Any thread may call it."""
        with self._changed:
            self._closing = True
            self._calls.clear()
            self._changed.notify_all()

    def _submit(self, call: _ThreadCall) -> None:
        with self._changed:
            self._calls.append(call)
            if self._idle >= len(self._calls):
                self._changed.notify()
            else:
                self._start_thread()

    def _start_thread(self) -> None:
        if len(self._threads) < self._limit:
            self._count += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._count}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _detach(self, call: _ThreadCall) -> None:
        with self._changed:
            if call.thread is None:
                with contextlib.suppress(ValueError):
                    self._calls.remove(call)
            elif call.thread in self._threads:
                self._threads.remove(call.thread)
                self._detached.add(call.thread)
                if self._calls:
                    self._start_thread()

    def _work(self) -> None:
        thread = threading.current_thread()
        while (call := self._next(thread)) is not None:
            call.run()
            with self._changed:
                call.thread = None

    def _next(self, thread: threading.Thread) -> _ThreadCall | None:
        with self._changed:
            while not self._calls or thread in self._detached:
                if self._closing or thread in self._detached:
                    self._threads.discard(thread)
                    self._detached.discard(thread)
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            call = self._calls.popleft()
            call.thread = thread
            return call

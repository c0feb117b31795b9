"""Daemon threads for calls that may block; they never delay the end of the server or the interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("omium_async.local.runs")

_STALLED: Final = 0.05  # seconds


class StepExit(BaseException):
    """Replaces a `SystemExit` or `KeyboardInterrupt` of a step, which would end the program; `__cause__` is it."""


class Threads:
    """Runs each call in a new thread: `usual` calls at once, and more while none of them ends.

    A step may wait for a step inside of it, and a workflow for an execution that it has created. So when calls are
    queued and none has begun for 0.05 s, more of them begin: as many as are running, but only one while the process is
    computing, because many computing threads would leave no time to the event loop.

    A call cannot be interrupted. If its awaiting task is cancelled, its thread ends with the call, and another call may
    begin meanwhile.
    """

    def __init__(self, usual: int, name: str) -> None:
        self._usual = usual
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._running = 0
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._growth: asyncio.TimerHandle | None = None
        self._warned = False

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call the function in a thread with the context of the caller, and return its result."""
        future: asyncio.Future[Any] = self._loop.create_future()
        call = functools.partial(contextvars.copy_context().run, functools.partial(function, *args, **kwargs))
        self._waiting.append((call, future))
        self._begin(self._usual)
        return await future

    def _begin(self, most: int) -> None:
        """Begin calls that wait, the oldest first, while fewer than `most` are running."""
        while self._waiting and self._running < most and self._start_thread(*self._waiting[0]):
            self._waiting.popleft()
            if self._growth is not None:
                self._growth.cancel()
                self._growth = None
        if self._waiting and self._growth is None:
            self._growth = self._loop.call_later(_STALLED, self._grow, self._loop.time(), time.process_time())

    def _start_thread(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> bool:
        """Return whether the call needs to wait no longer."""
        if future.done():  # its task was cancelled
            return True
        try:
            threading.Thread(target=_work, args=(call, self._loop, future), name=self._name, daemon=True).start()
        except RuntimeError as error:  # the system permits no other thread now
            self._warn(error)
            return False
        self._running += 1
        future.add_done_callback(self._end)
        return True

    def _end(self, _: asyncio.Future[Any]) -> None:
        self._running -= 1
        self._begin(self._usual)

    def _grow(self, stalled_since: float, computed: float) -> None:
        """Begin more calls. :param computed: seconds of the processor that the process had used at that time."""
        self._growth = None
        is_idle = time.process_time() - computed < (self._loop.time() - stalled_since) / 2
        self._begin(self._running + (max(self._running, 1) if is_idle else 1))

    def _warn(self, error: RuntimeError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%d calls of plain functions wait, because no thread can be started (%s): raise the number of threads "
                "that the system permits, or limit the executions that run at once (max_running)",
                len(self._waiting), error, extra={"omium_waiting": len(self._waiting)},
            )  # fmt: skip


def _work(call: Callable[[], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = call()
    except (KeyboardInterrupt, SystemExit) as raised:  # no Ctrl-C arrives here: the function itself raised it
        error = StepExit()
        error.__cause__ = raised
    except StopIteration as raised:  # a future cannot hold it
        error = RuntimeError(f"the function raised {raised!r}")
    except BaseException as raised:  # noqa: BLE001 - the awaiting task receives it
        error = raised
    with contextlib.suppress(RuntimeError):  # the event loop was closed: nothing awaits the call
        loop.call_soon_threadsafe(_deliver, future, result, error)


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

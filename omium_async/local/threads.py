"""Daemon threads for calls that may block; they never delay the end of the server or the interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StepExit", "Threads"]


class StepExit(BaseException):
    """Replaces a `SystemExit` or `KeyboardInterrupt` of a step, which would end the program; `__cause__` is it."""


class Threads:
    """Runs up to `limit` calls at once, each in a thread of its own.

    A call cannot be interrupted. If its awaiting task is cancelled, its thread ends with the call, and another call may
    begin meanwhile.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call the function in a thread with the context of the caller, and return its result."""
        async with self._slots:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Any] = loop.create_future()
            call = functools.partial(contextvars.copy_context().run, functools.partial(function, *args, **kwargs))
            threading.Thread(target=_work, args=(call, loop, future), name=self._name, daemon=True).start()
            return await future


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

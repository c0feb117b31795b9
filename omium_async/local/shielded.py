"""What is carried to its end, however often the one who waits for it is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["cancelled_once", "to_the_end"]

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns or raises. It runs in a task of its own, which nobody who is cancelled here cancels.

    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised when the work has ended.
    """
    task = asyncio.get_running_loop().create_task(work)
    interrupted: asyncio.CancelledError | None = None
    with _shield():
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                interrupted = error
    try:
        if interrupted is not None:
            if not task.cancelled():
                task.exception()  # seen, though nobody waits for it any more
            raise interrupted
        return task.result()
    finally:
        del interrupted  # it leads to this frame, which leads to it


async def cancelled_once(work: Coroutine[Any, Any, T], undo: Callable[[T], Coroutine[Any, Any, object]]) -> T:
    """What the work returns or raises. It is cancelled where the caller is, but once, and its end is waited for.

    In a cancelled scope of anyio, which cancels anew at each turn of the loop, it could close nothing.

    :param undo: is given the result where the work had ended well before it learned of the cancellation.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await to_the_end(_undone(task, undo))
        raise


async def _undone(task: asyncio.Task[T], undo: Callable[[T], Coroutine[Any, Any, object]]) -> None:
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        await undo(task.result())


def _shield() -> contextlib.AbstractContextManager[Any]:
    """Keeps a cancelled scope of anyio from cancelling anew at each turn of the loop. Where anyio was never imported
    there is none; its first scope would import a tenth of a second's worth, on the loop."""
    anyio = sys.modules.get("anyio")
    scope: contextlib.AbstractContextManager[Any] = (
        contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)
    )
    return scope

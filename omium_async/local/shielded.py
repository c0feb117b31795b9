"""Waits that finish their work although the waiting task is cancelled."""

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
    """Run the work in a task that a cancellation of the caller does not reach, and return its result.

    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised after the work has ended.
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
                task.exception()  # mark it as retrieved
            raise interrupted
        return task.result()
    finally:
        del interrupted  # break the reference cycle with this frame


async def cancelled_once(work: Coroutine[Any, Any, T], undo: Callable[[T], Coroutine[Any, Any, object]]) -> T:
    """Run the work, cancel it at most once if the caller is cancelled, and wait for its end.

    A cancelled scope of anyio cancels again in each turn of the event loop, so that the work could close nothing.

    :param undo: receives the result if the work had succeeded before the cancellation.
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
    """Shield from a cancelled scope of anyio. Without an import of anyio there is none, and importing it here would
    block the event loop for a tenth of a second."""
    anyio = sys.modules.get("anyio")
    scope: contextlib.AbstractContextManager[Any] = (
        contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)
    )
    return scope

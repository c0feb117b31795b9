"""Waits that finish their work although the waiting task is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from .._tasks import wait_until_done

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["cancelled_once", "to_the_end"]

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the work in a task that a cancellation of the caller does not reach, and return its result.

    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised after the work has ended.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        await wait_until_done([task])
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # mark it as retrieved
        raise
    return task.result()


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

"""What is carried to its end, however often the one who waits for it is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["to_the_end"]

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


def _shield() -> contextlib.AbstractContextManager[Any]:
    """Keeps a cancelled scope of anyio from cancelling anew at each turn of the loop. Where anyio was never imported
    there is none; its first scope would import a tenth of a second's worth, on the loop."""
    anyio = sys.modules.get("anyio")
    scope: contextlib.AbstractContextManager[Any] = (
        contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)
    )
    return scope

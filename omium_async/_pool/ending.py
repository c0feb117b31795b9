"""Waiting for what was told to end, however often the one who waits is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Collection
from typing import Any

__all__ = ["ended"]


async def ended(awaited: Collection[asyncio.Future[Any]]) -> None:
    """Wait until all of these have ended. They have been told to: a cancellation of the caller leaves none behind.

    :param awaited: tasks and futures; what they gave or raised is left to whoever wants it.
    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised once, when all have ended.
    """
    interrupted: asyncio.CancelledError | None = None
    try:
        with _shield():
            while unfinished := [future for future in awaited if not future.done()]:
                try:
                    await asyncio.wait(unfinished)
                except asyncio.CancelledError as error:
                    interrupted = error
        if interrupted is not None:
            raise interrupted
    finally:
        del interrupted  # it leads to this frame, which leads to it


def _shield() -> contextlib.AbstractContextManager[Any]:
    """Keeps a cancelled scope of anyio from cancelling anew at each turn of the loop, as it does until its task leaves.

    That would never end where waiting itself takes a turn, and keep a core busy where it takes longer. Where anyio was
    never imported there is no such scope, and it is not imported for it.
    """
    anyio = sys.modules.get("anyio")
    if anyio is None or not hasattr(anyio, "CancelScope") or asyncio.current_task() is None:
        return contextlib.nullcontext()
    shield: contextlib.AbstractContextManager[Any] = anyio.CancelScope(shield=True)
    return shield

"""Wait for tasks that were cancelled, also if the waiting task is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Collection
from typing import Any


async def wait_until_done(futures: Collection[asyncio.Future[Any]]) -> None:
    """Wait until all of these tasks and futures are done; their results and exceptions are not read.

    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised once, after all are done.
    """
    interrupted: asyncio.CancelledError | None = None
    try:
        with _shield_from_scopes():
            while pending := [future for future in futures if not future.done()]:
                try:
                    await asyncio.wait(pending)
                except asyncio.CancelledError as error:
                    interrupted = error
        if interrupted is not None:
            raise interrupted
    finally:
        del interrupted  # its traceback refers to this frame


def _shield_from_scopes() -> contextlib.AbstractContextManager[Any]:
    """Keep a cancelled anyio scope from cancelling this task again at each iteration of the event loop.

    Without anyio imported there is no such scope, and importing it here would take a tenth of a second.
    """
    anyio = sys.modules.get("anyio")
    if anyio is None or not hasattr(anyio, "CancelScope") or asyncio.current_task() is None:
        return contextlib.nullcontext()
    shield: contextlib.AbstractContextManager[Any] = anyio.CancelScope(shield=True)
    return shield

"""Detects sync calls that would wait for ever for a server on the event loop that they block."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .running import RunningServer

__all__ = ["check_not_blocked", "started_here", "stopped"]

#: The process and the thread that started each server.
_started: weakref.WeakKeyDictionary[RunningServer, tuple[int, int]] = weakref.WeakKeyDictionary()


def started_here(serving: RunningServer) -> None:
    """Record the server, which the current event loop has just started."""
    _started[serving] = os.getpid(), threading.get_ident()


def stopped(serving: RunningServer) -> None:
    """Remove a server that stops."""
    _started.pop(serving, None)


def check_not_blocked(base_url: str) -> None:
    """Check a URL before this thread blocks for its response.

    :raises RuntimeError: a LocalOmium serves it from an event loop of this thread.
    """
    port, here = (
        _local_port(base_url),
        (os.getpid(), threading.get_ident()),
    )  # a child process may call its parent's server
    for serving, where in list(_started.items()) if port else ():
        if serving.port != port or where != here:
            continue
        if (
            not serving.loop.is_running() or _running_loop() is serving.loop
        ):  # otherwise another thread runs the loop now
            raise RuntimeError(
                f"this call would wait for itself: the LocalOmium at http://127.0.0.1:{port} runs on the event loop of "
                "this thread, which the call blocks; use AsyncOmium here, or omium_sync.LocalOmium, which runs in "
                "another thread"
            )


@lru_cache(64)
def _local_port(base_url: str) -> int | None:
    parts = urlsplit(base_url)
    return parts.port if parts.hostname in {"127.0.0.1", "localhost"} else None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

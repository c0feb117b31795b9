"""Notices a client that would wait for ever: for a server whose event loop it keeps from answering."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .started import Started

__all__ = ["check_not_blocked", "started_here", "stopped"]

#: The process and the thread in which each was started.
_started: weakref.WeakKeyDictionary[Started, tuple[int, int]] = weakref.WeakKeyDictionary()


def started_here(serving: Started) -> None:
    """Have calls told that would block the loop which has just started this one."""
    _started[serving] = os.getpid(), threading.get_ident()


def stopped(serving: Started) -> None:
    """No call can block on this one any more."""
    _started.pop(serving, None)


def check_not_blocked(base_url: str) -> None:
    """To be asked before this thread blocks until the URL has answered.

    :raises RuntimeError: a LocalOmium serves it from an event loop of this very thread.
    """
    port, here = _local_port(base_url), (os.getpid(), threading.get_ident())  # a child may call its parent's server
    for serving, where in list(_started.items()) if port else ():
        if serving.port != port or where != here:
            continue
        if not serving.loop.is_running() or _running_loop() is serving.loop:  # else it runs in another thread by now
            raise RuntimeError(
                f"this call would wait for itself: the LocalOmium at http://127.0.0.1:{port} is served by the event "
                "loop of this very thread, which the call blocks; use AsyncOmium here, or omium_sync.LocalOmium, which "
                "is served from a thread of its own"
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

"""What a forked child of the server must not hold on to.

A lock and a listening socket are in use until the last copy of their descriptor is closed: with one in a child that
lives on, the database and the port of a server that has died would stay taken.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["not_for_children"]


class _Closable(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[_Closable] = weakref.WeakSet()


def not_for_children(thing: _Closable) -> None:
    """Has the thing closed in every child that this process forks from now on."""
    _open.add(thing)


def _close_all() -> None:
    for thing in list(_open):
        thing.close()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_close_all)

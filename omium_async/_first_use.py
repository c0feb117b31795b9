"""The import of a package's public names, when one of them is first used.

A child process that is forked while another thread imports has modules that are half initialized, and import locks that
nobody releases. So a fork waits until an import that is in progress has ended, as it waits for the locks of `logging`.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from types import ModuleType
from typing import Final

__all__ = ["import_exports"]

_ = logging  # imported first: its hooks for forks then run after those of this module, and the import needs its lock

_LONGEST_WAIT: Final = 10.0  # seconds that a fork waits; the import takes less than one on an idle machine


class _ImportState:
    """The packages that a thread imports while it holds the lock, innermost last.

    :ivar lock: reentrant, because the public names of omium_sync need those of omium_async.
    :ivar fork_holds: the forking thread has acquired the lock.
    :ivar cut: this process was forked within an import of another thread, which took too long.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.importing: list[str] = []
        self.fork_holds = False
        self.cut = False


_state: Final = _ImportState()


def import_exports(package: str, module: str) -> ModuleType:
    """Import the module of a package that exports public names.

    :raises ImportError: the handler of a signal interrupted the same import, or the process was forked within it.
    """
    with _state.lock:
        if _state.cut:
            raise ImportError(f"the process forked while another thread imported {package}: import it before the fork")
        if package in _state.importing:
            raise ImportError(
                f"a signal handler used {package} for the first time while the program did: use a name of {package}, "
                f"such as its client, before the handler is installed"
            )
        _state.importing.append(package)
        try:
            return importlib.import_module(f".{module}", package)
        finally:
            _state.importing.remove(package)


def _before_fork() -> None:
    _state.fork_holds = _state.lock.acquire(timeout=_LONGEST_WAIT)


def _after_fork() -> None:
    if _state.fork_holds:
        _state.lock.release()


def _after_fork_in_child() -> None:
    if _state.fork_holds:
        _state.lock.release()
    else:
        _state.lock, _state.cut = threading.RLock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)

"""Locks that keep two servers from one database file, and descriptors that forked children must not keep."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from .errors import DatabaseInUseError, LocalOmiumError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FileLock", "close_in_children"]


class _Handle(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[_Handle] = weakref.WeakSet()


def close_in_children(thing: _Handle) -> None:
    """Close a lock or a listening socket in every child that this process forks.

    Otherwise database and port stay in use after the end of the server, as long as a child lives.
    """
    _open.add(thing)


def _close_all() -> None:
    for thing in list(_open):
        thing.close()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_close_all)

#: The databases that this process serves by device and inode, each with a function that releases an abandoned one.
_held: Final[dict[tuple[int, int], Callable[[], None]]] = {}
_guard: Final = threading.Lock()


class FileLock:
    """Locks a database for this server; the system releases the lock when the process ends in any way.

    It locks two files, because someone may remove one: `<database>-lock` and the database itself. One process never
    opens a database twice: closing it would drop SQLite's locks, which POSIX ties to the process.

    :param give_up: called when another server of this process wants the database; releases it if the event loop of its
        server was closed without a stop.
    :raises LocalOmiumError: another server uses the database.
    """

    def __init__(self, database: Path, give_up: Callable[[], None]) -> None:
        if sys.platform == "win32":
            raise LocalOmiumError("LocalOmium with a database file needs POSIX file locks; use database=None here")
        self._database = database
        self._files: list[_LockedFile] = []
        found = database.stat()
        self._identity = (found.st_dev, found.st_ino)
        holder = _held.get(self._identity)
        if holder is not None:
            holder()
        with _guard:
            if self._identity in _held:
                raise self._in_use()
            _held[self._identity] = give_up
        try:
            self._lock(f"{database}-lock", os.O_CREAT)
            self._lock(str(database), 0)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the locks, after SQLite has closed the database."""
        for file in self._files:
            file.release()
        self._files.clear()
        with _guard:
            _held.pop(self._identity, None)

    def _lock(self, path: str, flags: int) -> None:
        # Never follow a link in the place of the lock: its target would be opened for writing.
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LocalOmiumError(f"{path} is a link; remove it") from None
            raise
        file = _LockedFile(fd)
        try:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & 0o077 and os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, mode & 0o700)
            locked = file.lock()
        except BaseException:
            file.close()
            raise
        if not locked:
            file.close()
            raise self._in_use()
        self._files.append(file)

    def _in_use(self) -> DatabaseInUseError:
        return DatabaseInUseError(
            f"{self._database} is in use by another LocalOmium; stop that one, or use another database"
        )


class _LockedFile:
    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "rb", buffering=0)
        close_in_children(self)

    def lock(self) -> bool:
        """Return whether the file is locked now."""
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not on Windows, where servers in memory work

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def release(self) -> None:
        if sys.platform != "win32" and not self._file.closed:
            import fcntl  # noqa: PLC0415

            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing does not release it while a child has a copy
        self._file.close()

    def close(self) -> None:
        self._file.close()

"""One server on a database file at a time, whatever becomes of the lock's own file."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from typing import TYPE_CHECKING, Final

from .errors import DatabaseInUseError, LocalOmiumError
from .forks import not_for_children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FileLock"]

#: By device and inode, the databases that this process serves, each with what lets go of it if nobody can use it.
_held: Final[dict[tuple[int, int], Callable[[], None]]] = {}
_guard: Final = threading.Lock()


class FileLock:
    """Holds a database for this server alone; the system frees it when the process dies, however it dies.

    Two files are locked: `<database>-lock`, and the database itself, which nobody can remove from under the server
    without taking the executions along. Within one process the database is not even opened a second time: closing it
    would drop the locks that SQLite holds on it (POSIX ties them to the process).

    :param give_up: asked when another server of this process wants the database: lets go of it, if that one's loop has
        been closed without a stop.
    :raises LocalOmiumError: another has it.
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
        """Called when SQLite has closed the database."""
        for file in self._files:
            file.release()
        self._files.clear()
        with _guard:
            _held.pop(self._identity, None)

    def _lock(self, path: str, flags: int) -> None:
        # A link that somebody laid in the lock's place is not followed: it would be opened for writing.
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LocalOmiumError(f"{path} is a link, which is not followed; remove it") from None
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
        not_for_children(self)

    def lock(self) -> bool:
        """Whether nobody else has it."""
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not on Windows, where a server in memory still works

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def release(self) -> None:
        if sys.platform != "win32" and not self._file.closed:
            import fcntl  # noqa: PLC0415

            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing alone would not free it, if some child has a copy
        self._file.close()

    def close(self) -> None:
        self._file.close()

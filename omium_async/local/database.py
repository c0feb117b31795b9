"""The SQLite database of a running server, which one thread reads and writes (`Commits` of `_data/sqlite.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from .._data.sqlite import Commits, UnusableFileError, check_file, connect, kind_of, prepare, unusable
from .errors import DatabaseInUseError, LocalOmiumError
from .tables import FORMAT, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")

_log = logging.getLogger("omium_async.local.database")

_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for a lock that another program holds
_PAUSES: Final = (0.05, 5.0)  # seconds: the first and the longest delay before a repeated write
_STATEMENTS_KEPT: Final = 256
_TRANSIENT: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class Database:
    """The database of a running server, on its event loop.

    With a file, each write that has returned survives the process. Without one, all data is in memory.
    """

    def __init__(self) -> None:
        self._commits = Commits("omium-local-database")
        self._closed = False
        self._failing = False

    @classmethod
    async def open(cls, path: Path | None) -> Database:
        """Open or create the file, or create a database in memory.

        :raises LocalOmiumError: it cannot be used; the message says why.
        """
        database = cls()
        await database._commits.open(partial(_opened, path))
        return database

    async def do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a transaction, and return when it is committed. Jobs run in the order of the calls."""
        if self._closed:
            raise LocalOmiumError("the server has been stopped")
        return await self._commits.do(job)

    async def insist(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job of a run, and repeat it after transient errors, such as a lock or a full disk."""
        pause, longest = _PAUSES
        while True:
            try:
                result = await self.do(job)
            except sqlite3.Error as error:
                if kind_of(error) not in _TRANSIENT:
                    raise
                self._log_failure(error)
            else:
                self._log_success()
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def close(self) -> None:
        """Close the database after all submitted jobs."""
        self._closed = True
        await self._commits.close()

    def _log_failure(self, error: sqlite3.Error) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(
                "the database cannot be written (%s): runs wait until it can", error,
                extra={"omium_error": type(error).__name__},
            )  # fmt: skip

    def _log_success(self) -> None:
        if self._failing:
            self._failing = False
            _log.warning("the database can be written again: runs continue")


# -- opening -----------------------------------------------------------------------------------------------------------

#: The id of this process, and each database that it serves.
_served: Final[set[tuple[int, Path]]] = set()
_guard: Final = threading.Lock()


@contextlib.contextmanager
def _opened(path: Path | None) -> Generator[sqlite3.Connection]:
    """Open a database that this server alone uses; an unusable file is left unchanged."""
    if path is None:
        connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=_STATEMENTS_KEPT)
        with contextlib.closing(connection):
            connection.executescript(f"PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; {TABLES}")
            yield connection
        return
    with contextlib.ExitStack() as opened:
        try:
            path = Path(os.path.realpath(path))  # SQLite names its other files after the target of a link
            check_file(path)
            opened.enter_context(_locked(path))
            connection = connect(path, timeout=_BUSY_TIMEOUT, cached_statements=_STATEMENTS_KEPT)
            opened.callback(connection.close)
            prepare(connection, FORMAT)
        except (OSError, sqlite3.Error, UnicodeDecodeError, UnusableFileError) as error:
            raise explained(path, error) from error
        yield connection


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Lock the file `<database>-lock`, so that no other server uses the database.

    The system releases the lock when the process ends in any way, and forked children do not inherit it. Closing any
    descriptor of a file releases all locks that the process has on it, so no process opens the file twice.
    """
    if sys.platform == "win32":
        raise LocalOmiumError("LocalOmium with a database file needs POSIX file locks; use database=None here")
    import fcntl  # noqa: PLC0415 - not on Windows, where servers in memory work

    in_use = DatabaseInUseError(f"{path} is in use by another LocalOmium; stop that one, or use another database")
    identity = os.getpid(), path
    with _guard:
        if identity in _served:
            raise in_use
        _served.add(identity)
    lock = -1
    try:
        lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # systems differ
            raise in_use from None
        yield
    finally:
        if lock >= 0:
            os.close(lock)
        _served.discard(identity)


def explained(path: Path | None, error: Exception) -> LocalOmiumError:
    """Describe why a database cannot be used."""
    where = "the database in memory" if path is None else path
    if isinstance(error, UnicodeDecodeError):  # another program stored bytes as text
        return LocalOmiumError(f"{where} is damaged: it contains invalid text; use another database")
    return LocalOmiumError(f"{where} {unusable(error)}")

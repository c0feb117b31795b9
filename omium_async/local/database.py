"""The SQLite database of a running server: one thread reads and writes it, so that the event loop is never blocked.

A job is a function of the connection. Each job is atomic: an exception undoes this job alone. Jobs that wait are
committed together, so that many small writes share one flush to disk; a job returns only after that flush.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from .._data.sqlite import UnusableFileError, check_file, connect, prepare, unusable
from .errors import DatabaseInUseError, LocalOmiumError
from .tables import FORMAT, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")

_log = logging.getLogger("omium_async.local.database")

_JOBS_PER_COMMIT: Final = 512  # limits how long the first job of a batch waits for the last
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


@attrs.define(eq=False)
class _Job:
    function: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT job")
        try:
            self.result = self.function(connection)
        except BaseException as error:  # noqa: BLE001 - the awaiting task receives it
            self.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def deliver(self) -> None:
        if self.future.done():  # the awaiting task was cancelled; the write is kept
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Database:
    """The database of a running server, on its event loop.

    With a file, each write that has returned survives the process. Without one, all data is in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="omium-local-database", daemon=True)
        self._closed = False
        self._failing = False

    @classmethod
    async def open(cls, path: Path | None) -> Database:
        """Open or create the file, or create a database in memory.

        :raises LocalOmiumError: it cannot be used; the message says why.
        """
        database = cls(path)
        database._thread.start()  # opening may wait for the disk
        await database._ready
        return database

    async def do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a transaction, and return when it is committed. Jobs run in the order of the calls."""
        if self._closed:
            raise LocalOmiumError("the server has been stopped")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(job, future))
        return await future

    async def insist(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job of a run, and repeat it after transient errors, such as a lock or a full disk."""
        pause, longest = _PAUSES
        while True:
            try:
                result = await self.do(job)
            except sqlite3.Error as error:
                if _kind(error) not in _TRANSIENT:
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
        self._jobs.put(None)
        while self._thread.is_alive():  # noqa: ASYNC110 - a thread cannot set an event of the loop as its last act
            await asyncio.sleep(0.001)

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

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with _opened(self._path) as connection:
                self._call_soon(self._set_ready, None)
                while batch := self._next_batch():
                    _transact(connection, batch)
                    self._call_soon(_deliver, batch)
        except BaseException as error:  # noqa: BLE001 - `open` raises it
            self._call_soon(self._set_ready, error)

    def _next_batch(self) -> list[_Job]:
        """Return all jobs that wait, at least one; none at the end."""
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _JOBS_PER_COMMIT:
                return batch
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._jobs.put(None)  # repeat the end after this batch
        return batch

    def _call_soon(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop was closed: nothing awaits the jobs
            self._loop.call_soon_threadsafe(function, *args)

    def _set_ready(self, error: BaseException | None) -> None:
        if self._ready.done():
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(error)


def _transact(connection: sqlite3.Connection, batch: list[_Job]) -> None:
    """Run jobs in one transaction. If that fails, nothing was written, and each job runs in its own."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.run(connection)
        connection.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - the awaiting tasks receive it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        alone = len(batch) == 1 or (isinstance(error, sqlite3.Error) and _kind(error) == sqlite3.SQLITE_BUSY)
        for job in batch:
            if alone:
                job.error = job.error or error
            else:
                job.error = None
                _transact(connection, [job])


def _deliver(batch: list[_Job]) -> None:
    for job in batch:
        job.deliver()


def _kind(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or 0  # errors of the module itself have no code
    return code & 0xFF  # the other bits are subtypes


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

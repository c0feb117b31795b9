"""SQLite without blocking the event loop: one writer thread and, for a file, a few reader threads.

A job is a function of a connection. Each write job is atomic: an exception undoes this job alone. Jobs that wait are
committed together, so that many small writes share one flush to disk; a job returns only after that flush.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import LocalOmiumError
from .tables import open_file, open_memory
from .threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .tables import OpenDatabase

__all__ = ["Database", "Persistence"]

T = TypeVar("T")

_log = logging.getLogger("omium_async.local.database")

_READERS: Final = 2
_JOBS_PER_COMMIT: Final = 512  # limits how long the first job of a batch waits for the last
_PATIENCE: Final = 5.0  # seconds that a job waits for a lock of another program
_POLL: Final = 0.02  # seconds between checks of that lock
_PAUSES: Final = (0.05, 5.0)  # seconds: the first and the longest delay before a repeated write
_LOG_EVERY: Final = 60.0  # seconds between warnings while the database fails
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


def _is_transient(error: sqlite3.Error) -> bool:
    """Return whether the same job may succeed later, as after a lock or a full disk."""
    return _kind(error) in _TRANSIENT


def _kind(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or 0  # errors of the module itself have no code
    return code & 0xFF  # the other bits are subtypes


class _Job:
    __slots__ = ("asked_at", "error", "function", "future", "result")

    def __init__(self, function: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        self.asked_at = time.monotonic()
        self.result: Any = None
        self.error: BaseException | None = None

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
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._threads = Threads(_READERS, "omium-local-reader")
        self._writer = threading.Thread(target=self._work, name="omium-local-writer", daemon=True)
        self._closing = threading.Event()

    @classmethod
    async def open(cls, path: Path | None) -> Database:
        """Open or create the file, or create a database in memory.

        :raises LocalOmiumError: it cannot be used; the message says why.
        """
        database = cls(path)
        database._writer.start()  # opening may wait for the disk
        try:
            await asyncio.shield(database._ready)
        except asyncio.CancelledError:
            database._ready.add_done_callback(
                lambda ready: ready.cancelled() or ready.exception()
            )  # nothing awaits it now
            await database.close()
            raise
        return database

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a transaction, and return when it is committed. Jobs run in the order of the calls."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(job, future))
        return await future

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job on one consistent state, which includes every write that has returned."""
        if self._path is None:  # there is only one connection
            return await self.write(job)
        self._check_open()
        result: T = await self._threads.run(self._read, job)
        return result

    async def close(self) -> None:
        """Close the database after all submitted jobs."""
        if not self._closing.is_set():
            self._closing.set()
            await self._threads.close(wait_for_busy=True)
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        while self._writer.is_alive():  # noqa: ASYNC110 - the thread executes its last instructions
            await asyncio.sleep(0)

    def abandon(self) -> None:
        """Release the file after the event loop was closed. Any thread may call it."""
        self._closing.set()
        self._threads.abandon()
        self._jobs.put(None)
        self._writer.join()

    def _give_up(self) -> None:
        if self._loop.is_closed():
            self.abandon()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise LocalOmiumError("the server has been stopped")

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._readers.get()
        try:
            connection.execute("BEGIN")
            try:
                return job(connection)
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._readers.put(connection)

    def _work(self) -> None:
        """Run in the writer thread."""
        try:
            opened = open_memory() if self._path is None else open_file(self._path, _READERS, self._give_up)
            try:
                self._serve(opened)
            finally:
                opened.close()  # the readers are idle: see close
        except BaseException as error:  # noqa: BLE001 - `open` raises it
            self._call_soon(self._set_ready, error)
        self._call_soon(self._set_ended)

    def _serve(self, opened: OpenDatabase) -> None:
        for connection in opened.readers:
            self._readers.put(connection)
        self._call_soon(self._set_ready, None)
        while batch := self._next_batch():
            self._carry_out(opened.writer, batch)

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

    def _carry_out(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        if not self._commit(connection, batch) and len(batch) > 1:
            # One job failed the transaction, for example by a full disk, and undid all: run each alone.
            for job in batch:
                job.error = None
                self._commit(connection, [job])
        self._call_soon(_deliver_all, batch)

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> bool:
        """Return whether the jobs were committed or rejected. If not, nothing was written and each has an error."""
        try:
            if not self._begin(connection, batch):
                return True
            for job in batch:
                job.run(connection)
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - the awaiting tasks receive it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = job.error or error
            return False
        return True

    def _begin(self, connection: sqlite3.Connection, batch: list[_Job]) -> bool:
        """Begin a transaction. While another program locks the file, each job waits for some seconds from its request;
        later jobs fail and leave the batch. Return whether jobs are left."""
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _kind(error) != sqlite3.SQLITE_BUSY:
                    raise
                self._fail_late(batch, error)
                if not batch:
                    return False
                self._closing.wait(_POLL)
            else:
                return True

    def _fail_late(self, batch: list[_Job], error: sqlite3.Error) -> None:
        oldest = time.monotonic() - (0 if self._closing.is_set() else _PATIENCE)
        late = [job for job in batch if job.asked_at <= oldest]
        for job in late:
            job.error = error
        batch[:] = [job for job in batch if job.error is None]
        self._call_soon(_deliver_all, late)

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

    def _set_ended(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def _deliver_all(batch: list[_Job]) -> None:
    for job in batch:
        job.deliver()


class Persistence:
    """Writes of runs, which are repeated after transient errors, such as a lock or a full disk.

    :ivar now: returns the current time, as it is stored.
    """

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self.now = now
        self._database = database
        self._failing_since: float | None = None
        self._logged_at = 0.0

    async def insist(self, job: Callable[[sqlite3.Connection], T], unless: Callable[[], bool] = lambda: False) -> T:
        """Run a write job, and repeat it after transient errors.

        :param unless: returns whether the job is no longer needed; then the last error is raised.
        """
        pause, longest = _PAUSES
        while True:
            try:
                result = await self._database.write(job)
            except sqlite3.Error as error:
                if not _is_transient(error) or unless():
                    raise
                self._log_failure(error)
            else:
                self._log_success()
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    def _log_failure(self, error: sqlite3.Error) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._logged_at < _LOG_EVERY:
            return
        self._logged_at = now
        _log.warning(
            "the database cannot be written (%s): runs wait until it can",
            error,
            extra={"omium_error": type(error).__name__, "omium_outage": now - self._failing_since},
        )

    def _log_success(self) -> None:
        if self._failing_since is not None:
            away = time.monotonic() - self._failing_since
            self._failing_since = None
            _log.warning(
                "the database can be written again, after %.0f s: runs continue", away, extra={"omium_outage": away}
            )

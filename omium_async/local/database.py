"""Runs jobs on SQLite without ever blocking the event loop: one writer, and for a file a few readers, in threads.

A job is a function of a connection. Each write job is atomic: what it raises undoes it, and nothing else. The jobs that
wait are committed together, so that many small writes share one flush to the disk; a job counts as done, and its
awaiter goes on, only after that flush.
"""

from __future__ import annotations

import asyncio
import contextlib
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

__all__ = ["Database", "will_pass"]

T = TypeVar("T")

_READERS: Final = 2
_JOBS_PER_COMMIT: Final = 512  # bounds how long the first of a batch waits for the last
_PATIENCE: Final = 5.0  # seconds that each job waits for another program that has locked the file
_LOOK_EVERY: Final = 0.02  # seconds between looks at whether it has let go
_PASSING: Final = frozenset(
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


def will_pass(error: sqlite3.Error) -> bool:
    """Whether the same job may succeed later: a lock, a full disk and the like have an end."""
    return _kind(error) in _PASSING


def _kind(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or 0  # the module's own errors have none
    return code & 0xFF  # the rest tells varieties apart


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
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who awaits, whatever it is
            self.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def deliver(self) -> None:
        if self.future.done():  # its awaiter was cancelled; the write stands all the same
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Database:
    """Where jobs run; one per started server, on the loop that started it.

    A file is durable with each write that has returned, whatever happens to the process; without one, all is in memory
    and ends with the server.
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
        """Opens or creates the file, or makes a database in memory.

        :raises LocalOmiumError: it cannot be used; the message says why.
        """
        database = cls(path)
        database._writer.start()  # opening may wait for the disk, too
        try:
            await asyncio.shield(database._ready)
        except asyncio.CancelledError:
            database._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # nobody asks now
            await database.close()
            raise
        return database

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the job in a transaction; returns when it is committed. Jobs run in the order of the calls."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(job, future))
        return await future

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the job on one consistent state that includes every write that has returned."""
        if self._path is None:  # there is one connection only
            return await self.write(job)
        self._check_open()
        result: T = await self._threads.run(self._read, job)
        return result

    async def close(self) -> None:
        """Ends after all jobs that were handed over have run, or been refused."""
        if not self._closing.is_set():
            self._closing.set()
            await self._threads.close(wait_for_busy=True)
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        while self._writer.is_alive():  # noqa: ASYNC110 - it has said that it ends: its last instructions
            await asyncio.sleep(0)

    def abandon(self) -> None:
        """Lets go of the file when the loop has been closed: nobody awaits anything any more. From any thread."""
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
        """The life of the writer thread."""
        try:
            opened = open_memory() if self._path is None else open_file(self._path, _READERS, self._give_up)
            try:
                self._serve(opened)
            finally:
                opened.close()  # the readers are not in use any more: see close
        except BaseException as error:  # noqa: BLE001 - the one who opens is told
            self._tell(self._set_ready, error)
        self._tell(self._set_ended)

    def _serve(self, opened: OpenDatabase) -> None:
        for connection in opened.readers:
            self._readers.put(connection)
        self._tell(self._set_ready, None)
        while batch := self._next_batch():
            self._carry_out(opened.writer, batch)

    def _next_batch(self) -> list[_Job]:
        """All jobs that wait, at least one; none at the end."""
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
            self._jobs.put(None)  # the end was seen while collecting: it comes again after this batch
        return batch

    def _carry_out(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        if not self._commit(connection, batch) and len(batch) > 1:
            # One of them broke the transaction, say by filling the disk, and all were undone: each for itself, then.
            for job in batch:
                job.error = None
                self._commit(connection, [job])
        self._tell(_deliver_all, batch)

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> bool:
        """Whether the jobs were committed, or refused for good; if not, nothing was written and each has an error."""
        try:
            if not self._begin(connection, batch):
                return True
            for job in batch:
                job.run(connection)
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - it belongs to those who await
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = job.error or error
            return False
        return True

    def _begin(self, connection: sqlite3.Connection, batch: list[_Job]) -> bool:
        """Begins a transaction. While another program has the file locked, each job waits its own few seconds, counted
        from when it was asked for: those that are over are refused, and taken out of the batch."""
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _kind(error) != sqlite3.SQLITE_BUSY:
                    raise
                self._refuse_late(batch, error)
                if not batch:
                    return False
                self._closing.wait(_LOOK_EVERY)
            else:
                return True

    def _refuse_late(self, batch: list[_Job], error: sqlite3.Error) -> None:
        oldest = time.monotonic() - (0 if self._closing.is_set() else _PATIENCE)
        late = [job for job in batch if job.asked_at <= oldest]
        for job in late:
            job.error = error
        batch[:] = [job for job in batch if job.error is None]
        self._tell(_deliver_all, late)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile: nobody awaits any more
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

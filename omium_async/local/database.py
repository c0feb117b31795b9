"""Runs jobs on SQLite without ever blocking the event loop: one writer, a few readers.

A job is a function of a connection. Each write job is atomic: what it raises undoes it, and nothing else. On a file,
the jobs that wait are committed together, so that many small writes share one flush to the disk; a job counts as done,
and its awaiter goes on, only after that flush. In memory every job is short, and runs at once where it is called.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import LocalOmiumError
from .schema import open_database, open_memory, open_reader
from .threads import Threads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Database", "FileDatabase", "MemoryDatabase"]

T = TypeVar("T")

_READERS: Final = 2
_JOBS_PER_COMMIT: Final = 512  # bounds how long the first of a batch waits for the last


class Database:
    """Where jobs run; one per started server, on the loop that started it."""

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the job in a transaction; returns when it is committed. Jobs run in the order of the calls."""
        raise NotImplementedError

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the job on one consistent state that includes every write that has returned."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends after all jobs that were handed over have run."""
        raise NotImplementedError


class MemoryDatabase(Database):
    """A database that ends with the server."""

    def __init__(self) -> None:
        self._connection = open_memory()

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            result = job(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return job(self._connection)

    async def close(self) -> None:
        self._connection.close()


class _Job:
    __slots__ = ("error", "function", "future", "result")

    def __init__(self, function: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
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


class FileDatabase(Database):
    """A database file: durable with each write that has returned, whatever happens to the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._threads = Threads(_READERS, "omium-local-reader")
        self._writer = threading.Thread(target=self._write_all, name="omium-local-writer", daemon=True)
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> FileDatabase:
        """Opens or creates the file; raises LocalOmiumError that says what is wrong with it."""
        database = cls(path)
        database._writer.start()  # opening may wait for the disk, too
        try:
            await asyncio.shield(database._ready)
        except asyncio.CancelledError:
            await database.close()
            raise
        return database

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise LocalOmiumError("the server has been stopped")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(job, future))
        return await future

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise LocalOmiumError("the server has been stopped")
        result: T = await self._threads.run(self._read, job)
        return result

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._threads.close(wait_for_busy=True)
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        while self._writer.is_alive():  # noqa: ASYNC110 - it has said that it ends: its last instructions
            await asyncio.sleep(0)

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

    def _write_all(self) -> None:
        """The life of the writer thread."""
        try:
            connection, lock = open_database(self._path)
            try:
                for _ in range(_READERS):
                    self._readers.put(open_reader(self._path))
                self._tell(self._set_ready, None)
                while batch := self._next_batch():
                    self._commit(connection, batch)
            finally:
                while not self._readers.empty():  # none is in use any more: see close
                    self._readers.get().close()
                connection.close()
                lock.release()
        except BaseException as error:  # noqa: BLE001 - the one who opens is told
            self._tell(self._set_ready, error)
        self._tell(self._set_ended)

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

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        if not _commit_together(connection, batch) and len(batch) > 1:
            # One of them broke the transaction, say by filling the disk, and all were undone: each for itself, then.
            for job in batch:
                job.error = None
                _commit_together(connection, [job])
        self._tell(_deliver_all, batch)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile: nobody awaits any more
            self._loop.call_soon_threadsafe(function, *args)

    def _set_ready(self, error: BaseException | None) -> None:
        if self._ready.done():
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._closed = True
            self._ready.set_exception(error)

    def _set_ended(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def _commit_together(connection: sqlite3.Connection, batch: list[_Job]) -> bool:
    """Whether the jobs were committed; if not, nothing was written and each has an error."""
    try:
        connection.execute("BEGIN IMMEDIATE")
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


def _deliver_all(batch: list[_Job]) -> None:
    for job in batch:
        job.deliver()

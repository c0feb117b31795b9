"""SQLite files of this package: readable by their owner only, checked before they are used, and written by a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import stat
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import attrs

T = TypeVar("T")

_JOBS_PER_COMMIT: Final = 512  # limits how long the first job of a commit waits for the last


class UnusableFileError(Exception):
    """A file cannot be used. Its text follows the file's name in messages: "is read-only; ...".

    :ivar is_locked: whether another program has locked it, so that it may be usable later.
    """

    def __init__(self, said: str, *, is_locked: bool = False) -> None:
        super().__init__(said)
        self.is_locked = is_locked


class Format(NamedTuple):
    """The format of a kind of file.

    :ivar application_id: marks files of this kind.
    :ivar version: the version of the tables.
    :ivar tables: the statements that create the tables.
    """

    application_id: int
    version: int
    tables: str


_LOCKED: Final = "is in use by another program; wait for its end, or give another path"
_DISK: Final = "cannot be written ({0}); free space on the disk, then start again with this file"
_READ_ONLY: Final = "is read-only; make it writable, or give another path"
_SAID: Final = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; nothing was changed, give another path",
    sqlite3.SQLITE_CORRUPT: "is damaged ({0}); put a good copy in its place, or give another path",
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
}


def unusable(error: Exception) -> UnusableFileError:
    """Return why the file cannot be used, from an error of SQLite or of the system."""
    if isinstance(error, UnusableFileError):
        return error
    if isinstance(error, OSError):
        return UnusableFileError(f"cannot be used: {error.strerror or error}")
    said = _SAID.get(kind_of(error), "cannot be used: {0}")
    return UnusableFileError(said.format(error), is_locked=said is _LOCKED)


def kind_of(error: Exception) -> int:
    """Return SQLite's code of an error; 0 if it has none."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0  # errors of Python's module itself have none
    return code & 0xFF  # the other bits are subtypes


def check_file(path: Path) -> None:
    """Create the file, or check that it can be written. Only its owner may read it from then on.

    An existing file is not opened: closing it would drop a lock that this process may hold on it.

    :raises UnusableFileError: the file cannot be used.
    :raises OSError: the system refuses.
    """
    if not path.parent.is_dir():
        raise UnusableFileError(f"cannot be created: there is no folder {path.parent}; create it first")
    try:
        # SQLite creates its other files with the same permissions.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _check_existing(path)


def _check_existing(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnusableFileError("is not a file; give the path of one")
    # The superuser could write a file that is marked read-only.
    if not found.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise UnusableFileError(_READ_ONLY)
    for name in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        with contextlib.suppress(FileNotFoundError, PermissionError):  # owned by another user
            mode = stat.S_IMODE(name.stat().st_mode)
            if mode & 0o077:
                name.chmod(mode & 0o700)


def connect(path: Path, **how: Any) -> sqlite3.Connection:
    """Open a connection, to be used by one thread at a time. SQL in a foreign schema has no access to functions.

    :param how: arguments of ``sqlite3.connect``.
    """
    connection: sqlite3.Connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, **how)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, form: Format) -> None:
    """Create the tables in an empty file, or check existing ones. Every commit is durable from then on.

    After an error nothing is changed, once the connection is closed.

    :raises UnusableFileError: the file has another format.
    :raises sqlite3.Error: the file cannot be used.
    """
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != form.application_id:
        raise UnusableFileError("is a SQLite database of another program; nothing was changed, give another path")
    if not empty and version != form.version:
        age = "a newer" if version > form.version else "an older"
        raise UnusableFileError(
            f"was written by {age} omium-async (its format is {version}, this one reads {form.version}); use that "
            "version, or give another path"
        )
    if not empty:
        _check_shape(connection, form)
    connection.execute("PRAGMA journal_mode = WAL").fetchall()  # it writes after its row, and may fail there
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a crash of the machine
    if empty:
        # In one transaction: if the process is killed, the file is still empty.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {form.application_id}; PRAGMA user_version = {form.version};"
            f"{form.tables} COMMIT;"
        )


def _check_shape(connection: sqlite3.Connection, form: Format) -> None:
    """Reject foreign triggers and views, which would run with every statement."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(form.tables)
        differing = sorted(_shape(model) ^ _shape(connection))
    if differing:
        kind, name, *_ = differing[0]
        raise UnusableFileError(
            f"is not as omium-async made it (see its {kind} {name}); nothing was changed, give another path"
        )


def _shape(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    parts = connection.execute(
        "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    found: set[tuple[str, ...]] = set(parts.fetchall())
    for kind, name, _ in list(found):
        if kind == "table":
            columns = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (name,))
            found.update(("column", f"{name}.{column}", *map(str, how)) for column, *how in columns)
    return found


# -- many small writes in few commits ----------------------------------------------------------------------------------


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


class Commits:
    """The jobs of an event loop on a connection, which a thread runs and commits, so that the loop is never blocked.

    A job is a function of the connection. Each is atomic: an exception undoes it alone. What is asked for while a
    commit is in progress goes into the next one, so a slow disk makes commits larger and not the jobs slower.

    :ivar count: the number of commits that have begun.
    """

    def __init__(self, name: str, interval: float = 0.0) -> None:
        """:param interval: least number of seconds between the beginnings of two commits."""
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._name = name
        self._jobs: list[_Job] = []
        self._is_busy = False  # a commit is in progress, or will begin by itself
        self._begun_at = float("-inf")
        self._work: queue.SimpleQueue[Callable[[sqlite3.Connection], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # If this object is forgotten, as with its event loop, the thread closes the connection.
        weakref.finalize(self, self._work.put, None).atexit = False

    async def open(self, opened: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> None:
        """Open the connection, in the thread that closes it.

        :raises BaseException: what ``opened`` raises. If this is cancelled, `close` waits for the end of ``opened``.
        """
        ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=_work, args=(opened, self._work, self._loop, ready), name=self._name, daemon=True
        )
        self._thread.start()
        await ready

    def do(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run a job after those that were asked for before; the result is there when it is committed."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append(_Job(job, future))
        self._begin_soon()
        return future

    async def close(self) -> None:
        """Close the connection after all jobs."""
        while self._is_busy:
            with contextlib.suppress(sqlite3.Error):
                await self.do(_nothing)
        self._work.put(None)
        # A thread cannot set an event of the loop as its last act.
        while self._thread is not None and self._thread.is_alive():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def _begin_soon(self) -> None:
        if self._jobs and not self._is_busy:
            self._is_busy = True
            self._loop.call_at(self._begun_at + self._interval, self._begin)

    def _begin(self) -> None:
        self.count += 1
        self._begun_at = self._loop.time()
        batch, self._jobs = self._jobs[:_JOBS_PER_COMMIT], self._jobs[_JOBS_PER_COMMIT:]
        self._work.put(partial(self._commit, batch))

    def _commit(self, batch: list[_Job], connection: sqlite3.Connection) -> None:
        _transact(connection, batch)
        _call_soon(self._loop, self._deliver, batch)

    def _deliver(self, batch: list[_Job]) -> None:
        self._is_busy = False
        for job in batch:
            job.deliver()
        self._begin_soon()


def _nothing(_: sqlite3.Connection) -> None:
    pass


def _work(
    opened: Callable[[], AbstractContextManager[sqlite3.Connection]],
    work: queue.SimpleQueue[Callable[[sqlite3.Connection], None] | None],
    loop: asyncio.AbstractEventLoop,
    ready: asyncio.Future[None],
) -> None:
    """Run the thread. It keeps no reference to its `Commits` while it waits."""
    try:
        with opened() as connection:
            _call_soon(loop, _set_ready, ready, None)
            while (commit := work.get()) is not None:
                commit(connection)
                del commit
    except BaseException as error:  # noqa: BLE001 - `open` raises it
        _call_soon(loop, _set_ready, ready, error)


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the event loop was closed: nothing awaits the jobs
        loop.call_soon_threadsafe(function, *args)


def _set_ready(ready: asyncio.Future[None], error: BaseException | None) -> None:
    if ready.done():  # the task that opens was cancelled
        return
    if error is None:
        ready.set_result(None)
    else:
        ready.set_exception(error)


def _transact(connection: sqlite3.Connection, batch: list[_Job]) -> None:
    """Run jobs in one transaction. If that fails, nothing was written, and each job runs in its own."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.run(connection)
        connection.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - the awaiting tasks receive it
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        alone = len(batch) == 1 or (isinstance(error, sqlite3.Error) and kind_of(error) == sqlite3.SQLITE_BUSY)
        for job in batch:
            if alone:
                job.error = job.error or error
            else:
                job.error = None
                _transact(connection, [job])

"""The tables, and a database opened on them: created, checked and locked, or refused with a clear message."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from typing import TYPE_CHECKING, Final

from .errors import LocalOmiumError
from .forks import not_for_children

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["POSITIONS_PER_TENANT", "SCHEMA_VERSION", "FileLock", "open_database", "open_memory", "open_reader"]

SCHEMA_VERSION: Final = 1
_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another program that holds a lock of SQLite's own
_APPLICATION_ID: Final = 0x4F6D6931  # "Omi1": marks the file as ours, whatever its name

#: `position` of an execution = tenant * POSITIONS_PER_TENANT + its number within the tenant, counted from 1 without a
#: gap (executions are never deleted). Any page of a tenant's list is then one range of the primary key.
POSITIONS_PER_TENANT: Final = 2**40

_TABLES: Final = """
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    executions INTEGER NOT NULL DEFAULT 0,      -- how many there are = the number of the newest
    newest TEXT NOT NULL DEFAULT ''             -- created_at of the newest: the next is never given an earlier one
);
CREATE TABLE api_keys (
    rank INTEGER PRIMARY KEY,                   -- the order; below 0: not accepted any more (see `keys`)
    key TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL REFERENCES tenants (id)
);
CREATE TABLE executions (
    position INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL,
    status TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,      -- raised by each start, replay and rollback: who writes with an older
                                                -- one is a run that was stopped, and its write is refused
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    agent_id TEXT,
    error TEXT,
    metadata BLOB NOT NULL,
    input_data BLOB NOT NULL,
    output_data BLOB
);
CREATE INDEX executions_by_workflow ON executions (tenant, workflow_id);
CREATE INDEX executions_by_status ON executions (tenant, status);
CREATE INDEX executions_by_workflow_and_status ON executions (tenant, workflow_id, status);
CREATE INDEX executions_unfinished ON executions (workflow_id) WHERE status IN ('pending', 'running');
CREATE TABLE tallies (                          -- the totals of filtered lists, kept so that no page has to count
    tenant INTEGER NOT NULL,
    workflow_id TEXT NOT NULL,
    status TEXT NOT NULL,
    executions INTEGER NOT NULL,
    PRIMARY KEY (tenant, workflow_id, status)
) WITHOUT ROWID;
CREATE INDEX tallies_by_status ON tallies (tenant, status, executions);
CREATE TABLE checkpoints (
    position INTEGER NOT NULL REFERENCES executions (position),
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    result BLOB NOT NULL,
    UNIQUE (position, number),
    UNIQUE (position, name)
);
CREATE TABLE answers (                          -- what was answered to a write that came with an Idempotency-Key
    tenant INTEGER NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, route, key)
) WITHOUT ROWID;
"""


class FileLock:
    """Holds `<database>-lock` for this server alone; the system frees it when the process dies, however it dies."""

    def __init__(self, database: Path) -> None:
        if sys.platform == "win32":
            raise LocalOmiumError("LocalOmium with a database file needs POSIX file locks; use database=None here")
        import fcntl  # noqa: PLC0415 - not on Windows, where a server in memory still works

        path = f"{database}-lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "rb", buffering=0)
        not_for_children(self._file)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if not isinstance(error, BlockingIOError):
                raise
            raise LocalOmiumError(
                f"{database} is in use by another LocalOmium (it holds {path}); stop that one, or use another database"
            ) from None

    def release(self) -> None:
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415

            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing alone would not free it, if some child has a copy
        self._file.close()


def open_memory() -> sqlite3.Connection:
    """An empty database that ends with its connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;" + _TABLES)
    return connection


def open_database(path: Path) -> tuple[sqlite3.Connection, FileLock]:
    """The one writing connection on the file, which is created when it is not there; raises LocalOmiumError."""
    try:
        _check_file(path)
        lock = FileLock(path)
    except OSError as error:
        raise LocalOmiumError(f"{path} cannot be opened for writing: {error.strerror or error}") from None
    try:
        return _open_checked(path), lock
    except BaseException:
        lock.release()
        raise


def open_reader(path: Path) -> sqlite3.Connection:
    """One more connection on the same file, for reading."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # One connection is used by one thread at a time, not always by the thread that opened it.
    return sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _check_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise LocalOmiumError(f"{path} cannot be created: there is no folder {path.parent}; create it first")
    if not path.exists():
        # Keys are kept in the file: nobody else reads it. SQLite gives its -wal and -shm files the same rights.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif not path.is_file():
        raise LocalOmiumError(f"{path} is not a file; give the path of a database file")
    elif not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        # The superuser may write what is marked read-only; it was marked so that nobody does.
        raise LocalOmiumError(f"{path} is read-only; make it writable, or use another database")


def _open_checked(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path)
        _prepare(connection, path)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise LocalOmiumError(_explain(path, error)) from error
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != _APPLICATION_ID:
        raise LocalOmiumError(f"{path} is a SQLite database of another program; nothing was changed, use another path")
    if version > SCHEMA_VERSION:
        raise LocalOmiumError(
            f"{path} was written by a newer omium-async (its format is {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade omium-async, or use another database"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was answered survives the machine, not only the process
    if empty:
        # In one transaction: killed in between, the file is as empty as before.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            f"{_TABLES} COMMIT;"
        )
    else:
        connection.execute("SELECT count(*) FROM tenants").fetchone()


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "not a database" in text:
        return f"{path} is not a SQLite database; nothing was changed, use another path"
    if "locked" in text or "busy" in text:
        return f"{path} is locked by another program; close that one, or use another database"
    if "readonly" in text:
        return f"{path} is read-only; make it writable, or use another database"
    return f"{path} cannot be used as a database: {text}"

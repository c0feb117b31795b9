"""The tables, and a database opened on them: created, checked and locked, or refused with a clear message."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .._data.sqlite import Format, Trouble, UnusableFileError, check_file, connect, prepare, unusable
from .columns import COLUMNS
from .errors import LocalOmiumError
from .file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POSITIONS_PER_TENANT", "OpenDatabase", "explained", "open_file", "open_memory"]

_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another program that holds a lock of SQLite's own
_STATEMENTS_KEPT: Final = 256

#: `position` of an execution = tenant * POSITIONS_PER_TENANT + its number within the tenant, counted from 1 without a
#: gap (executions are deleted all at once or never). Any page of a tenant's list is then one range of the primary key.
POSITIONS_PER_TENANT: Final = 2**40

_TABLES: Final = f"""
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    executions INTEGER NOT NULL DEFAULT 0,      -- how many there are = the number of the newest
    newest TEXT NOT NULL DEFAULT ''             -- created_at of the newest: the next is never given an earlier one
);
CREATE TABLE forgotten (
    latest_id TEXT NOT NULL                     -- of the executions that a reset forgot: ids go on behind it
);
CREATE TABLE api_keys (
    rank INTEGER PRIMARY KEY,                   -- the order; below 0: not accepted any more (see `keyring`)
    key TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL REFERENCES tenants (id)
);
CREATE TABLE executions ({", ".join(f"{column.name} {column.sql}" for column in COLUMNS)});
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

_UPGRADES: Final = (
    "CREATE TABLE IF NOT EXISTS forgotten (latest_id TEXT NOT NULL);",  # some of version 1 have it
)

_FORMAT: Final = Format(application_id=0x4F6D6931, version=2, tables=_TABLES, upgrades=_UPGRADES)  # "Omi1"

_SAID: Final = {
    Trouble.LOCKED: "is locked by another program; close that one, or use another database",
    Trouble.NO_FILE: "is not a file; give the path of a database file",
}


@attrs.frozen
class OpenDatabase:
    """A database of this server alone: a connection that writes, and others that read, of a file only."""

    writer: sqlite3.Connection
    readers: tuple[sqlite3.Connection, ...] = ()
    lock: FileLock | None = None

    def close(self) -> None:
        """Lets go of the file last."""
        try:
            for connection in (*self.readers, self.writer):
                connection.close()
        finally:
            if self.lock is not None:
                self.lock.release()


def open_memory() -> OpenDatabase:
    """An empty database that ends with its connection."""
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
    )
    connection.executescript(f"PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; {_TABLES}")
    return OpenDatabase(connection)


def open_file(path: Path, readers: int, give_up: Callable[[], None]) -> OpenDatabase:
    """The file, created when it is not there, with so many connections that read.

    :param give_up: lets go of it, if nobody can use it any more (see `FileLock`).
    :raises LocalOmiumError: it cannot be used; nothing was changed.
    """
    with contextlib.ExitStack() as undo:
        try:
            path = Path(os.path.realpath(path))  # two ways to one file (a link) must lead to the same lock
            check_file(path)
            lock = FileLock(path, give_up)
            undo.callback(lock.release)
            writer = _connect(path, undo)
            prepare(writer, _FORMAT)
            # Who waits for a lock, and how long, is decided for each job (see `database`).
            writer.execute("PRAGMA busy_timeout = 0")
            reading = tuple(_connect(path, undo) for _ in range(readers))
            for connection in reading:
                connection.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error, UnicodeDecodeError, UnusableFileError) as error:
            raise explained(path, error) from error
        undo.pop_all()
        return OpenDatabase(writer, reading, lock)
    raise AssertionError  # pragma: no cover - an ExitStack without suppressors lets everything pass


def explained(path: Path, error: Exception) -> LocalOmiumError:
    """What went wrong with the file, in words."""
    if isinstance(error, UnicodeDecodeError):  # SQLite gives back as text whatever somebody stored as such
        return LocalOmiumError(f"{path} is damaged: it holds text that is none; use another database")
    found = error if isinstance(error, UnusableFileError) else unusable(error)
    return LocalOmiumError(f"{path} {_SAID.get(found.trouble, found)}")


def _connect(path: Path, undo: contextlib.ExitStack) -> sqlite3.Connection:
    connection = connect(path, timeout=_BUSY_TIMEOUT, cached_statements=_STATEMENTS_KEPT)
    undo.callback(connection.close)
    return connection

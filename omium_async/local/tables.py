"""The columns and tables of a server, and its database: opened, checked and locked, or rejected with a message."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._data.sqlite import Format, UnusableFileError, check_file, connect, prepare, unusable
from .errors import LocalOmiumError
from .file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHECKPOINT",
    "COLUMNS",
    "ENDED",
    "POSITIONS_PER_TENANT",
    "SHOWN",
    "STATUSES",
    "OpenDatabase",
    "explained",
    "open_file",
    "open_memory",
]
#: Every status that the service is known to use. LocalOmium itself sets the first six.
STATUSES: Final = ("pending", "running", "completed", "failed", "paused", "cancelled", "rolled_back", "error")
#: Statuses at which an execution has ended.
ENDED: Final = frozenset({"completed", "failed", "cancelled", "rolled_back", "error"})

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_MOMENT: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_ANY: Final[dict[str, Any]] = {"description": "Any JSON value, returned exactly."}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


@attrs.frozen
class Column:
    """One column of the table of executions.

    :ivar name: in the table.
    :ivar sql: its type in the table.
    :ivar shown: its name in responses; ``None``: responses do not show it.
    :ivar schema: the JSON Schema of its value in responses.
    :ivar is_json: it holds JSON text, which responses contain unchanged.
    """

    name: str
    sql: str
    shown: str | None = None
    schema: dict[str, Any] = attrs.field(factory=dict[str, Any])
    is_json: bool = False


#: In the order of responses.
COLUMNS: Final = (
    Column("position", "INTEGER PRIMARY KEY"),
    Column("tenant", "INTEGER NOT NULL"),
    Column("id", "TEXT NOT NULL UNIQUE", "id", _TEXT),
    Column("workflow_id", "TEXT NOT NULL", "workflow_id", _TEXT),
    Column("status", "TEXT NOT NULL", "status", {"type": "string", "enum": list(STATUSES)}),
    # Each start, replay, rollback and cancellation raises it. A run with an older one was stopped; its writes fail.
    Column("generation", "INTEGER NOT NULL DEFAULT 0"),
    Column("created_at", "TEXT NOT NULL", "created_at", _MOMENT),
    Column("updated_at", "TEXT NOT NULL", "updated_at", _MOMENT),
    Column("started_at", "TEXT", "started_at", _or_null(_MOMENT)),
    Column("completed_at", "TEXT", "completed_at", _or_null(_MOMENT)),
    Column("agent_id", "TEXT", "agent_id", _or_null(_TEXT)),
    Column("error", "TEXT", "error_message", _or_null(_TEXT)),
    Column("metadata", "BLOB NOT NULL", "metadata", {"type": "object"}, is_json=True),
    Column("input_data", "BLOB NOT NULL", "input_data", _ANY, is_json=True),
    Column("output_data", "BLOB", "output_data", _ANY, is_json=True),
)

#: The columns that responses show.
SHOWN: Final = tuple(column for column in COLUMNS if column.shown is not None)

#: The columns of the table of checkpoints that responses show, with the JSON Schemas of their values.
CHECKPOINT: Final = {"id": _TEXT, "name": _TEXT, "created_at": _MOMENT}


_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for a lock that another program holds
_STATEMENTS_KEPT: Final = 256

#: `position` of an execution = tenant * POSITIONS_PER_TENANT + its number within the tenant, counted from 1. While a
#: tenant has deleted nothing, the numbers have no gap, and any page of its list is one range of the primary key.
POSITIONS_PER_TENANT: Final = 2**40

_TABLES: Final = f"""
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    executions INTEGER NOT NULL DEFAULT 0,      -- how many exist
    latest INTEGER NOT NULL DEFAULT 0,          -- the number of the latest; greater than `executions` after a delete
    newest TEXT NOT NULL DEFAULT ''             -- created_at of the latest: the next one is never earlier
);
CREATE TABLE forgotten (
    latest_id TEXT NOT NULL                     -- the greatest id that was deleted: new ids are greater
);
CREATE TABLE api_keys (
    key TEXT PRIMARY KEY,
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    rank INTEGER                                -- the order; NULL: the key is no longer accepted
);
CREATE TABLE executions ({", ".join(f"{column.name} {column.sql}" for column in COLUMNS)});
CREATE INDEX executions_by_tenant ON executions (tenant);
CREATE INDEX executions_by_workflow ON executions (tenant, workflow_id);
CREATE INDEX executions_by_status ON executions (tenant, status);
CREATE INDEX executions_by_workflow_and_status ON executions (tenant, workflow_id, status);
CREATE INDEX executions_unfinished ON executions (workflow_id) WHERE status IN ('pending', 'running');
CREATE TABLE tallies (                          -- the totals of filtered lists, so that no page has to count
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
CREATE INDEX checkpoints_by_id ON checkpoints (id);
CREATE TABLE answers (                          -- the responses to writes with an Idempotency-Key
    tenant INTEGER NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, route, key)
) WITHOUT ROWID;
"""

_FORMAT: Final = Format(application_id=0x4F6D6931, version=3, tables=_TABLES)  # "Omi1"


@attrs.frozen
class OpenDatabase:
    """A database that this server alone uses: a connection for writing and, for a file, others for reading."""

    writer: sqlite3.Connection
    readers: tuple[sqlite3.Connection, ...] = ()
    lock: FileLock | None = None

    def close(self) -> None:
        """Close all connections, then release the file."""
        try:
            for connection in (*self.readers, self.writer):
                connection.close()
        finally:
            if self.lock is not None:
                self.lock.release()


def open_memory() -> OpenDatabase:
    """Open an empty database in memory."""
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
    )
    connection.executescript(f"PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; {_TABLES}")
    return OpenDatabase(connection)


def open_file(path: Path, readers: int, give_up: Callable[[], None]) -> OpenDatabase:
    """Open a database file, or create it.

    :param readers: the number of connections for reading.
    :param give_up: releases the file if its event loop is closed (see `FileLock`).
    :raises LocalOmiumError: the file cannot be used; nothing was changed.
    """
    with contextlib.ExitStack() as undo:
        try:
            path = Path(os.path.realpath(path))  # a link and its target must have the same lock
            check_file(path)
            lock = FileLock(path, give_up)
            undo.callback(lock.release)
            writer = _connect(path, undo)
            prepare(writer, _FORMAT)
            # `database` decides for each job how long it waits for a lock.
            writer.execute("PRAGMA busy_timeout = 0")
            reading = tuple(_connect(path, undo) for _ in range(readers))
            for connection in reading:
                connection.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error, UnicodeDecodeError, UnusableFileError) as error:
            raise explained(path, error) from error
        undo.pop_all()
        return OpenDatabase(writer, reading, lock)
    raise AssertionError  # pragma: no cover - an ExitStack without suppressors raises


def explained(path: Path, error: Exception) -> LocalOmiumError:
    """Describe why a file cannot be used."""
    if isinstance(error, UnicodeDecodeError):  # another program stored bytes as text
        return LocalOmiumError(f"{path} is damaged: it contains invalid text; use another database")
    return LocalOmiumError(f"{path} {unusable(error)}")


def _connect(path: Path, undo: contextlib.ExitStack) -> sqlite3.Connection:
    connection = connect(path, timeout=_BUSY_TIMEOUT, cached_statements=_STATEMENTS_KEPT)
    undo.callback(connection.close)
    return connection

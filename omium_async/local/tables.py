"""The columns and tables of a server."""

from __future__ import annotations

from typing import Final

import attrs

from .._data.sqlite import Format


@attrs.frozen
class Column:
    """One column of the table of executions.

    :ivar name: in the table.
    :ivar sql: its type in the table.
    :ivar shown: its name in responses; ``None``: responses do not show it.
    :ivar is_json: it holds JSON text, which responses contain unchanged.
    """

    name: str
    sql: str
    shown: str | None = None
    is_json: bool = False


#: In the order of responses.
COLUMNS: Final = (
    Column("position", "INTEGER PRIMARY KEY"),
    Column("tenant", "INTEGER NOT NULL"),
    Column("id", "TEXT NOT NULL UNIQUE", "id"),
    Column("workflow_id", "TEXT NOT NULL", "workflow_id"),
    Column("status", "TEXT NOT NULL", "status"),
    # Each start, replay, rollback and cancellation raises it. A run with an older one was stopped; its writes fail.
    Column("generation", "INTEGER NOT NULL DEFAULT 0"),
    Column("created_at", "TEXT NOT NULL", "created_at"),
    Column("updated_at", "TEXT NOT NULL", "updated_at"),
    Column("started_at", "TEXT", "started_at"),
    Column("completed_at", "TEXT", "completed_at"),
    Column("agent_id", "TEXT", "agent_id"),
    Column("error", "TEXT", "error_message"),
    Column("metadata", "BLOB NOT NULL", "metadata", is_json=True),
    Column("input_data", "BLOB NOT NULL", "input_data", is_json=True),
    Column("output_data", "BLOB", "output_data", is_json=True),
)

#: The columns that responses show.
SHOWN: Final = tuple(column for column in COLUMNS if column.shown is not None)

#: The columns of the table of checkpoints that responses show. A new one also stands in the SQL below and in the INSERT
#: of `store.py`, and raises the version of the format.
CHECKPOINT: Final = ("id", "name", "created_at")

#: `position` is the order of creation. Each index ends with it, so that the page of a list, and what it skips, are one
#: range of an index.
TABLES: Final = f"""
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE ids (
    latest INTEGER NOT NULL                     -- the number in the latest execution id; it only grows
);
INSERT INTO ids VALUES (0);
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
"""  # noqa: S608

FORMAT: Final = Format(application_id=0x4F6D6931, version=2, tables=TABLES)  # "Omi1"

"""The columns and tables of a server."""

from __future__ import annotations

from typing import Any, Final

import attrs

from .._data.sqlite import Format
from .._statuses import STATUS_BY_TEXT

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
    Column("status", "TEXT NOT NULL", "status", {"type": "string", "enum": list(STATUS_BY_TEXT)}),
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

#: The columns of the table of checkpoints that responses show, with the JSON Schemas of their values. A new one also
#: stands in the SQL below and in the INSERT of `store.py`, and raises the version of the format.
CHECKPOINT: Final = {"id": _TEXT, "name": _TEXT, "created_at": _MOMENT}


#: `position` of an execution = tenant * POSITIONS_PER_TENANT + its number within the tenant, counted from 1. While a
#: tenant has deleted nothing, the numbers have no gap, and any page of its list is one range of the primary key.
POSITIONS_PER_TENANT: Final = 2**40

TABLES: Final = f"""
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    executions INTEGER NOT NULL DEFAULT 0,      -- how many exist
    latest INTEGER NOT NULL DEFAULT 0,          -- the number of the latest; greater than `executions` after a delete
    newest TEXT NOT NULL DEFAULT ''             -- created_at of the latest: the next one is never earlier
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
"""  # noqa: S608

FORMAT: Final = Format(application_id=0x4F6D6931, version=1, tables=TABLES)  # "Omi1"

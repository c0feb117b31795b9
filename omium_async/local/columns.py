"""The columns of an execution, once: the table, the rows of answers and their description follow from here."""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["COLUMNS", "JSON_COLUMNS", "SHOWN", "STATUSES"]

#: Every status the service is known to use; of these a server of one's own gives the first five.
STATUSES: Final = ("pending", "running", "completed", "failed", "paused", "cancelled", "rolled_back", "error")

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_MOMENT: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_ANY: Final[dict[str, Any]] = {"description": "Any JSON value, given back exactly."}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


@attrs.frozen
class Column:
    """One column of the table of executions.

    :ivar name: in the table.
    :ivar sql: its type there.
    :ivar shown: its name in answers; None: answers do not show it.
    :ivar schema: what answers show, as JSON Schema.
    :ivar is_json: it holds JSON text, which goes through unread.
    """

    name: str
    sql: str
    shown: str | None = None
    schema: dict[str, Any] = attrs.field(factory=dict[str, Any])
    is_json: bool = False


#: In the order in which answers show them.
COLUMNS: Final = (
    Column("position", "INTEGER PRIMARY KEY"),
    Column("tenant", "INTEGER NOT NULL"),
    Column("id", "TEXT NOT NULL UNIQUE", "id", _TEXT),
    Column("workflow_id", "TEXT NOT NULL", "workflow_id", _TEXT),
    Column("status", "TEXT NOT NULL", "status", {"type": "string", "enum": list(STATUSES)}),
    # Raised by each start, replay and rollback: who writes with an older one is a run that was stopped, and its write
    # is refused.
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

#: Those that answers show.
SHOWN: Final = tuple(column for column in COLUMNS if column.shown is not None)
#: Those that hold JSON text, which may be of any size.
JSON_COLUMNS: Final = tuple(column for column in COLUMNS if column.is_json)

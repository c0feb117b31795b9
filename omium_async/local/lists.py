"""Pages, details and checkpoints of executions, as functions of a connection that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import MissingError
from .tables import CHECKPOINT, SHOWN

if TYPE_CHECKING:
    import sqlite3

    from .store import Tenant

_NAMES: Final = tuple(column.name for column in SHOWN)
_ROW: Final = ", ".join(_NAMES)

_LARGEST: Final = 2**62  # of SQLite's whole numbers, about

Row = tuple[Any, ...]  # the columns that responses show


Checkpoint = dict[str, Any]  # without its state

_CHECKPOINT: Final = ", ".join(f"c.{name}" for name in CHECKPOINT) + ", e.id"


def _checkpoint(row: tuple[Any, ...]) -> Checkpoint:
    return dict(zip((*CHECKPOINT, "execution_id"), row, strict=True))


@attrs.frozen
class ListPage:
    """One page of a list, newest first.

    :ivar total: the number of executions in the whole list.
    """

    rows: list[Row]
    total: int


def page(
    connection: sqlite3.Connection,
    tenant: Tenant,
    number: int,
    size: int,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
) -> ListPage:
    """Return page `number` (from 1) of the tenant's executions that pass the filters, newest first."""
    where, values = _filter(tenant, workflow_id, status)
    (total,) = connection.execute(f"SELECT count(*) FROM executions WHERE {where}", values).fetchone()  # noqa: S608
    rows = connection.execute(
        f"SELECT {_ROW} FROM executions WHERE {where} ORDER BY position DESC LIMIT ? OFFSET ?",  # noqa: S608
        (*values, size, min((number - 1) * size, _LARGEST)),
    )
    return ListPage(rows.fetchall(), total)


def detail(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> tuple[Row, list[Checkpoint]]:
    """Return the row of an execution and its checkpoints in the order of recording."""
    found = connection.execute(
        f"SELECT position, {_ROW} FROM executions WHERE id = ? AND tenant = ?",  # noqa: S608
        (execution_id, tenant.id),
    ).fetchone()
    if found is None:
        raise MissingError("Execution not found")
    recorded = connection.execute(
        f"SELECT {', '.join(CHECKPOINT)} FROM checkpoints WHERE position = ? ORDER BY number",  # noqa: S608
        (found[0],),
    )
    return found[1:], [dict(zip(CHECKPOINT, row, strict=True)) for row in recorded]


def checkpoints(
    connection: sqlite3.Connection,
    tenant: Tenant,
    *,
    execution_id: str | None,
    workflow_id: str | None,
    limit: int,
    offset: int,
) -> tuple[int, list[Checkpoint]]:
    """Return the number of checkpoints of an execution, or of a workflow, and one page of them, oldest first.

    :raises MissingError: the tenant has no execution of that id.
    """
    where, values = _filter(tenant, workflow_id, None)
    if execution_id is not None:
        where, values = f"{where} AND e.id = ?", [*values, execution_id]
        known = connection.execute(
            "SELECT 1 FROM executions WHERE id = ? AND tenant = ?", (execution_id, tenant.id)
        ).fetchone()
        if known is None:
            raise MissingError("Execution not found")
    source = f"FROM executions e JOIN checkpoints c ON c.position = e.position WHERE {where}"
    total: int = connection.execute(f"SELECT count(*) {source}", values).fetchone()[0]
    found = connection.execute(
        f"SELECT {_CHECKPOINT} {source} ORDER BY c.position, c.number LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return total, [_checkpoint(row) for row in found]


def checkpoint(connection: sqlite3.Connection, tenant: Tenant, checkpoint_id: str) -> tuple[Checkpoint, bytes]:
    """Return a checkpoint and the JSON text of its step's result.

    :raises MissingError: the tenant has no checkpoint of that id.
    """
    found = connection.execute(
        f"SELECT c.result, {_CHECKPOINT} FROM checkpoints c JOIN executions e ON e.position = c.position"  # noqa: S608
        " WHERE c.id = ? AND e.tenant = ?",
        (checkpoint_id, tenant.id),
    ).fetchone()
    if found is None:
        raise MissingError("Checkpoint not found")
    return _checkpoint(found[1:]), found[0]


def _filter(tenant: Tenant, workflow_id: str | None, status: str | None) -> tuple[str, list[object]]:
    where = "tenant = ?"
    values: list[object] = [tenant.id]
    for column, value in (("workflow_id", workflow_id), ("status", status)):
        if value is not None:
            where += f" AND {column} = ?"
            values.append(value)
    return where, values

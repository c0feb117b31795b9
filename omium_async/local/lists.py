"""What lists and details show of the executions, as functions of a connection that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import MissingError
from .schema import POSITIONS_PER_TENANT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .store import Tenant

__all__ = ["Page", "detail", "page"]

_ROW: Final = (
    "id, workflow_id, status, created_at, updated_at, started_at, completed_at, agent_id, error, metadata,"
    " input_data, output_data"
)


@attrs.frozen
class Page:
    """One page of a list: rows as `_ROW` names them, newest first, and how many there are in all."""

    rows: list[tuple[Any, ...]]
    total: int


def page(
    connection: sqlite3.Connection,
    tenant: Tenant,
    number: int,
    size: int,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
) -> Page:
    """Page `number` (from 1) of the tenant's executions, newest first, of all or of those the filters let through."""
    skip = (number - 1) * size
    if workflow_id is None and status is None:
        total: int = connection.execute("SELECT executions FROM tenants WHERE id = ?", (tenant.id,)).fetchone()[0]
        newest = tenant.id * POSITIONS_PER_TENANT + total - skip
        oldest = newest - min(size, total - skip) + 1
        if skip >= total:
            return Page([], total)
        rows = connection.execute(
            f"SELECT {_ROW} FROM executions WHERE position BETWEEN ? AND ? ORDER BY position DESC",  # noqa: S608
            (oldest, newest),
        )
        return Page(rows.fetchall(), total)
    where, values = _filter(tenant, workflow_id, status)
    total = connection.execute(f"SELECT coalesce(sum(executions), 0) FROM tallies WHERE {where}", values).fetchone()[0]  # noqa: S608
    if skip >= total:
        return Page([], total)
    return Page(_filtered_rows(connection, where, values, skip=skip, size=min(size, total - skip), total=total), total)


def detail(
    connection: sqlite3.Connection, tenant: Tenant, execution_id: str
) -> tuple[tuple[Any, ...], list[tuple[str, str, str]]]:
    """The row of one execution, and its checkpoints in the order of their recording: (id, name, created_at) each."""
    row = connection.execute(
        f"SELECT position, {_ROW} FROM executions WHERE id = ? AND tenant = ?",  # noqa: S608
        (execution_id, tenant.id),
    ).fetchone()
    if row is None:
        raise MissingError("Execution not found")
    checkpoints = connection.execute(
        "SELECT id, name, created_at FROM checkpoints WHERE position = ? ORDER BY number", (row[0],)
    ).fetchall()
    return row[1:], checkpoints


def _filter(tenant: Tenant, workflow_id: str | None, status: str | None) -> tuple[str, list[object]]:
    where = "tenant = ?"
    values: list[object] = [tenant.id]
    for column, value in (("workflow_id", workflow_id), ("status", status)):
        if value is not None:
            where += f" AND {column} = ?"
            values.append(value)
    return where, values


def _filtered_rows(
    connection: sqlite3.Connection, where: str, values: Sequence[object], *, skip: int, size: int, total: int
) -> list[tuple[Any, ...]]:
    """Rows of a filtered list. What is skipped is skipped in an index alone, from the nearer end of the list."""
    from_the_end = skip > total // 2
    if from_the_end:
        skip = total - skip - size
    order = "ASC" if from_the_end else "DESC"
    return connection.execute(
        f"SELECT {_ROW} FROM executions WHERE position IN"  # noqa: S608
        f" (SELECT position FROM executions WHERE {where} ORDER BY position {order} LIMIT ? OFFSET ?)"
        " ORDER BY position DESC",
        (*values, size, skip),
    ).fetchall()

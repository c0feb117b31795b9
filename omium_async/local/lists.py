"""Pages, details and checkpoints of executions, as functions of a connection that change nothing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import MissingError
from .tables import JSON_COLUMNS, POSITIONS_PER_TENANT, SHOWN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .store import Tenant

__all__ = ["Checkpoint", "Later", "Page", "Row", "checkpoint", "checkpoints", "detail", "next_rows", "page"]

_NAMES: Final = tuple(column.name for column in SHOWN)
_ROW: Final = ", ".join(_NAMES)
#: The row without its JSON columns.
_SMALL: Final = ", ".join("NULL" if column.is_json else column.name for column in SHOWN)
_ID: Final = _NAMES.index("id")
_STATUS: Final = _NAMES.index("status")
_GIVEN: Final = tuple(_NAMES.index(name) for name in ("metadata", "input_data"))  # they never change
_SIZES: Final = tuple(_NAMES.index(column.name) for column in JSON_COLUMNS)
_AT_ONCE: Final = 2 * 2**20  # bytes of JSON that are read and sent together

Row = tuple[Any, ...]  # the columns that responses show


_CHECKPOINT: Final = "c.id, e.id, c.name, c.created_at"


@attrs.frozen
class Checkpoint:
    """A checkpoint without its state."""

    id: str
    execution_id: str
    name: str
    created_at: str


@attrs.frozen
class Later:
    """A row of a list whose JSON columns are not read yet.

    :ivar generation: of its run, at the time of the request.
    :ivar small: its other columns, at the time of the request.
    """

    position: int
    generation: int
    small: Row


@attrs.frozen
class Page:
    """One page of a list, newest first.

    :ivar rows: the first rows, as many as are read together.
    :ivar rest: the other rows, for `next_rows`.
    :ivar total: the number of executions in the whole list.
    """

    rows: list[Row]
    rest: list[Later]
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
    """Return page `number` (from 1) of the tenant's executions that pass the filters, newest first."""
    skip = (number - 1) * size
    where, values = _filter(tenant, workflow_id, status)
    if workflow_id is None and status is None:
        total, latest = connection.execute(
            "SELECT executions, latest FROM tenants WHERE id = ?", (tenant.id,)
        ).fetchone()
        if total == latest:  # nothing was deleted: the page is one range of positions
            newest = tenant.id * POSITIONS_PER_TENANT + total - skip
            oldest = newest - min(size, total - skip) + 1
            return _page(connection, total, total - skip, "position BETWEEN ? AND ?", (oldest, newest))
    else:
        total = connection.execute(
            f"SELECT coalesce(sum(executions), 0) FROM tallies WHERE {where}",  # noqa: S608
            values,
        ).fetchone()[0]
    size = min(size, total - skip)
    return _page(connection, total, size, *_filtered(where, values, skip=skip, size=size, total=total))


def next_rows(connection: sqlite3.Connection, rest: list[Later]) -> list[Row]:
    """Remove the next rows from a rest and return them, without those that were deleted meanwhile.

    A row that still has its status is returned as it is now, any other as it was at the time of the request, without an
    output that a rollback has discarded.
    """
    rows: list[Row] = []
    size = 0
    while rest and size <= _AT_ONCE:
        listed = rest.pop(0)
        found = connection.execute(
            f"SELECT generation, {_ROW} FROM executions WHERE position = ? AND id = ?",  # noqa: S608
            (listed.position, listed.small[_ID]),
        ).fetchone()
        if found is not None:
            generation, *now = found
            same = generation == listed.generation and now[_STATUS] == listed.small[_STATUS]
            rows.append(tuple(now) if same else _as_listed(listed.small, now))
            size += _size(rows[-1])
    return rows


def detail(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> tuple[Row, list[tuple[str, str, str]]]:
    """Return the row of an execution and its checkpoints as (id, name, created_at), in the order of recording."""
    found = connection.execute(
        f"SELECT position, {_ROW} FROM executions WHERE id = ? AND tenant = ?",  # noqa: S608
        (execution_id, tenant.id),
    ).fetchone()
    if found is None:
        raise MissingError("Execution not found")
    recorded = connection.execute(
        "SELECT id, name, created_at FROM checkpoints WHERE position = ? ORDER BY number", (found[0],)
    ).fetchall()
    return found[1:], recorded


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
    return total, [Checkpoint(*row) for row in found]


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
    return Checkpoint(*found[1:]), found[0]


def _page(connection: sqlite3.Connection, total: int, left: int, which: str, values: Sequence[object]) -> Page:
    """Return the executions that fulfil a condition, newest first. `left`: the rows of the list from this page on."""
    if left <= 0:
        return Page([], [], total)
    rows: list[Row] = []
    size = 0
    cursor = connection.execute(
        f"SELECT {_ROW} FROM executions WHERE {which} ORDER BY position DESC",  # noqa: S608
        values,
    )
    for found in cursor:
        rows.append(found)
        size += _size(found)
        if size > _AT_ONCE:
            break
    else:
        return Page(rows, [], total)
    whole_page = connection.execute(
        f"SELECT position, generation, {_SMALL} FROM executions WHERE {which} ORDER BY position DESC",  # noqa: S608
        values,
    )
    behind = islice(whole_page, len(rows), None)
    return Page(rows, [Later(position, generation, tuple(small)) for position, generation, *small in behind], total)


def _as_listed(small: Row, now: Sequence[Any]) -> Row:
    """Return a row with its former status, and with the input and metadata, which never change."""
    return tuple(now[index] if index in _GIVEN else column for index, column in enumerate(small))


def _size(row: Row) -> int:
    return sum(len(row[index] or b"") for index in _SIZES)


def _filter(tenant: Tenant, workflow_id: str | None, status: str | None) -> tuple[str, list[object]]:
    where = "tenant = ?"
    values: list[object] = [tenant.id]
    for column, value in (("workflow_id", workflow_id), ("status", status)):
        if value is not None:
            where += f" AND {column} = ?"
            values.append(value)
    return where, values


def _filtered(
    where: str, values: Sequence[object], *, skip: int, size: int, total: int
) -> tuple[str, Sequence[object]]:
    """Return the condition for a page. SQLite skips rows in an index alone, from the nearer end of the list."""
    from_the_end = skip > total // 2
    if from_the_end:
        skip = total - skip - size
    order = "ASC" if from_the_end else "DESC"
    chosen = f"SELECT position FROM executions WHERE {where} ORDER BY position {order} LIMIT ? OFFSET ?"  # noqa: S608
    return f"position IN ({chosen})", (*values, size, skip)

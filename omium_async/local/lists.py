"""What lists and details show of the executions, as functions of a connection that change nothing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from .columns import JSON_COLUMNS, SHOWN
from .errors import MissingError
from .tables import POSITIONS_PER_TENANT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .store import Tenant

__all__ = ["Later", "Page", "Row", "detail", "next_rows", "page"]

_NAMES: Final = tuple(column.name for column in SHOWN)
_ROW: Final = ", ".join(_NAMES)
#: The row without what may be of any size.
_SMALL: Final = ", ".join("NULL" if column.is_json else column.name for column in SHOWN)
_ID: Final = _NAMES.index("id")
_STATUS: Final = _NAMES.index("status")
_GIVEN: Final = tuple(_NAMES.index(name) for name in ("metadata", "input_data"))  # never change
_SIZES: Final = tuple(_NAMES.index(column.name) for column in JSON_COLUMNS)
_AT_ONCE: Final = 2 * 2**20  # bytes of JSON that are read, and sent, together

Row = tuple[Any, ...]  # the columns that answers show


@attrs.frozen
class Later:
    """A row of a list, of which what may be of any size is not read yet.

    :ivar generation: of its run, when the list was asked for.
    :ivar small: its other columns, as they were then.
    """

    position: int
    generation: int
    small: Row


@attrs.frozen
class Page:
    """One page of a list, newest first.

    :ivar rows: as many as fit into memory easily.
    :ivar rest: the rows behind them, to be read by `next_rows`.
    :ivar total: how many there are in all.
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
    """Page `number` (from 1) of the tenant's executions, newest first, of all or of those the filters let through."""
    skip = (number - 1) * size
    if workflow_id is None and status is None:
        total: int = connection.execute("SELECT executions FROM tenants WHERE id = ?", (tenant.id,)).fetchone()[0]
        newest = tenant.id * POSITIONS_PER_TENANT + total - skip
        oldest = newest - min(size, total - skip) + 1
        return _page(connection, total, total - skip, "position BETWEEN ? AND ?", (oldest, newest))
    where, values = _filter(tenant, workflow_id, status)
    total = connection.execute(f"SELECT coalesce(sum(executions), 0) FROM tallies WHERE {where}", values).fetchone()[0]  # noqa: S608
    size = min(size, total - skip)
    return _page(connection, total, size, *_filtered(where, values, skip=skip, size=size, total=total))


def next_rows(connection: sqlite3.Connection, rest: list[Later]) -> list[Row]:
    """The next rows of a rest, which are taken from it; those that were forgotten are not there.

    Each is as it was when the list was asked for, or as it is now where it still has that status; an output that a
    rollback has discarded meanwhile is gone.
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
    """The row of one execution, and its checkpoints in the order of their recording: (id, name, created_at) each."""
    found = connection.execute(
        f"SELECT position, {_ROW} FROM executions WHERE id = ? AND tenant = ?",  # noqa: S608
        (execution_id, tenant.id),
    ).fetchone()
    if found is None:
        raise MissingError("Execution not found")
    checkpoints = connection.execute(
        "SELECT id, name, created_at FROM checkpoints WHERE position = ? ORDER BY number", (found[0],)
    ).fetchall()
    return found[1:], checkpoints


def _page(connection: sqlite3.Connection, total: int, left: int, which: str, values: Sequence[object]) -> Page:
    """The executions for which the condition holds, the newest first; `left`: of the list, from this page on."""
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
    all_of_it = connection.execute(
        f"SELECT position, generation, {_SMALL} FROM executions WHERE {which} ORDER BY position DESC",  # noqa: S608
        values,
    )
    behind = islice(all_of_it, len(rows), None)
    return Page(rows, [Later(position, generation, tuple(small)) for position, generation, *small in behind], total)


def _as_listed(small: Row, now: Sequence[Any]) -> Row:
    """A row whose execution has another state by now: with what it was given, for that never changes."""
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
    """The condition for rows of a filtered list. What is skipped is skipped in an index alone, from the nearer end of
    the list."""
    from_the_end = skip > total // 2
    if from_the_end:
        skip = total - skip - size
    order = "ASC" if from_the_end else "DESC"
    chosen = f"SELECT position FROM executions WHERE {where} ORDER BY position {order} LIMIT ? OFFSET ?"  # noqa: S608
    return f"position IN ({chosen})", (*values, size, skip)

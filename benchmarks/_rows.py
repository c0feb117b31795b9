"""Many executions in a database of LocalOmium, for benchmarks."""

from __future__ import annotations

import functools
import sqlite3

from omium_async.local import LocalOmium, store

_PER_COMMIT = 10_000
_WORKFLOWS = 10
_ADD = (
    "INSERT INTO executions (tenant, id, workflow_id, status, created_at, updated_at, metadata, input_data)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def _add(connection: sqlite3.Connection, tenant: store.Tenant, numbers: range, status: str, now: str) -> None:
    """Write rows as `store.create` would, many at once."""
    connection.executemany(
        _ADD,
        [
            (tenant.id, f"exec_{number:012d}", f"workflow-{number % _WORKFLOWS}", status, now, now,
             b'{"user": "u"}', b'{"query": "latest AI trends", "number": %d}' % number)
            for number in numbers
        ],
    )  # fmt: skip


async def fill(local: LocalOmium, rows: int, *, failed: int = 0) -> None:
    """Add executions to the tables of the running server, many in one transaction.

    :param failed: the least number of the newest executions that have failed; all others have completed.
    """
    running = local._running
    assert running is not None
    tenant = store.Tenant(1, "default")  # the first one of a database
    step = min(_PER_COMMIT, max(1, rows // 10))
    for first in range(0, rows, step):
        numbers = range(first, min(first + step, rows))
        status = "failed" if first + step > rows - failed else "completed"
        now = f"2026-01-01T00:{first // step // 60 % 60:02d}:{first // step % 60:02d}.000000Z"
        await running.database.do(functools.partial(_add, tenant=tenant, numbers=numbers, status=status, now=now))


async def delete(local: LocalOmium, every: int, rows: int) -> None:
    """Delete one of `every` executions that `fill` added, many in one transaction."""
    running = local._running
    assert running is not None
    tenant = store.Tenant(1, "default")  # the first one of a database
    numbers = range(0, rows, every)

    def write(connection: sqlite3.Connection, part: range) -> None:
        for number in part:
            store.delete(connection, tenant, f"exec_{number:012d}")

    for first in range(0, len(numbers), _PER_COMMIT):
        await running.database.do(functools.partial(write, part=numbers[first : first + _PER_COMMIT]))

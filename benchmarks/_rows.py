"""Many executions in a database of LocalOmium, for benchmarks."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator

from omium_async.local import LocalOmium, store

_PER_COMMIT = 10_000


def _submissions(first: int, count: int) -> Iterator[tuple[str, store.Submission]]:
    for number in range(first, first + count):
        text = b'{"query": "latest AI trends", "number": %d}' % number
        yield f"exec_{number:012d}", store.Submission(f"workflow-{number % 10}", text, b'{"user": "u"}', None)


async def fill(local: LocalOmium, rows: int, *, failed: int = 0) -> None:
    """Add executions through the store of the running server, many in one transaction.

    :param failed: the least number of the newest executions that have failed; all others have completed.
    """
    running = local._running
    assert running is not None
    tenant = running.keyring.tenants()[0]
    step = min(_PER_COMMIT, max(1, rows // 10))
    for first in range(0, rows, step):
        batch = _submissions(first, min(step, rows - first))
        status = "failed" if first + step > rows - failed else "completed"
        now = f"2026-01-01T00:{first // step // 60 % 60:02d}:{first // step % 60:02d}.000000Z"
        await running.database.write(functools.partial(store.fill, tenant=tenant, new=batch, status=status, now=now))


async def delete(local: LocalOmium, every: int, rows: int) -> None:
    """Delete one of `every` executions that `fill` added, many in one transaction."""
    running = local._running
    assert running is not None
    tenant = running.keyring.tenants()[0]
    numbers = range(0, rows, every)

    def write(connection: sqlite3.Connection, part: range) -> None:
        for number in part:
            store.delete(connection, tenant, f"exec_{number:012d}")

    for first in range(0, len(numbers), _PER_COMMIT):
        await running.database.write(functools.partial(write, part=numbers[first : first + _PER_COMMIT]))

"""Many executions in a database of LocalOmium, for benchmarks."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from omium_async.local import LocalOmium, store

_PER_COMMIT = 10_000


def _submissions(first: int, count: int) -> Iterator[tuple[str, store.Submission]]:
    for number in range(first, first + count):
        text = b'{"query": "latest AI trends", "number": %d}' % number
        yield f"exec_{number:012d}", store.Submission(f"workflow-{number % 10}", text, b'{"user": "u"}', None)


async def fill(local: LocalOmium, rows: int, *, failed: int = 0) -> None:
    """Straight through the store of the running server: no HTTP, many rows a transaction.

    :param failed: how many of the newest have failed, at least; all others have completed.
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

"""Any page of a list of a million executions costs about what the first does.

Fills a database of LocalOmium with 1,000,000 executions, then asks over HTTP for page 1 and for the last full page,
alternately, and prints the ratio of the medians; filtered lists beside it, for which no such promise is made.

    python benchmarks/local_pages.py [--smoke] [--memory] [--rounds 25] [--rows 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from omium_async.local import LocalOmium, store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_PER_COMMIT = 10_000


def submissions(first: int, count: int) -> Iterator[tuple[str, store.Submission]]:
    for number in range(first, first + count):
        text = b'{"query": "latest AI trends", "number": %d}' % number
        yield f"exec_{number:012d}", store.Submission(f"workflow-{number % 10}", text, b'{"user": "u"}', None)


async def fill(local: LocalOmium, rows: int) -> None:
    """Straight through the store of the running server: no HTTP, many rows a transaction."""
    running = local._running
    assert running is not None
    tenant = running.keyring.tenants()[0]
    for first in range(0, rows, ROWS_PER_COMMIT):
        batch = submissions(first, min(ROWS_PER_COMMIT, rows - first))
        now = f"2026-01-01T00:00:{first // ROWS_PER_COMMIT % 60:02d}.000000Z"
        await running.database.write(
            functools.partial(store.fill, tenant=tenant, new=batch, status="completed", now=now)
        )


async def compare(session: aiohttp.ClientSession, base: str, queries: list[str], rounds: int) -> list[float]:
    """The median time of each query in milliseconds; one after the other in each round, so that all meet the same."""
    times: list[list[float]] = [[] for _ in queries]
    for _ in range(rounds + 1):
        for query, taken in zip(queries, times, strict=True):
            start = time.perf_counter()
            async with session.get(base + query) as response:
                body = await response.read()
            taken.append((time.perf_counter() - start) * 1000)
            assert response.status == 200, body[:200]
            assert body.count(b'"id":"exec_') == 100, query
    return [statistics.median(taken[1:]) for taken in times]  # the first round warms up


async def main(rows: int, rounds: int, memory: bool) -> None:
    size = 100
    last = rows // size
    with tempfile.TemporaryDirectory() as folder:
        local = LocalOmium(None if memory else Path(folder) / "pages.db")
        async with local, aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
            start = time.perf_counter()
            await fill(local, rows)
            print(f"{rows:,} executions filled in {time.perf_counter() - start:.1f} s")
            base = f"{local.url}/api/v1/executions?page_size={size}&page="
            first, middle, end = await compare(session, base, ["1", str(last // 2), str(last)], rounds)
            print(f"unfiltered: page 1 {first:.2f} ms, page {last // 2} {middle:.2f} ms, page {last} {end:.2f} ms")
            print(f"ratio of the last page to the first: {end / first:.2f} (of the middle: {middle / first:.2f})")
            for text, pages in (("status=completed", last), ("workflow_id=workflow-3", last // 10)):
                queries = [f"{page}&{text}" for page in ("1", str(pages // 2), str(pages))]
                times = await compare(session, base, queries, max(5, rounds // 5))
                print(f"{text}: first, middle and last page " + ", ".join(f"{each:.2f} ms" for each in times))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="20,000 rows and 5 rounds: does it run?")
    parser.add_argument("--memory", action="store_true", help="a server in memory instead of a file")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    asyncio.run(main(20_000 if given.smoke else given.rows, 5 if given.smoke else given.rounds, given.memory))

"""The console's list page of a million executions is there about as fast as that of a thousand.

Fills two databases of LocalOmium, serves a console over each, asks alternately for their list pages, as a browser does
that opens one, and prints the ratio of the medians: newest first, all and failed ones.

    python benchmarks/console.py [--smoke] [--rounds 15] [--rows 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer

from omium_async import AsyncOmium
from omium_async.local import LocalOmium, store
from omium_async.ui import console
from omium_async.ui.site import SITE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FEW = 1_000
ROWS_PER_COMMIT = 10_000
MOST = 1.5


def submissions(first: int, count: int) -> Iterator[tuple[str, store.Submission]]:
    for number in range(first, first + count):
        text = b'{"query": "latest AI trends", "number": %d}' % number
        yield f"exec_{number:012d}", store.Submission(f"workflow-{number % 10}", text, b'{"user": "u"}', None)


async def fill(local: LocalOmium, rows: int) -> None:
    """Straight through the store of the running server; of each, at least as many failed as the page looks at."""
    running = local._running
    assert running is not None
    tenant = running.keyring.tenants()[0]
    step = min(ROWS_PER_COMMIT, max(1, rows // 10))
    for first in range(0, rows, step):
        batch = submissions(first, min(step, rows - first))
        status = "failed" if first >= rows - max(600, rows // 10) else "completed"
        write = functools.partial(
            store.fill, tenant=tenant, new=batch, status=status, now="2026-01-01T00:00:00.000000Z"
        )
        await running.database.write(write)


@contextlib.asynccontextmanager
async def served(path: Path, rows: int) -> AsyncIterator[TestClient]:
    """A console over a database of so many executions."""
    async with LocalOmium(path) as local:
        await fill(local, rows)
        async with (
            AsyncOmium(local.api_key, base_url=local.url) as omium,
            TestClient(TestServer(console(omium))) as page,
        ):
            yield page


async def opened(page: TestClient, path: str) -> float:
    """Milliseconds until a page is there that nobody has looked at lately."""
    site = page.server.app[SITE]
    site.live.close()
    site.live._watches.clear()
    for known in (site.questions._totals, site.questions._whole, site.questions._overviews):
        known.clear()
    start = time.perf_counter()
    answer = await page.get(path)
    text = await answer.text()
    taken = (time.perf_counter() - start) * 1000
    assert answer.status == 200, re.findall(r"class=\"said\">([^<]*)", text)
    assert text.count('id="row-') == 50, path
    return taken


async def main(rows: int, rounds: int) -> bool:
    good = True
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder) / "few.db", FEW) as few, served(Path(folder) / "many.db", rows) as many:
            for path in ("/", "/?status=failed"):
                times: tuple[list[float], list[float]] = ([], [])
                for _ in range(rounds + 1):
                    for page, taken in zip((few, many), times, strict=True):
                        taken.append(await opened(page, path))
                small, large = (statistics.median(taken[1:]) for taken in times)  # the first round warms up
                ratio = large / small
                good = good and ratio <= MOST
                print(
                    f"{path}: {FEW:,} executions {small:.1f} ms, {rows:,} executions {large:.1f} ms: ratio {ratio:.2f}"
                )
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="20,000 rows and 3 rounds: does it run?")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    asyncio.run(main(20_000 if given.smoke else given.rows, 3 if given.smoke else given.rounds))

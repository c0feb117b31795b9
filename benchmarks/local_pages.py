"""Time the first, the middle and the last page of a list of 100,000 executions in LocalOmium.

Any page, also with a filter and after every tenth row was deleted, takes at most ten times as long as the first one.

    python benchmarks/local_pages.py [--smoke] [--memory] [--rounds 25] [--rows 100000] [--json PATH]

`--smoke` uses 20,000 rows and checks no bound. Otherwise the exit status is 1 if a bound is exceeded.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import _report
import _rows
import aiohttp

from omium_async.local import LocalOmium

SIZE = 100
#: The largest ratio to the time of the first page.
BOUND = 10.0
DELETED = 10  # one row in so many


async def compare(
    session: aiohttp.ClientSession, base: str, last: int, query: str, rounds: int
) -> dict[str, list[float]]:
    """Return the milliseconds of each page in each round; each round requests all pages."""
    pages = {"the last page": last, "the first page": 1, "a page in the middle": last // 2}
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds + 1):
        for name, page in pages.items():
            start = time.perf_counter()
            async with session.get(f"{base}{page}{query}") as response:
                body = await response.read()
            times[name].append((time.perf_counter() - start) * 1000)
            assert response.status == 200, body[:200]
            assert body.count(b'"id":"exec_') == SIZE, (page, query)
    return {name: taken[1:] for name, taken in times.items()}  # the first round is a warm-up


async def measure(report: _report.Report, rows: int, rounds: int, *, memory: bool) -> None:
    last = rows // SIZE
    kept = (rows - rows // DELETED) // SIZE
    lists = {
        "all executions": ("", last),
        "one status": ("&status=completed", last),
        "one workflow": ("&workflow_id=workflow-3", last // 10),
        "one workflow and status": ("&workflow_id=workflow-3&status=completed", last // 10),
    }
    with tempfile.TemporaryDirectory() as folder:
        local = LocalOmium(None if memory else Path(folder) / "pages.db")
        async with local, aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
            await _rows.fill(local, rows)
            base = f"{local.url}/api/v1/executions?page_size={SIZE}&page="
            for name, (query, end) in lists.items():
                times = await compare(session, base, end, query, rounds)
                what = f"a page of {name}, of {rows:,} in LocalOmium"
                report.add(_report.Comparison(what, "ms", "the last page", times, bounds={"the first page": BOUND}))
            await _rows.delete(local, DELETED, rows)
            times = await compare(session, base, kept, "", rounds)
            what = f"a page after every {DELETED}th of {rows:,} rows was deleted"
            report.add(_report.Comparison(what, "ms", "the last page", times, bounds={"the first page": BOUND}))


def main() -> int:
    parser = _report.options(__doc__, rounds=25)
    parser.add_argument("--memory", action="store_true", help="serve from memory instead of a file")
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    report = _report.Report(__file__, given)
    rows, rounds = (20_000, 5) if given.smoke else (given.rows, given.rounds)
    asyncio.run(measure(report, rows, rounds, memory=given.memory))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

"""Compare the time of the console's list page with 100,000 executions and with a thousand.

The program fills two databases of LocalOmium, serves a console for each, and requests their list pages in turn: all
executions, and failed ones.

    python benchmarks/console.py [--smoke] [--rounds 15] [--rows 100000] [--json PATH]

`--smoke` runs over 20,000 rows and checks no floor. Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import _report
import _rows
from aiohttp.test_utils import TestClient, TestServer

from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_async.ui import console

FEW = 1_000
#: The largest ratio to the time with a thousand executions.
BOUND = 5.0


@contextlib.asynccontextmanager
async def served(path: Path, rows: int) -> AsyncIterator[TestClient]:
    """Yield a client of a console with that many executions."""
    async with LocalOmium(path) as local:
        await _rows.fill(local, rows, failed=max(600, rows // 10))  # more than the page reads
        async with (
            AsyncOmium(local.api_key, base_url=local.url) as omium,
            TestClient(TestServer(console(omium))) as page,
        ):
            yield page


async def opened(page: TestClient, path: str) -> float:
    """Return the milliseconds until a page has arrived."""
    start = time.perf_counter()
    answer = await page.get(path)
    text = await answer.text()
    taken = (time.perf_counter() - start) * 1000
    assert answer.status == 200, re.findall(r"class=\"said\">([^<]*)", text)
    assert text.count('id="row-') == 50, path
    return taken


async def measure(report: _report.Report, rows: int, rounds: int) -> None:
    names = (f"over {rows:,}", f"over {FEW:,}")
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder) / "many.db", rows) as many, served(Path(folder) / "few.db", FEW) as few:
            for path, what in {"/": "all executions", "/?status=failed": "failed executions"}.items():
                times: dict[str, list[float]] = {name: [] for name in names}
                for _ in range(rounds + 1):
                    for name, page in zip(names, (many, few), strict=True):
                        times[name].append(await opened(page, path))
                warm = {name: taken[1:] for name, taken in times.items()}  # the first round warms up
                bounds = {names[1]: BOUND}
                report.add(_report.Comparison(f"the console's page of {what}", "ms", names[0], warm, bounds=bounds))


def main() -> int:
    parser = _report.options(__doc__, rounds=15)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    report = _report.Report(__file__, given)
    asyncio.run(measure(report, *((20_000, 3) if given.smoke else (given.rows, given.rounds))))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

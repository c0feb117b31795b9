"""Compare the import of the package, and of its client, with the import of aiohttp.

Each import runs in a new process, and the subjects take turns. The report has the ratios of the times of the import
statements.

    python benchmarks/imports.py [--smoke] [--rounds 21] [--json PATH]

`--smoke` runs for a second or two and checks no floor. Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import _report

AIOHTTP = "import aiohttp"
OURS = ("import omium_async", "from omium_async import AsyncOmium")
#: The largest ratios to the time of importing aiohttp.
BOUNDS = {"import omium_async": 0.8, "from omium_async import AsyncOmium": 1.25}


def milliseconds(statement: str, cache: str) -> float:
    """Return the time of an import in a new process, which reads compiled files from a folder."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    script = f"import time; start = time.perf_counter(); {statement}; print((time.perf_counter() - start) * 1000)"
    return float(subprocess.check_output([sys.executable, "-c", script], env=environment, text=True))


def main() -> int:
    given = _report.options(__doc__, rounds=21).parse_args()
    report = _report.Report(__file__, given)
    times: dict[str, list[float]] = {statement: [] for statement in (*OURS, AIOHTTP)}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range((3 if given.smoke else given.rounds) + 1):
            for statement, taken in times.items():
                taken.append(milliseconds(statement, cache))
    for statement in OURS:
        values = {name: times[name][1:] for name in (statement, AIOHTTP)}  # the first round compiles and fills caches
        bounds = {AIOHTTP: BOUNDS[statement]} if statement in BOUNDS else {}
        report.add(_report.Comparison(statement, "ms", statement, values, bounds=bounds))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

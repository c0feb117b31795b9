"""Importing the packages against importing aiohttp, which they import at the first call only.

Each import happens in a fresh process, the subjects take turns, and the median over the rounds of the ratio of the
time spent in the import statement is reported: at most 0.7 is wanted for omium_async.

    python benchmarks/imports.py [--smoke] [--rounds 21]

`--smoke` runs for a second or two and judges nothing; otherwise a missed bound makes the exit status 1.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

SUBJECTS = ("aiohttp", "omium_async", "omium_sync")
BOUND = 0.7


def seconds(module: str) -> float:
    """The time that the import takes in a process of its own."""
    script = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description="Import time of the packages as a ratio to aiohttp's.")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--smoke", action="store_true", help="a quick run that judges nothing")
    options = parser.parse_args()
    rounds = 3 if options.smoke else options.rounds

    for module in SUBJECTS:
        seconds(module)  # compiles, and warms the disk's cache
    times: dict[str, list[float]] = {module: [] for module in SUBJECTS}
    for _ in range(rounds):
        for module in SUBJECTS:
            times[module].append(seconds(module))
    print(f"{rounds} rounds, Python {sys.version.split()[0]}")
    print(f"{'module':<12} {'ms':>7} {'of aiohttp':>11}")
    ratios: dict[str, float] = {}
    for module, own in times.items():
        ratios[module] = statistics.median(a / b for a, b in zip(own, times["aiohttp"], strict=True))
        print(f"{module:<12} {statistics.median(own) * 1e3:>7.1f} {ratios[module]:>11.2f}")
    if ratios["omium_async"] > BOUND and not options.smoke:
        print(f"omium_async: {ratios['omium_async']:.2f} of aiohttp, at most {BOUND} wanted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

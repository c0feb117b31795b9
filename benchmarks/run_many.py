"""Compare `run_many` with `asyncio.Semaphore` around `executions.run`, and measure its memory.

The peer is what users write by hand: a task for each request, at most so many at once, each polls for itself. It has no
journal, and its first error ends it. The server is LocalOmium in a separate process.

    python benchmarks/run_many.py [--smoke] [--rounds 5] [--json PATH] [--only speed memory]
        [--runs 500] [--at-once 50] [--seconds 2]      for `speed`
        [--many 20000]                                 for `memory`

`--smoke` runs a small round and checks no floor. Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import _report

from omium_async import AsyncOmium, Attempt, ExecutionRequest

KEY = "omium_benchmark_0123456789"
#: The limits of time and requests, as ratios to the peer.
TIME, REQUESTS = 1.1, 0.6
#: The limit of memory, in MB above its level after the first tenth of the executions.
GROWTH = 10.0


def serve(pipe: Any) -> None:
    async def main() -> None:
        from omium_async.local import LocalOmium, WorkflowRun

        local = LocalOmium(api_keys=[KEY])

        @local.workflow("sleep")
        async def sleep(run: WorkflowRun) -> None:
            await asyncio.sleep(run.input_data["seconds"])

        async with local:
            pipe.send(local.url)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextlib.contextmanager
def service() -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def requests(count: int, seconds: float) -> Iterator[ExecutionRequest]:
    for _ in range(count):
        yield ExecutionRequest("sleep", {"seconds": seconds})


async def by_run_many(omium: AsyncOmium, count: int, at_once: int, seconds: float) -> None:
    done = 0
    async for outcome in omium.executions.run_many(requests(count, seconds), max_running=at_once):
        assert outcome.state == "completed", outcome
        done += 1
    assert done == count


async def by_hand(omium: AsyncOmium, count: int, at_once: int, seconds: float) -> None:
    places = asyncio.Semaphore(at_once)

    async def run(request: ExecutionRequest) -> None:
        async with places:
            detail = await omium.executions.run(request.workflow_id, request.input_data)
        assert detail.status == "completed", detail

    await asyncio.gather(*map(run, requests(count, seconds)))


Way = Callable[[AsyncOmium, int, int, float], Awaitable[None]]


async def measured(url: str, way: Way, count: int, at_once: int, seconds: float) -> tuple[float, int]:
    """Return the seconds and the requests of one round."""
    attempts = 0

    def count_attempt(_: Attempt) -> None:
        nonlocal attempts
        attempts += 1

    async with AsyncOmium(KEY, base_url=url, on_attempt=count_attempt) as omium:
        started = time.perf_counter()
        await way(omium, count, at_once, seconds)
        return time.perf_counter() - started, attempts


def measure_speed(count: int, at_once: int, seconds: float, rounds: int) -> Iterator[_report.Comparison]:
    ways: dict[str, Way] = {"run_many": by_run_many, "Semaphore and run": by_hand}
    times: dict[str, list[float]] = {name: [] for name in ways}
    sent: dict[str, list[float]] = {name: [] for name in ways}
    with service() as url:
        asyncio.run(measured(url, by_run_many, at_once, at_once, 0.0))
        for number in range(rounds):
            for name in sorted(ways, reverse=bool(number % 2)):
                took, attempts = asyncio.run(measured(url, ways[name], count, at_once, seconds))
                times[name].append(took)
                sent[name].append(attempts)
    title = f"{count} executions of {seconds:g} s, {at_once} at once"
    peer = "Semaphore and run"
    yield _report.Comparison(title, "s", "run_many", times, bounds={peer: TIME})
    yield _report.Comparison(title, "requests", "run_many", sent, bounds={peer: REQUESTS})


def resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_memory(count: int) -> _report.Figure:
    async def run(url: str) -> tuple[int, int]:
        base = highest = done = 0
        async with AsyncOmium(KEY, base_url=url) as omium:
            async for _ in omium.executions.run_many(requests(count, 0.0), max_running=50):
                done += 1
                if done % (count // 20) == 0:
                    gc.collect()
                    highest = max(highest, resident())
                    if done <= count // 10:
                        base = highest
        return base, highest

    with service() as url:
        base, highest = asyncio.run(run(url))
    what = f"memory while {count:,} executions of 0 s run, above its level after {count // 10:,}"
    return _report.Figure(what, "MB", (highest - base) / 2**20, at_most=GROWTH)


def main() -> int:
    parser = _report.options(__doc__, rounds=5)
    parser.add_argument("--only", nargs="+", choices=(parts := ("speed", "memory")), default=parts)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--many", type=int, default=20_000)
    given = parser.parse_args()
    if given.smoke:
        given.rounds, given.runs, given.at_once, given.seconds, given.many = 1, 40, 20, 0.2, 400
    report = _report.Report(__file__, given)
    if "speed" in given.only:
        for found in measure_speed(given.runs, given.at_once, given.seconds, given.rounds):
            report.add(found)
    if "memory" in given.only:
        report.add(measure_memory(given.many))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

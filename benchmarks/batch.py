"""Compare batches with a worker pool written by hand on aiohttp, and measure their memory and the requests of waits.

The peer is a pool of tasks that take items from one iterator, send JSON on one session, check the status and decode
the response. It has no time-outs, retries, keys, models or journal, and ends at the first failure. A tuned peer sends
bytes of orjson, checks nothing, and decodes with orjson. The server is a bare asyncio protocol in a separate process.

    python benchmarks/batch.py [--smoke] [--rounds 7] [--json PATH] [--only speed memory waiting]
        [--items 8000] [--concurrency 32] [--delay 0]   for `speed`
        [--many 200000]                                 for `memory`
        [--runs 2000] [--seconds 60]                    for `waiting`

`--delay` is the time of the server for a response, in milliseconds. `--smoke` runs a small round and checks no floor.
Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gc
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import _report
import aiohttp
import orjson

from omium_async import AsyncOmium, ExecutionRequest

KEY = "omium_benchmark_0123456789"
#: The floors of items a second, as ratios to the first peer.
WITHOUT_JOURNAL, WITH_JOURNAL = 0.85, 0.55
#: The limit of memory, in MB above its level after the first hundredth of the items.
GROWTH = 10.0
#: The limit of requests, in percent of one GET a second for each run.
WAITING_SHARE = 10.0


# -- the server --------------------------------------------------------------------------------------------------------


class Service(asyncio.Protocol):
    """Answers a POST as the service does, and anything else with an empty list."""

    created = 0

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = 0
            mark = head.lower().find(b"content-length:")
            if mark >= 0:
                length = int(head[mark + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            answer = self.answer(post=head.startswith(b"POST"))
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.transport.write, answer)
            else:
                self.transport.write(answer)

    def answer(self, *, post: bool) -> bytes:
        if not post:
            return _http(b"200 OK", b'{"items": [], "total": 0, "page": 1, "page_size": 20}')
        Service.created += 1
        body = (
            b'{"id":"exec_%024d","workflow_id":"workflow_xyz","status":"running","created_at":"2025-01-01T12:10:00Z"}'
        ) % Service.created
        return _http(b"201 Created", body)


def _http(status: bytes, body: bytes) -> bytes:
    date = email.utils.formatdate(usegmt=True).encode()
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nDate: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, date, len(body)) + body


def serve(pipe: Any, delay: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Service(delay), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextlib.contextmanager
def service(delay: float = 0.0) -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, delay), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


# -- the clients -------------------------------------------------------------------------------------------------------


def inputs(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"query": f"Research topic {number}", "depth": 3, "tags": ["a", "b"]}


async def by_hand(url: str, count: int, concurrency: int) -> None:
    todo = inputs(count)
    ids: list[str] = []

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency), headers={"X-API-Key": KEY}
    ) as session:

        async def work() -> None:
            for data in todo:
                body = {"workflow_id": "workflow_xyz", "input_data": data}
                async with session.post(f"{url}/api/v1/executions", json=body) as response:
                    response.raise_for_status()
                    ids.append((await response.json())["id"])

        await asyncio.gather(*[work() for _ in range(concurrency)])
    assert len(ids) == count


async def tuned_by_hand(url: str, count: int, concurrency: int) -> None:
    todo = inputs(count)
    done = 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def work() -> None:
            nonlocal done
            for data in todo:
                body = orjson.dumps({"workflow_id": "workflow_xyz", "input_data": data})
                headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
                async with session.post(f"{url}/api/v1/executions", data=body, headers=headers) as response:
                    found = orjson.loads(await response.read())
                    assert found["id"]
                    done += 1

        await asyncio.gather(*[work() for _ in range(concurrency)])
    assert done == count


async def by_batch(url: str, count: int, concurrency: int, journal: Path | None) -> None:
    done = 0
    async with AsyncOmium(KEY, base_url=url, max_connections=concurrency) as omium:
        requests = (ExecutionRequest("workflow_xyz", data) for data in inputs(count))
        async for outcome in omium.executions.create_many(requests, concurrency=concurrency, journal=journal):
            assert outcome.state == "created", outcome
            done += 1
    assert done == count


def timed(run: Any) -> float:
    gc.collect()
    started = time.perf_counter()
    asyncio.run(run)
    return time.perf_counter() - started


def measure_speed(items: int, concurrency: int, rounds: int, delay: float) -> Iterator[_report.Comparison]:
    plain, kept, hand, tuned = "create_many", "create_many, with a journal", "by hand", "by hand, tuned"
    rates: dict[str, list[float]] = {name: [] for name in (plain, kept, hand, tuned)}
    with service(delay) as url, tempfile.TemporaryDirectory() as folder:
        asyncio.run(by_hand(url, min(items, 500), concurrency))
        asyncio.run(by_batch(url, min(items, 500), concurrency, None))
        for number in range(rounds):
            rates[hand].append(items / timed(by_hand(url, items, concurrency)))
            rates[tuned].append(items / timed(tuned_by_hand(url, items, concurrency)))
            rates[plain].append(items / timed(by_batch(url, items, concurrency, None)))
            journal = Path(folder) / f"{number}.journal"
            rates[kept].append(items / timed(by_batch(url, items, concurrency, journal)))
    for ours, bound in ((plain, WITHOUT_JOURNAL), (kept, WITH_JOURNAL)):
        title = f"{items:,} creates, {concurrency} at once" + (", with a journal" if ours is kept else "")
        values = {plain: rates[ours], hand: rates[hand], tuned: rates[tuned]}
        yield _report.Comparison(title, "items a second", plain, values, more=True, bounds={hand: bound})


# -- memory ------------------------------------------------------------------------------------------------------------


def resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_memory(items: int) -> _report.Figure:
    async def run(url: str) -> tuple[int, int]:
        base = highest = done = 0
        async with AsyncOmium(KEY, base_url=url) as omium:
            requests = (ExecutionRequest("workflow_xyz", data) for data in inputs(items))
            async for _ in omium.executions.create_many(requests, concurrency=100):
                done += 1
                if done % 2_000 == 0:
                    now = resident()
                    if done <= max(items // 100, 2_000):
                        base = max(base, now)
                    highest = max(highest, now)
        return base, highest

    with service() as url:
        base, highest = asyncio.run(run(url))
    what = f"memory while {items:,} executions are created, above its level after {max(items // 100, 2_000):,}"
    return _report.Figure(what, "MB", (highest - base) / 2**20, at_most=GROWTH)


# -- waiting -----------------------------------------------------------------------------------------------------------


async def measure_waiting(runs: int, seconds: float) -> _report.Figure:
    from omium_async.local import LocalOmium, WorkflowRun

    local = LocalOmium()

    @local.workflow("sleep")
    async def sleep(run: WorkflowRun) -> None:
        await asyncio.sleep(run.input_data)

    def requests() -> Iterator[ExecutionRequest]:
        for number in range(runs):
            yield ExecutionRequest("sleep", seconds * (number + 1) / runs)

    async with local, AsyncOmium(local.api_key, base_url=local.url) as omium:
        executions = omium.executions
        ids = [outcome.execution.id async for outcome in executions.create_many(requests()) if outcome.execution]
        before = sum(local.counts.values())
        done = await _count(executions.wait_many(ids))
        requests_made = sum(local.counts.values()) - before
    naive = sum(seconds * (number + 1) / runs for number in range(runs))
    assert done == runs
    what = f"requests of wait_many for {runs:,} runs that end within {seconds:g} s"
    what += ", compared with one GET a second for each run"
    return _report.Figure(what, "%", requests_made / naive * 100, at_most=WAITING_SHARE)


async def _count(found: AsyncIterator[Any]) -> int:
    count = 0
    async for _ in found:
        count += 1
    return count


def main() -> int:
    parser = _report.options(__doc__, rounds=7)
    parser.add_argument("--only", nargs="+", choices=(parts := ("speed", "memory", "waiting")), default=parts)
    parser.add_argument("--items", type=int, default=8_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    if given.smoke:
        given.rounds, given.items, given.many, given.runs, given.seconds = 1, 500, 6_000, 100, 2.0
    report = _report.Report(__file__, given)
    if "speed" in given.only:
        for found in measure_speed(given.items, given.concurrency, given.rounds, given.delay / 1000):
            report.add(found)
    if "memory" in given.only:
        report.add(measure_memory(given.many))
    if "waiting" in given.only:
        report.add(asyncio.run(measure_waiting(given.runs, given.seconds)))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

"""Compare the reading of long lists with other clients, and measure its memory.

The server is a separate process with prepared rows, on another core than the client. The peers are bare
aiohttp with `orjson.loads` to dicts, httpx2 with pydantic v2 models, and the same list with `prefetch=0`.

    python benchmarks/streaming.py [--smoke] [--rounds 5] [--json PATH]

`--smoke` runs for a few seconds and checks no floor: its list is so short that the slow start of the read-ahead takes
half of the time, and 25 pages cannot be read more than five times as fast. Otherwise the exit status is 1 if a floor
is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import _report
import aiohttp
import httpx2
import orjson
import psutil
import pydantic

from omium_async import AsyncOmium
from omium_async._lists.seen import Seen

KEY = "benchmark-key"
LATENCY = 0.020
READY = 300_000  # rows that the server keeps in memory
MEGABYTE = 2**20
OURS, AIOHTTP, HTTPX2, ONE_BY_ONE = "omium-async", "aiohttp and orjson", "httpx2 and pydantic", "prefetch=0"
#: The floors of rows a second, as ratios to these; the limit of memory in MB.
BOUNDS = {AIOHTTP: 0.6, HTTPX2: 2.0, ONE_BY_ONE: 6.0}
GROWTH = 16.0


class PydanticRow(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    id: str
    workflow_id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None


class PydanticPage(pydantic.BaseModel):
    items: list[PydanticRow]
    total: int


# -- the server ------------------------------------------------------------------------------------------------------

ROW = (
    b'{"id":"exec_%032x","workflow_id":"workflow_xyz","status":"completed","created_at":"2025-01-01T12:00:00Z",'
    b'"updated_at":"2025-01-01T13:00:00Z","input_data":{"query":"latest AI trends"},"output_data":null}'
)


class Server(asyncio.Protocol):
    """Answers every GET with the requested page of the list, after the latency."""

    total: int
    latency: float
    rows: Sequence[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        query = data.split(b" ", 2)[1].partition(b"?")[2]
        asked = dict(pair.split(b"=") for pair in query.split(b"&"))
        page, size = int(asked[b"page"]), int(asked[b"page_size"])
        rows = b",".join(self.rows[(page - 1) * size : page * size])
        body = b'{"items":[%b],"total":%d,"page":%d,"page_size":%d}' % (rows, self.total, page, size)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, head + body)
        else:
            self.transport.write(head + body)


class MadeRows(Sequence[bytes]):
    """Return rows of a list that is too long to be prepared."""

    def __init__(self, total: int) -> None:
        self.numbers = range(total)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return [ROW % number for number in self.numbers[index]]


async def serve(rows: int, latency: float) -> None:
    """Print the port, and serve until the standard input closes."""
    Server.total, Server.latency = rows, latency
    Server.rows = MadeRows(rows) if rows > READY else MadeRows(rows)[:]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def server(rows: int, latency: float = 0) -> Iterator[str]:
    """Yield the URL of a running server. Client and server run on different cores if the system allows to choose."""
    command = [sys.executable, __file__, "--serve", str(rows), str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if hasattr(os, "sched_setaffinity"):
                *_, ours, theirs = [0, 0, *sorted(os.sched_getaffinity(process.pid))]
                os.sched_setaffinity(process.pid, {theirs})
                os.sched_setaffinity(0, {ours})
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


# -- the clients -----------------------------------------------------------------------------------------------------

Reader = Callable[[str, int], Awaitable[int]]


async def read_omium(url: str, page_size: int, **options: Any) -> int:
    rows = 0
    async with AsyncOmium(KEY, base_url=url, rate_limit=None) as omium:
        async for _ in omium.executions.list(page_size=page_size, **options):
            rows += 1
    return rows


async def read_omium_one_by_one(url: str, page_size: int) -> int:
    return await read_omium(url, page_size, prefetch=0)


async def read_aiohttp(url: str, page_size: int) -> int:
    rows = page = 0
    async with aiohttp.ClientSession(headers={"X-API-Key": KEY}) as session:
        while True:
            page += 1
            params = {"page": page, "page_size": page_size}
            async with session.get(f"{url}/api/v1/executions", params=params) as response:
                answer = orjson.loads(await response.read())
            for _ in answer["items"]:
                rows += 1
            if rows >= answer["total"]:
                return rows


async def read_httpx2(url: str, page_size: int) -> int:
    rows = page = 0
    async with httpx2.AsyncClient(headers={"X-API-Key": KEY}, trust_env=False) as client:
        while True:
            page += 1
            params = {"page": page, "page_size": page_size}
            response = await client.get(f"{url}/api/v1/executions", params=params)
            answer = PydanticPage.model_validate_json(response.content)
            for _ in answer.items:
                rows += 1
            if rows >= answer.total:
                return rows


def rate(reader: Reader, url: str, page_size: int, expected: int) -> float:
    """Return rows a second, including the time to connect."""
    start = time.perf_counter()
    rows = asyncio.run(reader(url, page_size))
    if rows != expected:
        raise SystemExit(f"{reader.__name__} read {rows} rows of {expected}")
    return rows / (time.perf_counter() - start)


def take_turns(
    readers: dict[str, Reader], rows: int, page_size: int, rounds: int, latency: float = 0
) -> dict[str, list[float]]:
    """Return rows a second of each reader, one entry a round."""
    rates: dict[str, list[float]] = {name: [] for name in readers}
    with server(rows, latency) as url:
        for _ in range(rounds + 1):
            for name, reader in readers.items():
                rates[name].append(rate(reader, url, page_size, rows))
    return {name: found[1:] for name, found in rates.items()}  # the first round warms up


# -- what is measured ------------------------------------------------------------------------------------------------


def throughput(rows: int, rounds: int) -> _report.Comparison:
    readers: dict[str, Reader] = {OURS: read_omium, AIOHTTP: read_aiohttp, HTTPX2: read_httpx2}
    return compared(f"reading {rows:,} rows", take_turns(readers, rows, 1000, rounds))


def prefetch(pages: int, rounds: int) -> _report.Comparison:
    readers: dict[str, Reader] = {OURS: read_omium, ONE_BY_ONE: read_omium_one_by_one}
    what = f"reading {pages} pages, {LATENCY * 1000:g} ms a response"
    return compared(what, take_turns(readers, pages * 100, 100, rounds, LATENCY))


def compared(what: str, rates: dict[str, list[float]]) -> _report.Comparison:
    bounds = {name: bound for name, bound in BOUNDS.items() if name in rates}
    return _report.Comparison(what, "rows a second", OURS, rates, more=True, bounds=bounds)


def memory(rows: int) -> _report.Figure:
    """Measure memory in a new process, because its peak is compared."""
    with server(rows) as url:
        command = [sys.executable, __file__, "--memory", url]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    what = f"memory while {rows:,} rows are read, above its level after 20,000"
    return _report.Figure(what, "MB", float(done.stdout), at_most=GROWTH)


async def measure_memory(url: str) -> float:
    """Return the MB by which memory rises above its level after the first 20,000 rows."""
    process = psutil.Process()
    level = peak = rows = 0
    async with AsyncOmium(KEY, base_url=url) as omium:
        async for _ in omium.executions.list(page_size=1000):
            rows += 1
            if rows == 20_000:
                level = process.memory_info().rss
            elif rows % 1000 == 0:
                peak = max(peak, process.memory_info().rss)
    return (peak - level) / MEGABYTE


class _Row:
    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id


def bookkeeping(rows: int) -> _report.Figure:
    """Measure the time to remember a row. It has no floor, because it is an absolute time."""
    memory, spent = Seen(), 0.0
    for start in range(0, rows, 1000):
        page = [_Row(f"exec_{number:032x}") for number in range(start, start + 1000)]
        began = time.perf_counter()
        memory.add(page, rows)
        spent += time.perf_counter() - began
    return _report.Figure("remembering which rows were yielded", "µs a row", spent / rows * 1e6)


def main() -> int:
    parser = _report.options(__doc__, rounds=5)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(int(given.serve[0]), float(given.serve[1])))
        return 0
    if given.memory:
        print(asyncio.run(measure_memory(given.memory)))
        return 0
    report = _report.Report(__file__, given)
    rounds = 1 if given.smoke else given.rounds
    report.add(bookkeeping(20_000 if given.smoke else 1_000_000))
    report.add(throughput(20_000 if given.smoke else 200_000, rounds))
    report.add(prefetch(25 if given.smoke else 200, rounds))
    report.add(memory(60_000 if given.smoke else 1_000_000))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

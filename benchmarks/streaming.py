"""Reading long lists, as ratios against peers in the same run, and in flat memory.

The server is a process of its own that has the rows ready as bytes, on another core than the client. Peers:
bare aiohttp with `orjson.loads` to dicts, httpx with pydantic v2 models, and the same stream with `prefetch=0`. All
take turns within each round, and the median over the rounds of each ratio is judged, for absolute times do not travel
between machines.

    python benchmarks/streaming.py [--smoke] [--rounds 5]

`--smoke` runs for a few seconds and judges nothing; otherwise a missed bound makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import aiohttp
import httpx
import orjson
import psutil
import pydantic

from omium_async import AsyncOmium
from omium_async._streaming.seen import Seen

KEY = "benchmark-key"
LATENCY = 0.020
READY = 300_000  # rows that the server keeps in memory
MEGABYTE = 2**20
#: claim: (at least or at most, bound).
BOUNDS = {
    "rows a second, to bare aiohttp and orjson": (">=", 0.55),
    "rows a second, to httpx and pydantic": (">=", 2.0),
    "20 ms a response, default to prefetch=0": (">=", 6.0),
    "memory of a million rows, MB": ("<=", 16.0),
}


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
    """Answers every GET with the window of the list that was asked for, after the latency."""

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
    """The rows of a list too long to be kept ready."""

    def __init__(self, total: int) -> None:
        self.numbers = range(total)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return [ROW % number for number in self.numbers[index]]


async def serve(rows: int, latency: float) -> None:
    """Serve until the standard input closes; the port goes to the standard output."""
    Server.total, Server.latency = rows, latency
    Server.rows = MadeRows(rows) if rows > READY else MadeRows(rows)[:]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def server(rows: int, latency: float = 0) -> Iterator[str]:
    """A running server's URL; client and server are on different cores, where there are two and they can be chosen."""
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


async def read_httpx(url: str, page_size: int) -> int:
    rows = page = 0
    async with httpx.AsyncClient(headers={"X-API-Key": KEY}, trust_env=False) as client:
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
    """Rows a second, connection and all."""
    start = time.perf_counter()
    rows = asyncio.run(reader(url, page_size))
    if rows != expected:
        raise SystemExit(f"{reader.__name__} read {rows} rows of {expected}")
    return rows / (time.perf_counter() - start)


def take_turns(
    readers: dict[str, Reader], rows: int, page_size: int, rounds: int, latency: float = 0
) -> dict[str, float]:
    """For all but the first reader: how many times as fast the first one is, the median over the rounds."""
    ratios: dict[str, list[float]] = {name: [] for name in [*readers][1:]}
    with server(rows, latency) as url:
        for number in range(rounds + 1):
            rates = {name: rate(reader, url, page_size, rows) for name, reader in readers.items()}
            ours = next(iter(rates.values()))
            for name, found in ratios.items():
                if number:  # the first round only warms up
                    found.append(ours / rates[name])
            print("   ", "  ".join(f"{name}: {value:,.0f}/s" for name, value in rates.items()), flush=True)
    return {name: statistics.median(found) for name, found in ratios.items()}


# -- what is measured ------------------------------------------------------------------------------------------------


def throughput(rows: int, rounds: int) -> dict[str, float]:
    readers: dict[str, Reader] = {"omium": read_omium, "aiohttp, orjson": read_aiohttp, "httpx, pydantic": read_httpx}
    found = take_turns(readers, rows, 1000, rounds)
    return {
        "rows a second, to bare aiohttp and orjson": found["aiohttp, orjson"],
        "rows a second, to httpx and pydantic": found["httpx, pydantic"],
    }


def prefetch(pages: int, rounds: int) -> dict[str, float]:
    readers: dict[str, Reader] = {"default": read_omium, "prefetch=0": read_omium_one_by_one}
    found = take_turns(readers, pages * 100, 100, rounds, LATENCY)
    return {"20 ms a response, default to prefetch=0": found["prefetch=0"]}


def memory(rows: int) -> dict[str, float]:
    """In a process of its own, for it is the peak that counts."""
    with server(rows) as url:
        command = [sys.executable, __file__, "--memory", url]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {"memory of a million rows, MB": float(done.stdout)}


async def measure_memory(url: str) -> float:
    """How far memory rises above its level after the first 20,000 rows."""
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


def bookkeeping(rows: int) -> float:
    """What remembering costs, in µs a row; not judged, for it is an absolute time."""
    memory, spent = Seen(), 0.0
    for start in range(0, rows, 1000):
        page = [_Row(f"exec_{number:032x}") for number in range(start, start + 1000)]
        began = time.perf_counter()
        memory.add(page, rows)
        spent += time.perf_counter() - began
    return spent / rows * 1e6


def report(found: dict[str, float]) -> bool:
    met = True
    for claim, value in found.items():
        kind, bound = BOUNDS[claim]
        good = value >= bound if kind == ">=" else value <= bound
        met = met and good
        print(f"{claim:45} {value:8.2f}   {kind} {bound}   {'met' if good else 'MISSED'}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(int(arguments.serve[0]), float(arguments.serve[1])))
        return 0
    if arguments.memory:
        print(asyncio.run(measure_memory(arguments.memory)))
        return 0
    rounds = 1 if arguments.smoke else arguments.rounds
    print(f"remembering: {bookkeeping(20_000 if arguments.smoke else 1_000_000):.2f} µs a row")
    met = report(throughput(20_000 if arguments.smoke else 200_000, rounds))
    met = report(prefetch(25 if arguments.smoke else 200, rounds)) and met
    met = report(memory(60_000 if arguments.smoke else 1_000_000)) and met
    return 0 if met or arguments.smoke else 1


if __name__ == "__main__":
    sys.exit(main())

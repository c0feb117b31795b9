"""Compare single calls with other clients, on the same server in the same run.

The calls are `get` (a GET of 585 bytes) and `create` (a POST), at several concurrencies. The subjects are this client
with all features (outcomes, deadlines, pacing, budget, ids, keys, strict typed models), the same client with telemetry
whose provider records nothing, bare aiohttp (`session.get`, read, decode to dict) and httpx2. If they are installed
(`pip install --group benchmarks`), also the official `omium` client, and `openai`, with and without its aiohttp
backend. The server is a child process on another core than the client. The report has calls in each CPU second of the
client, and calls a second.

    python benchmarks/calls.py [--smoke] [--rounds 5] [--calls 4000] [--json PATH]

`--smoke` runs for some seconds and checks no floor. Otherwise the exit status is 1 if, at concurrency 64, `get` is
below 0.85 or `create` below 0.80 of bare aiohttp per CPU second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import _report
import aiohttp
import httpx2
import orjson

from omium_async import AsyncOmium

KEY = "omium_benchmark_key_0123456789"
CONCURRENCIES = (1, 64, 512)
#: Floors of calls a CPU second, to bare aiohttp, at this concurrency.
FLOORS, FLOORS_AT = {"get": 0.85, "create": 0.80}, 64
DETAIL = {
    "id": "exec_0123456789abcdef",
    "workflow_id": "workflow_0123456789",
    "status": "completed",
    "created_at": "2025-01-01T12:00:00Z",
    "updated_at": "2025-01-01T12:05:00Z",
    "started_at": "2025-01-01T12:00:01Z",
    "completed_at": "2025-01-01T12:05:00Z",
    "input_data": {"query": "latest AI trends", "depth": 3},
    "output_data": {"report": "a report of some words " * 4},
    "error": None,
    "checkpoints": [
        {"id": "chk_1", "name": "start", "created_at": "2025-01-01T12:00:02Z"},
        {"id": "chk_2", "name": "data_processed", "created_at": "2025-01-01T12:03:00Z"},
    ],
}
CREATED = {
    "id": "exec_0123456789abcdef",
    "workflow_id": "workflow_0123456789",
    "status": "pending",
    "created_at": "2025-01-01T12:00:00Z",
    "input_data": {"query": "Research quantum computing advancements", "n": 5},
    "output_data": None,
    "error": None,
}
INPUT = {"query": "Research quantum computing advancements", "n": 5}

Call = Callable[[], Awaitable[object]]
Found = dict[tuple[str, int, str], list[tuple[float, float]]]


# -- the server: as lean as asyncio allows, because the client is measured


class Server(asyncio.Protocol):
    got = created = b""  # the responses

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        data = self.data + data if self.data else data
        head, end, body = data.partition(b"\r\n\r\n")
        length = 0
        if not head.startswith(b"GET"):
            at = head.lower().find(b"content-length:")
            length = (
                int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None]) if at > 0 else 0
            )
        if not end or len(body) < length:
            self.data = data
            return
        self.data = b""
        self.transport.write(self.got if data.startswith(b"GET") else self.created)


def answer(status: str, data: dict[str, Any]) -> bytes:
    body = json.dumps(data).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def serve() -> None:
    Server.got, Server.created = answer("200 OK", DETAIL), answer("201 Created", CREATED)
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def pin(which: int) -> None:
    """Use the first core for the client and the last for the server, if the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[which]})


# -- clients


async def of_omium(stack: AsyncExitStack, url: str, **more: Any) -> dict[str, Call]:
    omium = await stack.enter_async_context(AsyncOmium(KEY, base_url=url, max_connections=1000, **more))
    return {
        "get": lambda: omium.executions.get("exec_0123456789abcdef"),
        "create": lambda: omium.executions.create("workflow_0123456789", INPUT),
    }


async def of_telemetry(stack: AsyncExitStack, url: str) -> dict[str, Call]:
    """Create a client with telemetry, without a provider that records it."""
    from omium_async.otel import Telemetry

    return await of_omium(stack, url, telemetry=Telemetry())


async def of_aiohttp(stack: AsyncExitStack, url: str) -> dict[str, Call]:
    session = await stack.enter_async_context(
        aiohttp.ClientSession(headers={"X-API-Key": KEY}, connector=aiohttp.TCPConnector(limit=1000))
    )

    async def get() -> object:
        async with session.get(f"{url}/api/v1/executions/exec_0123456789abcdef") as response:
            return orjson.loads(await response.read())

    async def create() -> object:
        body = {"workflow_id": "workflow_0123456789", "input_data": INPUT}
        async with session.post(f"{url}/api/v1/executions", json=body) as response:
            return orjson.loads(await response.read())

    return {"get": get, "create": create}


async def of_httpx2(stack: AsyncExitStack, url: str) -> dict[str, Call]:
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
    client = await stack.enter_async_context(httpx2.AsyncClient(headers={"X-API-Key": KEY}, limits=limits, timeout=60))

    async def get() -> object:
        return (await client.get(f"{url}/api/v1/executions/exec_0123456789abcdef")).json()

    async def create() -> object:
        body = {"workflow_id": "workflow_0123456789", "input_data": INPUT}
        return (await client.post(f"{url}/api/v1/executions", json=body)).json()

    return {"get": get, "create": create}


async def of_official(stack: AsyncExitStack, url: str) -> dict[str, Call]:
    from omium import RemoteOmiumClient  # type: ignore[import-not-found]

    client = RemoteOmiumClient(api_url=f"{url}/api/v1", api_key=KEY)
    stack.push_async_callback(client.close)
    # It has no method for executions; this is its GET of one object by id.
    return {"get": lambda: client.get_workflow("exec_0123456789abcdef")}


def of_openai(backend: str) -> Callable[[AsyncExitStack, str], Awaitable[dict[str, Call]]]:
    async def make(stack: AsyncExitStack, url: str) -> dict[str, Call]:
        import openai  # type: ignore[import-not-found]

        options: dict[str, Any] = {} if backend == "httpx2" else {"http_client": openai.DefaultAioHttpClient()}
        client = await stack.enter_async_context(openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/api/v1", **options))
        return {
            "get": lambda: client.get("/executions/exec_0123456789abcdef", cast_to=object),
            "create": lambda: client.post(
                "/executions", cast_to=object, body={"workflow_id": "w", "input_data": INPUT}
            ),
        }

    return make


CLIENTS: dict[str, Callable[[AsyncExitStack, str], Awaitable[dict[str, Call]]]] = {
    "omium-async": of_omium,
    "aiohttp": of_aiohttp,
    "with telemetry": of_telemetry,
    "httpx2": of_httpx2,
    "official omium": of_official,
    "openai": of_openai("httpx2"),
    "openai on aiohttp": of_openai("aiohttp"),
}
#: Slow clients, and by how much to divide the number of their calls.
SLOW = {"httpx2": 5, "official omium": 8, "openai": 8, "openai on aiohttp": 5}


async def measure(call: Call, count: int, concurrency: int) -> tuple[float, float]:
    """Return calls a second, and calls in each CPU second."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


async def compare(url: str, rounds: int, calls: int, concurrencies: tuple[int, ...]) -> Found:
    """Return for each operation, concurrency, client and round: calls a second, and calls in each CPU second."""
    found: Found = {}
    async with AsyncExitStack() as stack:
        clients: dict[str, dict[str, Call]] = {}
        for name, make in CLIENTS.items():
            try:
                clients[name] = await make(stack, url)
                await clients[name]["get"]()
            except Exception as error:
                clients.pop(name, None)
                print(f"{name}: skipped ({type(error).__name__}: {error})")
        for concurrency in concurrencies:
            for turn in range(rounds + 1):  # the first opens connections and warms caches
                for operation in ("get", "create"):
                    for name, operations in clients.items():
                        if operation not in operations:
                            continue
                        count = max(concurrency, calls // SLOW.get(name, 1) // (10 if turn == 0 else 1))
                        result = await measure(operations[operation], count, concurrency)
                        if turn:
                            found.setdefault((operation, concurrency, name), []).append(result)
    return found


def compared(found: Found) -> Iterator[_report.Comparison]:
    for operation in ("get", "create"):
        for concurrency in sorted({at for _, at, _ in found}):
            clients = {name: rounds for (of, at, name), rounds in found.items() if (of, at) == (operation, concurrency)}
            what = f"{operation}, {concurrency} at once"
            for unit, which in (("calls a CPU second", 1), ("calls a second", 0)):
                values = {name: [each[which] for each in rounds] for name, rounds in clients.items()}
                bounds = {"aiohttp": FLOORS[operation]} if concurrency == FLOORS_AT and which == 1 else {}
                yield _report.Comparison(what, unit, "omium-async", values, more=True, bounds=bounds)


def main() -> int:
    parser = _report.options(__doc__, rounds=5)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        pin(-1)
        asyncio.run(serve())
        return 0
    report = _report.Report(__file__, given)
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        pin(0)
        # With hundreds of calls at once, the slow peers would take too long for a smoke run.
        size = (1, 100, CONCURRENCIES[:2]) if given.smoke else (given.rounds, given.calls, CONCURRENCIES)
        for comparison in compared(asyncio.run(compare(url, *size))):
            report.add(comparison)
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

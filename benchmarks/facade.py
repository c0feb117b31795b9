"""Compare the sync client with the async client, with anyio's `portal.call`, and with `httpx2.Client`.

The server is a separate process that answers prepared bytes, on another core than the client.

    python benchmarks/facade.py [--smoke] [--rounds 7] [--json PATH]

`--smoke` runs for a few seconds and checks no floor. Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import _report
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

from omium_async import AsyncOmium
from omium_sync import Omium

KEY = "benchmark-key"
THREADS = 32
OURS, PORTAL, ASYNC, HTTPX2 = "omium_sync", "portal.call", "omium_async", "httpx2.Client"
#: The upper limits of our time, as multiples of the time of these.
BOUNDS: dict[str, dict[str, float]] = {"rows": {ASYNC: 1.25}, "get": {HTTPX2: 1.0}, "threads": {}}


# -- the server ----------------------------------------------------------------------------------------------------


def row(number: int) -> bytes:
    """Return one row of a list, in the form of the service."""
    found = {
        "id": f"exec_{number:08x}",
        "workflow_id": "workflow_xyz",
        "status": "completed",
        "created_at": "2025-01-01T12:00:00Z",
        "updated_at": "2025-01-01T13:00:00Z",
        "input_data": {"query": "latest AI trends", "depth": number},
        "output_data": None,
    }
    return json.dumps(found, separators=(",", ":")).encode()


class Server(asyncio.Protocol):
    """Answers every GET with one execution, and a list with the requested page."""

    rows: list[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        target = data.split(b" ", 2)[1]
        path, _, query = target.partition(b"?")
        if path.endswith(b"/executions"):
            asked = dict(pair.split(b"=") for pair in query.split(b"&"))
            page, size = int(asked[b"page"]), int(asked[b"page_size"])
            rows = self.rows[(page - 1) * size : page * size]
            numbers = b'],"total":%d,"page":%d,"page_size":%d}' % (len(self.rows), page, size)
            body = b'{"items":[' + b",".join(rows) + numbers
        else:
            body = self.rows[0]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def serve(rows: int) -> None:
    """Print the port, and serve until the standard input closes."""
    Server.rows = [row(number) for number in range(rows)]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def server(rows: int) -> Generator[str]:
    """Yield the URL of a running server. Client and server run on different cores if the system allows to choose."""
    command = [sys.executable, __file__, "--serve", str(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if hasattr(os, "sched_setaffinity"):
                *_, ours, theirs = [0, *sorted(os.sched_getaffinity(0))]
                os.sched_setaffinity(process.pid, {theirs})
                os.sched_setaffinity(0, {ours})
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


# -- the clients ---------------------------------------------------------------------------------------------------


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def repeated(call: Callable[[str], object], times: int) -> Callable[[], None]:
    """Return a function that makes ``times`` calls, one after the other."""

    def run() -> None:
        for _ in range(times):
            call("exec_1")

    return run


def in_threads(call: Callable[[str], object], times: int) -> Callable[[], None]:
    """Return a function that makes ``times`` calls in each of 32 threads."""

    def run() -> None:
        threads = [threading.Thread(target=repeated(call, times)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


class Clients:
    """One client of each kind."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.sync = stack.enter_context(Omium(KEY, base_url=url))
        self.portal: BlockingPortal = stack.enter_context(start_blocking_portal())
        self.core = AsyncOmium(KEY, base_url=url)
        stack.callback(lambda: self.portal.call(self.core.aclose))
        self.httpx2 = stack.enter_context(httpx2.Client(headers={"X-API-Key": KEY}, trust_env=False))
        self.url = f"{url}/api/v1/executions"
        self.runner = stack.enter_context(asyncio.Runner())
        self.own = AsyncOmium(KEY, base_url=url)
        stack.callback(lambda: self.runner.run(self.own.aclose()))

    def by_portal(self, execution_id: str) -> object:
        return self.portal.call(self.core.executions.get, execution_id)

    def by_httpx2(self, execution_id: str) -> object:
        return self.httpx2.get(f"{self.url}/{execution_id}").json()

    async def gets(self, times: int) -> None:
        for _ in range(times):
            await self.own.executions.get("exec_1")

    async def many_gets(self, times: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(THREADS):
                group.create_task(self.gets(times))

    async def rows(self) -> None:
        async for _ in self.own.executions.list():
            pass

    def sync_rows(self) -> None:
        for _ in self.sync.executions.list():
            pass


def subjects(clients: Clients, calls: int) -> dict[str, dict[str, Callable[[], object]]]:
    """Return the functions to measure: for each measure, ours and its peers."""
    each = max(calls // THREADS * 4, 4)
    get, run = clients.sync.executions.get, clients.runner.run
    return {
        "rows": {OURS: clients.sync_rows, ASYNC: lambda: run(clients.rows())},
        "get": {
            OURS: repeated(get, calls),
            PORTAL: repeated(clients.by_portal, calls),
            HTTPX2: repeated(clients.by_httpx2, calls),
            ASYNC: lambda: run(clients.gets(calls)),
        },
        "threads": {
            OURS: in_threads(get, each),
            PORTAL: in_threads(clients.by_portal, each),
            ASYNC: lambda: run(clients.many_gets(each)),
        },
    }


def measure(rows: int, calls: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each subject, one entry a round; the subjects of a measure take turns."""
    with ExitStack() as stack:
        clients = Clients(stack.enter_context(server(rows)), stack)
        found = subjects(clients, calls)
        for measured in subjects(clients, 4).values():
            for run in measured.values():
                run()
        times: dict[str, dict[str, list[float]]] = {}
        for name, measured in found.items():
            times[name] = {subject: [] for subject in measured}
            for number in range(rounds):
                order = list(measured.items())
                for subject, run in order if number % 2 else reversed(order):
                    times[name][subject].append(timed(run))
    return times


def main() -> int:
    parser = _report.options(__doc__, rounds=7)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
        return 0
    report = _report.Report(__file__, given)
    rows, calls, rounds = (5_000, 100, 5) if given.smoke else (100_000, 2_000, given.rounds)
    titles = {
        "rows": f"iterating {rows:,} rows",
        "get": f"{calls:,} gets, one after the other",
        "threads": f"gets of {THREADS} threads at once",
    }
    for name, times in measure(rows, calls, rounds).items():
        report.add(_report.Comparison(titles[name], "seconds", OURS, times, bounds=BOUNDS[name]))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

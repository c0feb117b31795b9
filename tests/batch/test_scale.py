"""Long batches: flat memory, few calls at once, and a source that is read only a little ahead."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import tracemalloc

import psutil
import pytest

from omium_async import AsyncOmium, ExecutionRequest, Executions

from .service import MemoryCaller

CONCURRENCY = 50


class Instant(MemoryCaller):
    """Answers after a turn of the loop or a few, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.calls = 0

    def with_options(self, _):
        return self

    async def write(self, method, path, body, decode, key, operation):
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(1 + self.calls % 3):
            await asyncio.sleep(0)
        self.now -= 1
        return decode(json.dumps({"id": f"exec_{self.calls}", "workflow_id": "w", "status": "pending"}).encode())


@pytest.mark.slow
async def test_memory_is_flat_over_a_hundred_thousand_items():
    count, given, levels = 100_000, 0, []
    caller = Instant()
    requests = (ExecutionRequest("w", {"number": number, "text": "x" * 100}) for number in range(count))
    gc.collect()
    process = psutil.Process()
    async for outcome in Executions(caller).create_many(requests, concurrency=CONCURRENCY):
        given += 1
        assert outcome.state == "created"
        if given % 2_000 == 0:
            levels.append(process.memory_info().rss)
    assert given == count == caller.calls
    assert caller.most <= CONCURRENCY
    early = max(levels[:5])
    assert max(levels[5:]) < early + 5_000_000, levels


async def test_an_error_keeps_64_kib_of_a_large_refusal():
    """Eight at once, of 16 MiB each, which are 16 KiB on the wire."""
    body = gzip.compress(b'{"detail": "' + b"a" * 2**24 + b'"}')
    head = f"HTTP/1.1 422 No\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def refuse(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                (length,) = [line for line in asked.lower().split(b"\r\n") if line.startswith(b"content-length")]
                await reader.readexactly(int(length.split(b":")[1]))
                writer.write(head + body)

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    tracemalloc.start()
    try:
        async with AsyncOmium("key_of_a_test", base_url=url) as omium:
            requests = (ExecutionRequest("w", {"number": number}) for number in range(8))
            kept = [outcome async for outcome in omium.executions.create_many(requests, concurrency=8)]
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        server.close()
    assert {(outcome.state, len(outcome.error.body)) for outcome in kept} == {("rejected", 2**16)}
    assert now < 8 * 0.25 * 2**20
    assert peak < 8 * 4 * 2**20


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_reading_ahead_and_calls_in_flight_are_limited_for_a_slow_consumer(kind):
    caller = Instant()
    taken = given = furthest = 0

    def plain():
        nonlocal taken, furthest
        for number in range(1_000):
            taken += 1
            furthest = max(furthest, taken - given)
            yield ExecutionRequest("w", number)

    async def lazily():
        for request in plain():
            yield request

    requests = plain() if kind == "plain" else lazily()
    async for _ in Executions(caller).create_many(requests, concurrency=5):
        given += 1
        if given % 50 == 0:
            for _ in range(200):
                await asyncio.sleep(0)
    assert given == 1_000
    assert 4 * 5 < furthest <= 4 * 5 + 64
    assert caller.most == 5

"""A hundred thousand requests from a generator: flat memory, few calls at once, the generator never read far ahead."""

from __future__ import annotations

import asyncio
import gc
import json
import random

import psutil
import pytest

from omium_async import ExecutionRequest
from omium_async._batch.create import create_each

from .service import MemoryCaller

CONCURRENCY = 50


class Instant(MemoryCaller):
    """Answers after a turn of the loop or a few, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.calls = 0

    async def write(self, path, body, decode, key, operation):
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(1 + self.calls % 3):
            await asyncio.sleep(0)
        self.now -= 1
        return decode(json.dumps({"id": f"exec_{self.calls}", "workflow_id": "w", "status": "pending"}).encode())


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_hundred_thousand(kind):
    count = 100_000 if kind == "plain" else 20_000
    taken = given = furthest = 0
    caller = Instant()

    def plain():
        nonlocal taken, furthest
        for number in range(count):
            taken += 1
            furthest = max(furthest, taken - given)
            yield ExecutionRequest("w", {"number": number, "text": "x" * 100})

    async def lazily():
        for request in plain():
            yield request

    requests = plain() if kind == "plain" else lazily()
    levels = []
    gc.collect()
    process = psutil.Process()
    async for outcome in create_each(caller, requests, CONCURRENCY):
        given += 1
        assert outcome.state == "created"
        if given % 2_000 == 0:
            levels.append(process.memory_info().rss)
    assert given == count == caller.calls
    assert caller.most <= CONCURRENCY
    assert furthest <= 4 * CONCURRENCY + 64
    early = max(levels[:5])
    assert max(levels[5:]) < early + 5_000_000, levels


async def test_a_slow_consumer_is_not_overtaken():
    """The iterator is read no further than the bound, however long the consumer takes."""
    taken = 0

    def requests():
        nonlocal taken
        for number in range(5_000):
            taken += 1
            yield ExecutionRequest("w", number)

    chance = random.Random(3)
    given = 0
    outcomes = create_each(Instant(), requests(), 5)
    async for _ in outcomes:
        given += 1
        if chance.random() < 0.02:
            for _ in range(200):
                await asyncio.sleep(0)
        assert taken - given <= 4 * 5 + 64
        if given == 1_000:
            break
    await outcomes.aclose()

"""Several clients under one rate limit, each ignorant of the others: their calls get through in the end."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

import pytest

import omium_async as om

from .virtual import Clock, Service, run


async def make_calls(clients: int, calls: int, at_once: int, seconds: float) -> list[om.OmiumError]:
    """Each client makes so many; what failed."""
    failed: list[om.OmiumError] = []

    async def one_client() -> None:
        left = iter(range(calls))
        async with om.AsyncOmium("key_of_a_test", base_url="http://127.0.0.1:9", timeout=seconds) as omium:

            async def work() -> None:
                for _ in left:
                    try:
                        await omium.executions.create("wf")
                    except om.OmiumError as error:
                        failed.append(error)

            await asyncio.gather(*(work() for _ in range(at_once)))

    await asyncio.gather(*(one_client() for _ in range(clients)))
    return failed


@pytest.mark.parametrize("drops", [True, False], ids=["drop by drop", "by the minute"])
@pytest.mark.parametrize("at_once", [16, 200])
@pytest.mark.parametrize("seed", range(3))
def test_three_clients_under_one_limit(drops: bool, at_once: int, seed: int, monkeypatch) -> None:
    """600 calls where 200 a minute come through: two minutes are enough for all of them."""
    random.seed(seed)
    clock = Clock()
    service = Service(clock, 200, drops=drops)
    service.serve(monkeypatch)
    started = clock()
    failed = run(make_calls(3, 200, at_once, 240.0), clock, monkeypatch)
    assert len(failed) <= 3
    assert service.accepted == 600 - len(failed)
    assert clock() - started < 160
    assert service.refused < (250 if at_once == 16 else 500)


@pytest.mark.parametrize("clients", [1, 8])
def test_what_one_leaves_others_take(clients: int, monkeypatch) -> None:
    random.seed(0)
    clock = Clock()
    service = Service(clock, 200, drops=True)
    service.serve(monkeypatch)
    started = clock()
    failed = run(make_calls(clients, 1600 // clients, 16, 900.0), clock, monkeypatch)
    assert len(failed) <= 8
    assert clock() - started < 1.1 * (1600 - 200) / 200 * 60


CLIENT = """
import asyncio, json, sys
import omium_async as om

async def main(url):
    failed, left = [], iter(range(60))
    async with om.AsyncOmium("key_of_a_test", base_url=url, timeout=60) as omium:
        async def work():
            for _ in left:
                try:
                    await omium.executions.create("wf")
                except om.OmiumError as error:
                    failed.append(type(error).__name__)
        await asyncio.gather(*(work() for _ in range(16)))
    print(json.dumps(failed))

asyncio.run(main(sys.argv[1]))
"""


async def test_three_processes_under_one_limit(raw) -> None:
    """180 calls where 40 come through at once, and 40 a second after that."""
    left, at = 40.0, time.monotonic()

    async def handler(request) -> None:
        nonlocal left, at
        now = time.monotonic()
        left, at = min(40.0, left + (now - at) * 40), now
        if left >= 1:
            left -= 1
            await request.send(raw.answer(201, raw.EXECUTION))
        else:
            await request.send(raw.answer(429, b"{}", f"retry-after-ms: {(1 - left) * 25:.0f}"))

    async with raw.Server(handler) as server:

        async def one() -> list[str]:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, server.url, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await process.communicate()
            assert process.returncode == 0
            failed: list[str] = json.loads(said)
            return failed

        failed = await asyncio.gather(*(one() for _ in range(3)))
    assert sum(map(len, failed)) <= 6  # on a busy machine; one or two are usual, and a pace that learns nothing has 46

"""Outages of a real server at any moment of a batch: they reject nothing, and nothing is applied twice.

More and longer ones: OMIUM_TEST_OUTAGES=40 OMIUM_TEST_OUTAGE_ITEMS=10000 pytest -m "" tests/batch/test_outages.py
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import pytest

from omium_async import AsyncOmium, AuthenticationError, ServerError
from omium_async.local import Fault, LocalOmium

from ..ports import free_port
from .conftest import applied, collect, ended, failed_executions, numbered, states

ITEMS = int(os.environ.get("OMIUM_TEST_OUTAGE_ITEMS", "200"))
ROUNDS = int(os.environ.get("OMIUM_TEST_OUTAGES", "1"))
CONCURRENCY = 8
#: Each call that the server accepted just before an outage gets its response after the first failures, and so lets all
#: free calls begin once more. `test_breaker.py` counts exactly, in virtual time.
MOST_UNKNOWN = CONCURRENCY * (CONCURRENCY + 1) // 2
CREATE: dict[str, Any] = {"method": "POST", "path": "/executions"}

KINDS: dict[str, Fault | None] = {
    "refused": None,
    "reset": Fault(action="drop", times=None),
    "black hole": Fault(action="stall", times=None),
    "503": Fault(action="status", status=503, times=None),
    "429": Fault(action="status", status=429, times=None),
    "half-open": Fault(action="stall", when="after", times=None),
}
FAST = {("503", False), ("reset", True), ("half-open", True)}
CASES = [
    pytest.param(kind, journalled, marks=[] if (kind, journalled) in FAST else pytest.mark.slow)
    for kind in KINDS
    for journalled in (False, True)
]


@pytest.fixture
async def server(tmp_path):
    local = LocalOmium(tmp_path / "server.db", port=free_port())  # the same port after an outage
    local.honor_idempotency = False
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def client(server, patient):
    quick = {"attempt_timeout": 1.0, "backoff": (0.02, 0.1), "patience": 60.0}
    async with AsyncOmium(server.api_key, base_url=server.url, **quick) as omium:
        yield omium


async def fail(server: LocalOmium, kind: str, seconds: float) -> None:
    fault = KINDS[kind]
    if fault is None:
        await server.stop()
        await asyncio.sleep(seconds)
        await server.start()
        return
    server.inject(fault)
    await asyncio.sleep(seconds)
    server.clear_faults()


@pytest.mark.parametrize(("kind", "journalled"), CASES)
async def test_an_outage_rejects_nothing_and_repeats_nothing(server, client, tmp_path, kind, journalled):
    chance = random.Random(f"{os.environ.get('OMIUM_TEST_SEED', '1')} {kind} {journalled}")
    moments = sorted(chance.sample(range(1, ITEMS), ROUNDS))
    how = {"journal": tmp_path / "batch.journal", "settle": 0.6} if journalled else {}
    found: list[Any] = []
    outage = None
    async for outcome in client.executions.create_many(numbered(ITEMS), concurrency=CONCURRENCY, **how):
        found.append(outcome)
        if moments and len(found) >= moments[0] and (outage is None or outage.done()):
            moments.pop(0)
            outage = asyncio.create_task(fail(server, kind, 0.5))
    if outage is not None:
        await outage
    assert Counter(outcome.request.input_data["number"] for outcome in found) == dict.fromkeys(range(ITEMS), 1)
    happened = await applied(client)
    assert max(happened.values()) == 1
    created = {outcome.request.input_data["number"] for outcome in found if outcome.state == "created"}
    assert created <= set(happened)
    unknown = ITEMS - len(created)
    assert Counter(outcome.state for outcome in found) == Counter(created=len(created), unknown=unknown)
    assert unknown <= (0 if journalled else ROUNDS * MOST_UNKNOWN)


async def test_after_patience_a_batch_ends_and_its_journal_continues_with_the_items_not_sent(server, client, tmp_path):
    impatient = client.with_options(patience=0.5)
    journal = tmp_path / "batch.journal"
    outcomes = impatient.executions.create_many(numbered(100), concurrency=CONCURRENCY, journal=journal, settle=0.5)
    found = [await anext(outcomes) for _ in range(10)]
    await server.stop()
    more, error = await ended(outcomes)
    assert {outcome.state for outcome in found} == {"created"}
    assert {outcome.state for outcome in more} <= {"created", "unknown"}
    assert error.outcome == ("unknown" if any(outcome.state == "unknown" for outcome in more) else "applied")
    await server.start()
    again = await collect(client.executions.create_many(numbered(100), journal=journal, settle=0.5))
    assert {outcome.state for outcome in again} == {"created"}
    assert await applied(client) == dict.fromkeys(range(100), 1)


async def test_a_probe_whose_key_is_refused_ends_the_batch(server, client):
    server.inject(Fault(**CREATE, action="status", status=503, times=8))
    server.inject(Fault(method="GET", status=401))
    found, error = await ended(client.executions.create_many(numbered(50), concurrency=CONCURRENCY))
    assert isinstance(error, AuthenticationError)
    assert set(states(found)) == {("unknown", False)}
    assert error.outcome == "unknown"


async def test_closing_the_client_in_an_outage_ends_the_batch(server, client):
    server.inject(Fault(action="status", status=503, times=None))
    outcomes = client.with_options(patience=None).executions.create_many(numbered(100), concurrency=CONCURRENCY)
    assert (await anext(outcomes)).state == "unknown"
    await client.aclose()
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="closed"):
            await collect(outcomes)


async def test_a_batch_can_be_left_in_an_outage(server, client):
    server.inject(Fault(action="status", status=503, times=None))
    outcomes = client.executions.create_many(numbered(100), concurrency=CONCURRENCY)
    assert (await anext(outcomes)).state == "unknown"
    async with asyncio.timeout(30):
        await outcomes.aclose()


@pytest.mark.parametrize(
    "how", ["plain", pytest.param("journal", marks=pytest.mark.slow), pytest.param("dry run", marks=pytest.mark.slow)]
)
async def test_replays_wait_out_an_outage_from_the_first_page_on(server, client, tmp_path, how):
    await failed_executions(client, server, 60)
    options = {"journal": {"journal": tmp_path / "replays"}, "dry run": {"dry_run": True}}.get(how, {})
    server.inject(Fault(action="status", status=503, times=None))
    _, error = await ended(client.with_options(patience=0.2).executions.replay_many(**options))
    assert (type(error), error.outcome) == (ServerError, "not_applied")
    asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    found: Counter[str] = Counter()
    async for outcome in client.executions.replay_many(concurrency=CONCURRENCY, **options):
        found[outcome.state] += 1
        if found.total() == 10:
            server.inject(Fault(action="status", status=503, times=None))
            asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    assert found.total() == 60
    assert found["rejected"] == 0
    assert found["unknown"] <= MOST_UNKNOWN

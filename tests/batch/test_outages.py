"""Outages of a real server at any moment of a batch: nothing is rejected for them, and nothing is applied twice.

More and longer ones: OMIUM_TEST_OUTAGES=40 OMIUM_TEST_OUTAGE_ITEMS=10000 pytest -m "" tests/batch/test_outages.py
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from typing import Any

import pytest

from omium_async import AsyncOmium, AuthenticationError, ExecutionRequest, ServerError
from omium_async.local import Fault, LocalOmium

from ..ports import free_port
from .conftest import applied, collect, ended, numbered, states

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


async def test_after_patience_it_ends_and_a_journal_continues_with_what_was_not_sent(server, client, tmp_path):
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


async def test_a_key_that_is_refused_by_a_probe_ends_it(server, client):
    server.inject(Fault(**CREATE, action="status", status=503, times=8))
    server.inject(Fault(method="GET", status=401))
    found, error = await ended(client.executions.create_many(numbered(50), concurrency=CONCURRENCY))
    assert isinstance(error, AuthenticationError)
    assert set(states(found)) == {("unknown", False)}
    assert error.outcome == "unknown"


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(server, client, caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    server.inject(Fault(action="status", status=503, times=None))
    asyncio.get_running_loop().call_later(0.3, server.clear_faults)
    await collect(client.executions.create_many(numbered(20), concurrency=2))
    records = [record for record in caplog.records if hasattr(record, "omium_outage")]
    assert len(records) == 2
    assert all(record.omium_waiting == "create_many" for record in records)
    assert records[1].omium_outage >= 0.2


async def test_closing_the_client_in_an_outage_ends_the_batch(server, client):
    server.inject(Fault(action="status", status=503, times=None))
    outcomes = client.with_options(patience=None).executions.create_many(numbered(100), concurrency=CONCURRENCY)
    assert (await anext(outcomes)).state == "unknown"
    await client.aclose()
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="closed"):
            await collect(outcomes)


async def test_leaving_in_an_outage(server, client):
    server.inject(Fault(action="status", status=503, times=None))
    outcomes = client.executions.create_many(numbered(100), concurrency=CONCURRENCY)
    assert (await anext(outcomes)).state == "unknown"
    async with asyncio.timeout(30):
        await outcomes.aclose()


@pytest.mark.parametrize("how", ["plain", "journal", "dry run"])
async def test_replays_wait_out_an_outage_from_the_first_page_on(server, client, tmp_path, how):
    @server.workflow("fails")
    async def fails(run: Any) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    created = await collect(client.executions.create_many(ExecutionRequest("fails") for _ in range(120)))
    async for _ in client.executions.wait_many([outcome.execution.id for outcome in created], poll_interval=0.05):
        pass
    options = {"journal": {"journal": tmp_path / "replays"}, "dry run": {"dry_run": True}}.get(how, {})
    server.inject(Fault(action="status", status=503, times=None))
    _, error = await ended(client.with_options(patience=0.2).executions.replay_many(**options))
    assert (type(error), error.outcome) == (ServerError, "not_applied")
    asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    found: Counter[str] = Counter()
    async for outcome in client.executions.replay_many(concurrency=CONCURRENCY, **options):
        found[outcome.state] += 1
        if found.total() == 20:
            server.inject(Fault(action="status", status=503, times=None))
            asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    assert found.total() == 120
    assert found["rejected"] == 0
    assert found["unknown"] <= MOST_UNKNOWN

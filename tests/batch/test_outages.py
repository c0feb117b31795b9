"""Outages at any moment of a batch: nothing is rejected for them, nothing done twice, and hardly anything is sent.

By default a few moments of short batches, to fit a test run. Once, with more of them:

    OMIUM_TEST_OUTAGES=40 OMIUM_TEST_OUTAGE_ITEMS=10000 pytest tests/batch/test_outages.py
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
from collections import Counter
from typing import Any

import pytest

from omium_async import (
    APIStatusError,
    APITimeoutError,
    AsyncOmium,
    Attempt,
    AuthenticationError,
    ExecutionRequest,
    RateLimitError,
)
from omium_async import _endpoints as endpoints
from omium_async.local import Fault, LocalOmium

from ..ports import free_port
from .conftest import applied, collect, ended, numbered, states

ITEMS = int(os.environ.get("OMIUM_TEST_OUTAGE_ITEMS", "300"))
ROUNDS = int(os.environ.get("OMIUM_TEST_OUTAGES", "1"))
CONCURRENCY = 8
CREATE: dict[str, Any] = {"method": "POST", "path": "/executions"}

KINDS: dict[str, Fault | None] = {
    "refused": None,
    "reset": Fault(action="drop", times=None),
    "black hole": Fault(action="stall", times=None),
    "503": Fault(action="status", status=503, times=None),
    "429": Fault(action="status", status=429, times=None),
    "half-open": Fault(action="stall", when="after", times=None),
}


@pytest.fixture
async def server(tmp_path):
    local = LocalOmium(tmp_path / "server.db", port=free_port())  # the same one after an outage
    local.honor_idempotency = False
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def client(server, patient):
    quick = {"attempt_timeout": 1.0, "backoff": (0.02, 0.1), "patience": 60.0}
    async with AsyncOmium(server.api_key, base_url=server.url, **quick) as omium:
        yield omium


async def go_away(server: LocalOmium, kind: str, seconds: float) -> int:
    """Be away for so long; how many requests arrived meanwhile."""
    fault = KINDS[kind]
    before = sum(server.counts.values())
    if fault is None:
        await server.stop()
        await asyncio.sleep(seconds)
        await server.start()
        return 0
    server.inject(fault)
    await asyncio.sleep(seconds)
    arrived = sum(server.counts.values()) - before
    server.clear_faults()
    return arrived


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(60 + 60 * ROUNDS)
async def test_an_outage_at_any_moment(server, client, tmp_path, kind, journalled):
    seed = int(os.environ.get("OMIUM_TEST_SEED", "1"))
    chance = random.Random(f"{seed} {kind} {journalled}")
    moments = sorted(chance.sample(range(1, ITEMS), ROUNDS))
    how = {"journal": tmp_path / "batch.journal", "settle": 0.6} if journalled else {}
    found: list[Any] = []
    arrived: list[int] = []
    outcomes = client.executions.create_many(numbered(ITEMS), concurrency=CONCURRENCY, **how)
    outage = None
    async for outcome in outcomes:
        found.append(outcome)
        if moments and len(found) >= moments[0] and (outage is None or outage.done()):
            moments.pop(0)
            outage = asyncio.create_task(go_away(server, kind, 0.5))
            outage.add_done_callback(lambda task: arrived.append(task.result()))
    if outage is not None:
        await outage
    assert Counter(outcome.request.input_data["number"] for outcome in found) == dict.fromkeys(range(ITEMS), 1)
    happened = await applied(client)
    assert max(happened.values()) == 1, f"seed {seed}"
    told = Counter(outcome.state for outcome in found)
    assert told["rejected"] == 0, f"seed {seed}"
    created = {o.request.input_data["number"] for o in found if o.state == "created"}
    assert created <= set(happened)
    if journalled:
        assert told == {"created": ITEMS}, f"seed {seed}"
    else:  # what was under way when the last answer came
        assert told["unknown"] <= len(arrived) * 2 * CONCURRENCY, f"seed {seed}"
    # and looks: at first 0.02 s apart, then rarer, in half a second
    assert all(count <= 2 * CONCURRENCY + 12 for count in arrived), f"seed {seed}: {arrived}"


async def test_a_look_that_deceives_costs_one_item_and_looks_grow_rarer(server, client, caplog):
    """Reads are answered, writes are not: nothing but single items go, and the batch ends when patience is over."""
    caplog.set_level(logging.WARNING, logger="omium_async")
    server.inject(Fault(**CREATE, action="drop", times=None))
    impatient = client.with_options(patience=1.5)
    found, error = await ended(impatient.executions.create_many(numbered(100), concurrency=CONCURRENCY))
    assert set(states(found)) == {("unknown", False)}
    assert CONCURRENCY < len(found) < CONCURRENCY + 12
    assert server.counts["POST /executions"] == len(found)
    assert error.outcome == "unknown"
    assert 1 <= len([record for record in caplog.records if hasattr(record, "omium_outage")]) <= 2


@pytest.mark.parametrize("retry_ambiguous_writes", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", [{}, CREATE], ids=["all", "writes"])
@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_patience_ends_a_black_hole_although_there_is_no_other_bound(
    server, client, tmp_path, where, journalled, when, retry_ambiguous_writes
):
    server.inject(Fault(**where, action="stall", when=when, times=None))
    options = {
        "timeout": None,
        "attempt_timeout": None,
        "patience": 0.5,
        "retry_ambiguous_writes": retry_ambiguous_writes,
    }
    impatient = client.with_options(**options, max_retries=3)
    how = {"journal": tmp_path / "batch.journal", "settle": 0.1} if journalled else {}
    async with asyncio.timeout(30):
        found, error = await ended(impatient.executions.create_many(numbered(100), concurrency=CONCURRENCY, **how))
    assert isinstance(error, APITimeoutError)
    nothing_sent = journalled and not where  # the look before the first item is not answered
    assert error.outcome == ("not_applied" if nothing_sent else "unknown")
    assert len(found) <= server.counts.get("POST /executions", 0) <= CONCURRENCY + 5


async def test_a_call_without_any_answer_does_not_end_a_batch_whose_others_are_answered(server, client):
    server.inject(Fault(**CREATE, action="stall"))
    patient = client.with_options(timeout=None, attempt_timeout=None, patience=0.5)
    async with asyncio.timeout(30):
        outcomes = await collect(patient.executions.create_many(numbered(600), concurrency=2))
    assert states(outcomes) == {("created", False): 599, ("unknown", False): 1}


async def test_patience_ends_it_and_what_was_not_sent_is_in_no_outcome(server, client, tmp_path):
    await server.stop()
    impatient = client.with_options(patience=0.5)
    found, error = await ended(impatient.executions.create_many(numbered(100), concurrency=CONCURRENCY))
    assert (found, error.outcome) == ([], "not_applied")
    await server.start()
    journal = tmp_path / "batch.journal"
    outcomes = impatient.executions.create_many(numbered(100), concurrency=CONCURRENCY, journal=journal, settle=0.5)
    found = [await anext(outcomes) for _ in range(10)]
    await server.stop()
    more, error = await ended(outcomes)
    assert {outcome.state for outcome in found} == {"created"}
    assert error.outcome == ("unknown" if any(outcome.state == "unknown" for outcome in more) else "applied")
    assert "rejected" not in {outcome.state for outcome in more}
    await server.start()
    again = await collect(client.executions.create_many(numbered(100), journal=journal, settle=0.5))
    assert {outcome.state for outcome in again} == {"created"}
    assert await applied(client) == dict.fromkeys(range(100), 1)


async def test_an_error_that_ends_a_batch_says_what_became_of_all_of_it(server, client):
    """And not of the request that ended it, which was refused."""
    server.inject(Fault(**CREATE, status=401))
    _, error = await ended(client.executions.create_many(numbered(5), concurrency=1))
    assert error.outcome == "not_applied"
    outcomes = client.executions.create_many(numbered(100), concurrency=2)
    await anext(outcomes)
    server.inject(Fault(**CREATE, status=401))
    _, error = await ended(outcomes)
    assert isinstance(error, AuthenticationError)
    assert error.outcome == "applied"
    outcomes = client.executions.create_many(numbered(100), concurrency=2)
    await anext(outcomes)
    server.inject(Fault(**CREATE, action="drop"))
    server.inject(Fault(**CREATE, status=401))
    _, error = await ended(outcomes)
    assert error.outcome == "unknown"


async def test_a_key_that_is_refused_when_the_service_is_back_ends_it(server, client):
    server.inject(Fault(**CREATE, action="status", status=503, times=8))
    server.inject(Fault(method="GET", status=401))
    found, error = await ended(client.executions.create_many(numbered(50), concurrency=CONCURRENCY))
    assert isinstance(error, AuthenticationError)
    assert set(states(found)) == {("unknown", False)}


async def test_waiting_as_asked_is_no_outage(server, client, caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    server.inject(Fault(**CREATE, status=429, headers={"retry-after": "1"}, times=CONCURRENCY))
    impatient = client.with_options(patience=0.3)
    outcomes = await collect(impatient.executions.create_many(numbered(30), concurrency=CONCURRENCY))
    assert states(outcomes) == {("created", False): 30}
    assert not [record for record in caplog.records if hasattr(record, "omium_outage")]
    assert not any(kind.startswith("GET") for kind in server.counts)


async def test_refusals_that_ask_to_wait_without_end_end_it(server, client):
    """The time asked for is not counted, what lies between is."""
    server.inject(Fault(**CREATE, status=429, headers={"retry-after-ms": "5"}, times=None))
    impatient = client.with_options(patience=0.5)
    found, error = await ended(impatient.executions.create_many(numbered(30), concurrency=2))
    assert isinstance(error, APIStatusError)
    assert (found, error.status, error.outcome) == ([], 429, "not_applied")


async def test_refusals_that_ask_to_wait_reject_nothing_while_nobody_is_answered(server, client, monkeypatch):
    monkeypatch.setattr("omium_async._batch.calls._LONGEST_PAUSE", 0.02)
    server.inject(Fault(**CREATE, status=429, headers={"retry-after-ms": "5"}, times=100))
    outcomes = await collect(client.executions.create_many(numbered(30), concurrency=2))
    assert states(outcomes) == {("created", False): 30}


@pytest.mark.parametrize("status", [408, 499])
async def test_a_gateway_that_gives_up_on_all_is_an_outage(server, client, status):
    server.inject(Fault(status=status, times=None))
    asyncio.get_running_loop().call_later(0.3, server.clear_faults)
    outcomes = await collect(client.executions.create_many(numbered(100), concurrency=2))
    assert states(outcomes) == {("created", False): 98, ("unknown", False): 2}


async def test_an_item_that_alone_is_refused_is_rejected_in_the_end(server, client, monkeypatch):
    """While others are answered it is no outage; its error tells all attempts."""
    monkeypatch.setattr("omium_async._batch.calls._LONGEST_PAUSE", 0.05)
    # The refused one keeps its place until another is answered: a slow machine must not leave it the only place.
    monkeypatch.setattr("omium_async._pool.limit._SLOWER", math.inf)
    refused = {"number": 3}

    async def source():
        yield ExecutionRequest("work", refused)
        number = 100
        while not done.is_set():
            yield ExecutionRequest("work", {"number": number})
            number += 1
            await asyncio.sleep(0.001)

    done, another_is_answered = asyncio.Event(), asyncio.Event()
    real = endpoints.create

    async def picky(caller, body, key=None):
        if body["input_data"] == refused:
            another_is_answered.clear()
            await another_is_answered.wait()
            raise RateLimitError("no", status=429, attempts=(Attempt(1, 429),), outcome="not_applied")
        execution = await real(caller, body, key)
        another_is_answered.set()
        return execution

    monkeypatch.setattr(endpoints, "create", picky)
    async for outcome in client.executions.create_many(source(), concurrency=4):
        if outcome.state == "rejected":
            assert outcome.request.input_data == refused
            numbers = [attempt.number for attempt in outcome.error.attempts]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= 8, "those between which nobody was answered do not count"
            done.set()
        else:
            assert outcome.state == "created"
    assert done.is_set()


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
@pytest.mark.parametrize("kind", ["refused", "503"])
async def test_replays_sit_it_out_too(server, client, tmp_path, kind, journalled):
    @server.workflow("fails")
    async def fails(run: Any) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    outcomes = await collect(
        client.with_options(attempt_timeout=30.0).executions.create_many(ExecutionRequest("fails") for _ in range(60))
    )
    ids = [outcome.execution.id for outcome in outcomes]
    for execution_id in ids:
        await client.executions.wait(execution_id, poll_interval=0.01)
    how = {"journal": tmp_path / "replays.journal"} if journalled else {}
    found = []
    outage = None
    async for outcome in client.executions.replay_many(ids, concurrency=4, **how):
        found.append(outcome)
        if outage is None and len(found) == 10:
            outage = asyncio.create_task(go_away(server, kind, 0.4))
    assert outage is not None
    await outage
    assert Counter(outcome.execution.id for outcome in found) == dict.fromkeys(ids, 1)
    told = Counter(outcome.state for outcome in found)
    assert told["rejected"] == 0
    assert told["unknown"] <= 4 + 2


@pytest.mark.parametrize("how", [{}, {"dry_run": True}, {"journal": ...}], ids=["plain", "dry run", "journal"])
async def test_replays_of_what_a_filter_finds_sit_it_out_from_the_start(server, client, tmp_path, monkeypatch, how):
    now = most = 0
    page = endpoints.page

    async def counting(*arguments):
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await page(*arguments)
        finally:
            now -= 1

    @server.workflow("fails")
    async def fails(run: Any) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    outcomes = await collect(
        client.with_options(attempt_timeout=30.0).executions.create_many(ExecutionRequest("fails") for _ in range(150))
    )
    async for _ in client.executions.wait_many([outcome.execution.id for outcome in outcomes], poll_interval=0.05):
        pass
    monkeypatch.setattr(endpoints, "page", counting)
    how = {"journal": tmp_path / "replays.journal"} if "journal" in how else how
    hasty = client.with_options(max_retries=0)
    fault = Fault(action="status", status=503, times=None)
    server.inject(fault)
    with pytest.raises(APIStatusError) as raised:
        await collect(hasty.with_options(patience=0.2).executions.replay_many(**how))
    assert raised.value.outcome == "not_applied"
    asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    found = 0
    async for outcome in hasty.executions.replay_many(concurrency=4, **how):
        found += 1
        assert outcome.state in ("planned", "replayed", "unknown")
        if found == 20:
            server.inject(fault)
            asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    assert (found, most) == (150, 1)


async def test_the_service_is_asked_with_one_read_at_a_time(server, client, monkeypatch):
    now = most = looks = 0
    page = endpoints.page

    async def counting(*arguments):
        nonlocal now, most, looks
        now, looks = now + 1, looks + 1
        most = max(most, now)
        try:
            return await page(*arguments)
        finally:
            now -= 1

    monkeypatch.setattr(endpoints, "page", counting)
    server.inject(Fault(action="stall", times=None))
    asyncio.get_running_loop().call_later(1.5, server.clear_faults)
    outcomes = await collect(client.executions.create_many(numbered(100), concurrency=CONCURRENCY))
    assert Counter(outcome.state for outcome in outcomes) == {"created": 100 - CONCURRENCY, "unknown": CONCURRENCY}
    assert most == 1
    assert 2 <= looks <= 8


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_what_waits_for_a_connection_is_not_sent_into_it(server, tmp_path, journalled):
    how = {"journal": tmp_path / "batch.journal", "settle": 0.1} if journalled else {}
    few = {"max_connections": 2, "backoff": (0.02, 0.1), "patience": 60.0}
    async with AsyncOmium(server.api_key, base_url=server.url, **few) as omium:
        outcomes = omium.executions.create_many(numbered(200), concurrency=32, **how)
        found = [await anext(outcomes) for _ in range(50)]
        await go_away(server, "503", 0.3)
        found += await collect(outcomes)
        happened = await applied(omium)
    told = Counter(outcome.state for outcome in found)
    assert told["rejected"] == 0
    assert told["unknown"] in ([0] if journalled else [1, 2])
    assert max(happened.values()) == 1
    assert len(happened) == told["created"] == 200 - told["unknown"]


async def test_an_outage_is_told_with_what_waits_and_since_when(server, client, caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    server.inject(Fault(action="status", status=503, times=None))
    asyncio.get_running_loop().call_later(0.3, server.clear_faults)
    await collect(client.executions.create_many(numbered(20), concurrency=2))
    told = [record for record in caplog.records if hasattr(record, "omium_outage")]
    assert len(told) == 2
    assert all(record.omium_waiting == "create_many" for record in told)
    assert told[1].omium_outage >= 0.2


async def test_leaving_in_an_outage(server, client):
    server.inject(Fault(action="status", status=503, times=None))
    outcomes = client.executions.create_many(numbered(100), concurrency=CONCURRENCY)
    assert (await anext(outcomes)).state == "unknown"
    async with asyncio.timeout(30):
        await outcomes.aclose()

"""Outages are sat out by waits and lists: for as long as patience lasts, and not silently."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    Execution,
    ExecutionDetail,
    ServerError,
    WaitTimeoutError,
)
from omium_async import _lists as lists
from omium_async import _outage as outage_module
from omium_async._filters import Filters
from omium_async._outage import Outage
from omium_async._waiting.many import wait_for_each
from omium_async._waiting.one import wait_for, watch_changes
from omium_async._waiting.polling import Polling
from omium_async.local import Fault

from .fake import FakeCaller, Scripted

AWAY = {"method": "GET", "action": "status", "status": 503}


async def drained(found):
    return [one async for one in found]


def reads(omium, execution_id):
    """Everything that waits, by name, each with a call that waits for what never comes."""
    executions = omium.executions
    return {
        "wait": lambda: executions.wait(execution_id, until="running"),
        "watch": lambda: drained(executions.watch(execution_id)),
        "wait_many": lambda: drained(executions.wait_many([execution_id] * 2 + ["exec_2", "exec_3"])),
        "wait_many details": lambda: drained(executions.wait_many([execution_id], details=True)),
        "run": lambda: executions.run("nobody", until="running"),
    }


@pytest.mark.parametrize("name", ["wait", "watch", "wait_many", "wait_many details", "run"])
@pytest.mark.parametrize("max_retries", [0, 3])
async def test_patience_ends_it_with_the_last_failure(omium, local, name, max_retries):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY, times=None))
    impatient = omium.with_options(patience=0.3, max_retries=max_retries)
    start = asyncio.get_running_loop().time()
    with pytest.raises(ServerError) as raised:
        await reads(impatient, execution.id)[name]()
    assert 0.2 < asyncio.get_running_loop().time() - start < 3
    assert raised.value.outcome == ("applied" if name == "run" else "not_applied")
    assert (raised.value.execution_id is not None) == (name == "run")


@pytest.mark.parametrize("name", ["wait", "watch", "wait_many", "run"])
async def test_patience_bounds_a_look_that_is_never_answered(omium, local, name):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(method="GET", action="stall", times=None))
    start = asyncio.get_running_loop().time()
    with pytest.raises(APITimeoutError):
        await reads(omium.with_options(patience=0.3), execution.id)[name]()
    assert 0.2 < asyncio.get_running_loop().time() - start < 3


@pytest.mark.parametrize("name", ["wait", "watch", "wait_many", "run"])
async def test_without_patience_the_first_failure_is_the_last(omium, local, name):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY))
    with pytest.raises(ServerError):
        await reads(omium.with_options(patience=0, max_retries=0), execution.id)[name]()
    assert sum(count for route, count in local.counts.items() if route.startswith("GET")) == 1


async def test_what_no_later_look_mends_ends_it_at_once(omium, local):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(method="GET", action="status", status=401, times=None))
    for call in reads(omium, execution.id).values():
        with pytest.raises(AuthenticationError):
            await call()


async def test_looks_come_sooner_than_a_long_interval_and_are_told(omium, local, caplog):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY, times=3))
    start = asyncio.get_running_loop().time()
    waiting = omium.with_options(max_retries=0).executions.wait(execution.id, until="pending", poll_interval=3600)
    assert (await waiting).status == "pending"
    assert asyncio.get_running_loop().time() - start < 10
    said = [record for record in caplog.records if record.name == "omium_async.waiting"]
    assert [record.levelno for record in said] == [logging.WARNING] * 2
    assert [record.omium_waiting for record in said] == [f"wait for execution {execution.id}"] * 2
    assert said[0].omium_error == "ServerError"


def test_said_at_first_then_once_a_minute_and_when_it_is_over(monkeypatch, caplog):
    now = 1000.0
    monkeypatch.setattr(outage_module.time, "monotonic", lambda: now)
    outage = Outage("a test", None)
    error = APIConnectionError("refused", outcome="not_applied")
    said = []
    for second in range(0, 151, 10):
        now = 1000.0 + second
        outage.failed(error, now)
        said += [second] * len(caplog.records)
        caplog.clear()
    assert said == [0, 60, 120]
    outage.answered()
    outage.answered()
    assert ["answers come again" in record.getMessage() for record in caplog.records] == [True]
    assert not outage.lasts


def test_patience_counts_from_the_start_of_the_first_look_that_failed(monkeypatch):
    now = 0.0
    monkeypatch.setattr(outage_module.time, "monotonic", lambda: now)
    outage = Outage("a test", 30.0)
    error = APIConnectionError("refused", outcome="not_applied")
    assert outage.left() == 30.0
    now = 12.0
    outage.failed(error, started=10.0)
    assert outage.left() == 28.0
    now = 39.0
    outage.failed(error, started=38.0)
    assert outage.pause() <= 1.0
    now = 40.0
    with pytest.raises(APIConnectionError):
        outage.failed(error, started=39.0)


def test_pauses_grow_to_ten_seconds_and_stay_within_patience():
    outage = Outage("a test", None)
    pauses = [outage.pause() for _ in range(20)]
    assert 0.4 <= pauses[0] <= 0.6
    assert 8 <= pauses[-1] <= 12


async def test_within_an_outage_a_look_makes_one_attempt(omium, local):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY, times=None))
    attempts = []
    watched = omium.with_options(on_attempt=attempts.append, patience=1.0, max_retries=1)
    with pytest.raises(ServerError):
        await watched.executions.wait(execution.id)
    assert [attempt.number for attempt in attempts][:2] == [1, 2]
    assert {attempt.number for attempt in attempts[2:]} == {1}


@pytest.mark.usefixtures("patient")
async def test_out_of_time_says_the_last_status_and_the_last_failure():
    failure = APIConnectionError("refused", outcome="not_applied")
    caller = Scripted(["running", *[failure] * 1000], poll_interval=(0.001, 0.002))
    with pytest.raises(WaitTimeoutError, match=r"its last status was running, the last failure: refused") as raised:
        await wait_for(caller, "x", Polling.of(0.1, None, "completed", (0.001, 0.002)).begin())
    assert raised.value.__cause__ is failure
    assert raised.value.outcome == "not_applied"
    with pytest.raises(WaitTimeoutError, match=r"'x' \(running\), 'y' \(running\)"):
        await drained(
            wait_for_each(
                Scripted(["running"] * 1000), ["x", "y"], Polling.of(0.5, 0.01, "failed", (1, 1)), details=True
            )
        )


async def test_a_list_sits_out_what_comes_after_its_first_window(omium, local):
    for _ in range(60):
        await omium.executions.create("nobody")
    hurried = omium.with_options(max_retries=0, poll_interval=(0.01, 0.1))
    local.inject(Fault(method="GET", action="drop"))
    with pytest.raises(APIConnectionError):
        await drained(hurried.executions.list(page_size=20))
    rows = hurried.executions.list(page_size=20, prefetch=0)
    found = [await anext(rows)]
    for action in ("drop", "status", "truncate", "garbage"):
        local.inject(Fault(method="GET", action=action))
    found += await drained(rows)
    assert len({row.id for row in found}) == len(found) == 60
    rows = hurried.with_options(patience=0.2).executions.list(page_size=20, prefetch=0)
    await anext(rows)
    local.inject(Fault(**AWAY, times=None))
    with pytest.raises(ServerError) as raised:
        await drained(rows)
    assert raised.value.outcome == "not_applied"


class Flaky(FakeCaller):
    """Fails the reads of these numbers, counted from 0."""

    def __init__(self, fails: set[int], rows: list[Execution]) -> None:
        super().__init__(poll_interval=(0.0001, 0.001))
        self.fails = fails
        self.listed = rows
        self.asked = 0

    async def read(self, path, decode, operation):
        number, self.asked = self.asked, self.asked + 1
        await asyncio.sleep(0)
        if number in self.fails:
            raise APIConnectionError("reset", outcome="not_applied")
        return await super().read(path, decode, operation)

    async def rows(self, query):
        return self.listed

    async def get(self, execution_id):
        return ExecutionDetail(execution_id, status="completed" if self.asked > 20 else "running")


FAILS = st.sets(st.integers(0, 60))


@given(FAILS, st.sampled_from([0, 1, 8]), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_outages_at_any_moment_change_nothing_of_a_list(fails, prefetch, count):
    rows = [Execution(f"exec_{number}") for number in range(count)]
    caller = Flaky({number + 1 for number in fails}, rows)
    found = asyncio.run(drained(lists.rows(caller, Filters(), page_size=20, prefetch=prefetch)))
    assert found == rows


@given(FAILS)
@settings(max_examples=40, deadline=None)
def test_outages_at_any_moment_change_nothing_of_a_wait(fails):
    async def run():
        polling = Polling.of(None, None, "completed", (0.0001, 0.001))
        ids = [f"exec_{number}" for number in range(5)]
        many = await drained(wait_for_each(Flaky(fails, []), ids, polling, details=True))
        assert sorted(one.id for one in many) == ids
        assert (await wait_for(Flaky(fails, []), "x", polling.begin())).status == "completed"
        seen = await drained(watch_changes(Flaky(fails, []), "x", polling))
        assert seen[-1].status == "completed"

    asyncio.run(run())


async def test_one_execution_that_cannot_be_read_holds_up_no_other(omium, local):
    go = asyncio.Event()

    @local.workflow("waits")
    async def waits(_run):
        await go.wait()

    ids = [(await omium.executions.create("waits")).id for _ in range(4)]
    local.inject(Fault(**AWAY, path=f"/executions/{ids[0]}", times=None))
    hasty = omium.with_options(max_retries=0, poll_interval=(0.01, 0.05))
    seen = []

    async def collect():
        async for execution in hasty.executions.wait_many(ids, details=True, timeout=5):
            seen.append(execution.id)
            if len(seen) == 3:
                local.clear_faults()

    collecting = asyncio.create_task(collect())
    while local.counts.get("GET /executions/*", 0) < 8:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    go.set()
    await collecting
    assert set(seen[:3]) == set(ids[1:])
    assert seen[3] == ids[0]


def told(caplog):
    return [record for record in caplog.records if hasattr(record, "omium_outage")]


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_an_execution_that_always_fails_is_no_outage_while_others_are_answered(omium, local, caplog, count):
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    poisoned = (await omium.executions.create("nobody")).id
    local.inject(Fault(method="GET", path=f"/executions/{poisoned}", action="status", status=503, times=None))
    quick = omium.with_options(max_retries=0, poll_interval=(0.02, 0.05), patience=0.3)
    with pytest.raises(WaitTimeoutError) as raised:
        await anext(quick.executions.wait_many([*ids, poisoned], timeout=1, details=True, until="completed"))
    assert len(raised.value.pending) == count + 1
    assert [record.getMessage() for record in told(caplog)] == []


async def test_details_that_always_fail_are_no_outage_while_the_list_is_answered(omium, local, caplog):
    @local.workflow("quick")
    async def quick(_):
        return None

    ids = [(await omium.executions.create("nobody")).id for _ in range(30)]
    poisoned = (await omium.executions.run("quick")).id
    local.inject(Fault(method="GET", path=f"/executions/{poisoned}", action="status", status=503, times=None))
    impatient = omium.with_options(max_retries=0, poll_interval=(0.02, 0.05), patience=0.3)
    with pytest.raises(WaitTimeoutError):
        await anext(impatient.executions.wait_many([poisoned, *ids], timeout=1, details=True, until="completed"))
    assert [record.getMessage() for record in told(caplog)] == []


async def test_an_execution_that_always_fails_ends_a_wait_for_itself_alone(omium, local, caplog):
    good = (await omium.executions.create("nobody")).id
    poisoned = (await omium.executions.create("nobody")).id
    local.inject(Fault(method="GET", path=f"/executions/{poisoned}", action="status", status=503, times=None))
    quick = omium.with_options(max_retries=0, poll_interval=(0.02, 0.05), patience=0.5)
    waiting = quick.executions.wait_many([good, poisoned], until="pending")
    assert (await anext(waiting)).id == good
    with pytest.raises(ServerError):
        await anext(waiting)
    assert len(told(caplog)) == 1


@pytest.mark.parametrize("details", [False, True])
async def test_an_outage_of_all_is_told_and_ends_by_patience(omium, local, caplog, details):
    ids = [(await omium.executions.create("nobody")).id for _ in range(7)]
    local.inject(Fault(**AWAY, times=None))
    quick = omium.with_options(max_retries=0, poll_interval=(0.02, 0.05), patience=0.5)
    with pytest.raises(ServerError):
        await anext(quick.executions.wait_many(ids, details=details, until="completed"))
    assert len(told(caplog)) == 1

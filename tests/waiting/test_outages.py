"""Outages: waits and lists continue until `patience` ends, and log WARNINGs."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import pytest

from omium_async import APIConnectionError, APITimeoutError, Attempt, ServerError, WaitTimeoutError
from omium_async.local import Fault

from .fake import Fleet

AWAY = {"method": "GET", "action": "status", "status": 503}
REFUSED = APIConnectionError("refused", outcome="not_applied")


async def drained(found):
    return [one async for one in found]


def reads(omium, execution_id):
    """Each call that waits, for a status that never comes."""
    executions = omium.executions
    return {
        "wait": lambda: executions.wait(execution_id, until="running"),
        "watch": lambda: drained(executions.watch(execution_id)),
        "wait_many": lambda: drained(executions.wait_many([execution_id] * 2 + ["exec_2", "exec_3"])),
        "wait_many details": lambda: drained(executions.wait_many([execution_id], details=True)),
        "run": lambda: executions.run("nobody", until="running"),
    }


NAMES = ["wait", "watch", "wait_many", "wait_many details", "run"]


def announced(caplog):
    return [record for record in caplog.records if hasattr(record, "omium_outage")]


@pytest.mark.parametrize("name", NAMES)
async def test_patience_ends_it_with_the_last_failure(omium, local, name):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY, times=None))
    start = asyncio.get_running_loop().time()
    with pytest.raises(ServerError) as raised:
        await reads(omium.with_options(patience=0.3), execution.id)[name]()
    assert 0.2 < asyncio.get_running_loop().time() - start < 3
    assert raised.value.outcome == ("applied" if name == "run" else "not_applied")
    assert (raised.value.execution_id is not None) == (name == "run")


@pytest.mark.parametrize("name", NAMES)
async def test_patience_limits_a_poll_that_is_never_answered(omium, local, name):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(method="GET", action="stall", times=None))
    start = asyncio.get_running_loop().time()
    with pytest.raises(APITimeoutError):
        await reads(omium.with_options(patience=0.3), execution.id)[name]()
    assert 0.2 < asyncio.get_running_loop().time() - start < 3


@pytest.mark.parametrize("name", NAMES)
async def test_with_a_patience_of_0_the_first_failure_ends_it(omium, local, name):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY))
    with pytest.raises(ServerError):
        await reads(omium.with_options(patience=0, max_retries=0), execution.id)[name]()
    assert sum(count for route, count in local.counts.items() if route.startswith("GET")) == 1


@pytest.mark.usefixtures("virtual_time")
async def test_an_outage_is_logged_at_its_first_failure_then_once_a_minute_and_at_its_end(caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    fleet = Fleet({"x": 0.0}, patience=None)
    waiting = asyncio.create_task(fleet.executions.wait("x"))
    fleet.failures = [REFUSED] * 10_000
    await asyncio.sleep(150)
    assert len(announced(caplog)) == 3
    fleet.failures = []
    await waiting
    records = announced(caplog)
    assert len(records) == 4
    assert all(record.omium_waiting == "wait for execution x" for record in records)
    assert 150 <= records[-1].omium_outage <= 175


@pytest.mark.usefixtures("virtual_time")
async def test_in_an_outage_polls_come_sooner_than_a_long_interval_and_become_rarer():
    fleet = Fleet({"x": 0.0}, patience=120)
    times = []
    fleet.failures = [REFUSED] * 1000
    read = fleet.read

    async def timed(*arguments):
        times.append(fleet.now)
        return await read(*arguments)

    fleet.read = timed  # type: ignore[method-assign]
    with pytest.raises(APIConnectionError):
        await fleet.executions.wait("x", poll_interval=3600)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] < 1
    assert 8 <= max(gaps) <= 12
    assert 119 <= fleet.now <= 121


async def test_in_an_outage_a_poll_makes_one_attempt(omium, local):
    execution = await omium.executions.create("nobody")
    local.inject(Fault(**AWAY, times=None))
    attempts = []
    watched = omium.with_options(on_attempt=attempts.append, patience=1.0, max_retries=1)
    with pytest.raises(ServerError):
        await watched.executions.wait(execution.id)
    assert [attempt.number for attempt in attempts][:2] == [1, 2]
    assert {attempt.number for attempt in attempts[2:]} == {1}


async def test_a_list_waits_out_an_outage_after_its_first_window(omium, local):
    for _ in range(60):
        await omium.executions.create("nobody")
    hurried = omium.with_options(max_retries=0, poll_interval=(0.01, 0.1))
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


class OneAMinute(Fleet):
    """A fleet whose client has a rate limit of one request a minute."""

    free_at = 0.0
    timeout: float | None = None

    def within(self, seconds: float | None) -> Fleet:
        self.timeout = seconds
        return self

    def rate_limit_delay(self) -> float:
        return max(0.0, self.free_at - self.now)

    async def read(self, path: str, *how):
        held = self.rate_limit_delay()
        if self.timeout is not None and held > self.timeout:
            raise APITimeoutError("the timeout ends before the request may be sent", outcome="not_applied")
        await asyncio.sleep(held)
        self.free_at = self.now + 60
        return await super().read(path, *how)


@pytest.mark.usefixtures("virtual_time")
async def test_waiting_for_the_rate_limit_is_no_outage():
    fleet = OneAMinute({"x": 200.0, "y": 200.0}, patience=3)
    assert (await fleet.executions.wait("x")).status == "completed"
    fleet.ends["x"] = fleet.now + 200
    assert len(await drained(fleet.executions.wait_many(["x", "y"]))) == 2
    fleet.ends["z"] = 1e6
    fleet.failures = [ServerError("away", status=503, attempts=(Attempt(1),))]
    with pytest.raises(APITimeoutError):  # the outage has begun, and no read may begin within patience
        await fleet.executions.wait("z")


async def test_an_execution_whose_reads_fail_delays_no_other_and_is_no_outage(omium, local):
    count = 5
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    broken = (await omium.executions.create("nobody")).id
    local.inject(Fault(method="GET", path=f"/executions/{broken}", action="status", status=503, times=None))
    quick = omium.with_options(max_retries=0, poll_interval=(0.02, 0.05), patience=0.3)
    with pytest.raises(WaitTimeoutError) as raised:
        await anext(quick.executions.wait_many([*ids, broken], timeout=1, details=True, until="completed"))
    assert len(raised.value.pending) == count + 1
    waiting = quick.executions.wait_many([*ids, broken], until="pending", details=True)
    assert {(await anext(waiting)).id for _ in ids} == set(ids)
    with pytest.raises(ServerError):  # only failures come now
        await anext(waiting)


@pytest.mark.usefixtures("virtual_time")
async def test_an_execution_that_stays_pending_for_a_minute_is_logged_once(caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    fleet = Fleet({"x": 200.0, "y": 200.0})
    fleet.status = lambda _: "pending" if fleet.now < 200 else "completed"  # type: ignore[method-assign]
    await asyncio.gather(fleet.executions.wait("x"), drained(fleet.executions.wait_many(["x", "y"])))
    records = [record for record in caplog.records if "has been pending" in record.getMessage()]
    assert len(records) == 2

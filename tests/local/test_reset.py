"""`reset`: as good as new between two tests, whatever was under way; and what a server that is strict refuses."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time

import aiohttp
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import omium_sync
from omium_async import AsyncOmium
from omium_async.local import Fault, LocalOmium, LocalOmiumError


async def test_everything_is_forgotten_but_workflows_and_keys(local, connect):
    @local.workflow("w")
    async def w(run):
        return await run.step("s", lambda: 1)

    async with connect(local) as wire:
        key = local.api_key
        ids = [await wire.create("w") for _ in range(3)]
        answer = await wire.call("POST", "/executions", {"workflow_id": "w"}, Idempotency_Key="k")
        local.inject(Fault(method="GET", times=None, action="status", status=500))
        await local.reset()
        assert (local.requests, local.counts, local.unmet_faults, local.api_key) == ((), {}, (), key)
        assert (await wire.get("/executions")).json["total"] == 0
        assert (await wire.get("/executions?workflow_id=w")).json["total"] == 0
        assert (await wire.get(f"/executions/{ids[0]}")).status == 404
        again = await wire.call("POST", "/executions", {"workflow_id": "w"}, Idempotency_Key="k")
        assert again.json["id"] > answer.json["id"] > ids[-1]
        assert (await wire.until(again.json["id"], "completed"))["output_data"] == 1


async def test_ids_go_on_growing_through_resets_and_restarts_also_when_the_time_goes_back(tmp_path, monkeypatch):
    given: list[str] = []

    async def create(local):
        async with AsyncOmium(local.api_key, base_url=local.url) as omium:
            given.append((await omium.executions.create("nobody")).id)

    for resets in (1, 2, 0, 1):
        now = time.time_ns()
        monkeypatch.setattr("omium_async.local.ids.time.time_ns", lambda now=now: now - 3600 * 10**9 * len(given))
        async with LocalOmium(tmp_path / "o.db") as local:
            await create(local)
            for _ in range(resets):
                await local.reset()
    assert len(given) == 4
    assert given == sorted(set(given))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="stall", when="before", times=None),
        Fault(action="stall", when="after", times=None),
        Fault(action="delay", delay=600, times=None),
    ],
    ids=["before", "after", "delayed"],
)
async def test_stalled_requests_and_runs_are_cut_off(local, connect, fault):
    ended = []
    begun = asyncio.Event()

    @local.workflow("w")
    async def w(run):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(run.execution_id)

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await begun.wait()
        local.inject(fault)
        stalled = [asyncio.create_task(wire.call("POST", "/executions", {"workflow_id": "x"})) for _ in range(5)]
        while len(local.requests) < 6:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            await local.reset()
            results = await asyncio.gather(*stalled, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)
        assert ended == [execution_id]
        assert (await wire.get("/executions")).json["total"] == 0


async def test_a_run_from_before_a_reset_writes_nothing_after_it(local, connect, monkeypatch):
    monkeypatch.setattr("omium_async.local.runner._GRACE", 0.02)
    gate, entered, left = threading.Event(), threading.Event(), asyncio.Event()
    stubborn = asyncio.Event()

    async def refuses():
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue
        return "old"

    @local.workflow("w")
    async def w(run):
        entered.set()
        if run.input_data == "old":
            try:
                return await run.step("s", refuses)
            finally:
                left.set()
        return await run.step("s", gate.wait)

    async with connect(local) as wire:
        await wire.create("w", "old")
        await asyncio.to_thread(entered.wait)
        await local.reset()
        new = await wire.create("w", "new")  # it has the position of the old one
        stubborn.set()
        await left.wait()
        assert (await wire.detail(new))["checkpoints"] == []
        gate.set()
        assert (await wire.until(new, "completed", "failed"))["output_data"] is True


async def test_what_arrives_meanwhile_is_answered_afterwards(local, connect):
    async with connect(local) as wire:
        for _ in range(10):
            await wire.create("x")
            creating = asyncio.create_task(wire.call("POST", "/executions", {"workflow_id": "y"}))
            await asyncio.sleep(0)
            await local.reset()
            try:
                there = 1 if (await creating).status == 201 else 0
            except aiohttp.ClientError:
                there = 0
            assert (await wire.get("/executions")).json["total"] == there
            await local.reset()


async def test_a_cancelled_reset_is_done_all_the_same(local, connect):
    async with connect(local) as wire:
        for turns in range(8):
            await wire.create("x")
            resetting = asyncio.create_task(local.reset())
            for _ in range(turns):
                await asyncio.sleep(0)
            resetting.cancel()
            await asyncio.wait([resetting])
            assert (await wire.get("/executions")).json["total"] == (1 if turns == 0 else 0)
            await local.reset()


async def test_a_reset_before_the_start():
    with pytest.raises(LocalOmiumError, match="not started"):
        await LocalOmium().reset()


@given(
    steps=st.lists(st.tuples(st.sampled_from(["create", "back", "still", "reset"]), st.integers(1, 5)), max_size=12),
    durable=st.booleans(),
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_sort_in_the_order_of_creation(steps, durable, connect, tmp_path_factory):
    """Whatever the clock does, through resets and restarts."""
    path = tmp_path_factory.mktemp("ids") / "o.db" if durable else None
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    async def follow():
        nonlocal now
        local = LocalOmium(path, clock=lambda: now)
        made: list[str] = []
        for _ in range(2):
            async with connect(local) as wire:
                for what, count in steps:
                    if what == "create":
                        made += [await wire.create("w") for _ in range(count)]
                    elif what == "back":
                        now -= dt.timedelta(days=count)
                    elif what == "reset":
                        await local.reset()
        assert made == sorted(set(made))
        assert all(len(one) <= 36 for one in made)

    asyncio.run(follow())


def test_ids_grow_though_the_machine_s_time_goes_back(monkeypatch):
    from omium_async.local.ids import Ids

    ids = Ids()
    monkeypatch.setattr("time.time_ns", lambda: 2_000_000_000_000_000_000)
    first = ids.execution()
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000_000_000_000)
    second = ids.execution()
    later = Ids()
    later.go_on_behind(second)
    later.go_on_behind("exec_of_another_form")
    assert first < second < later.execution()
    assert len(ids.checkpoint()) <= 36


async def test_a_workflow_that_nobody_registered(connect, caplog):
    local = LocalOmium()

    @local.workflow("known")
    async def known(run):
        return 1

    async with connect(local) as wire:
        for _ in range(2):
            execution_id = await wire.create("unknwon")
            assert (await wire.detail(execution_id))["status"] == "pending"
        await wire.create("known")
        said = [record for record in caplog.records if record.levelname == "WARNING"]
        assert len(said) == 2
        assert all(record.name == "omium_async.local" for record in said)
        assert (said[1].omium_workflow_id, said[1].omium_execution_id) == ("unknwon", execution_id)
        assert "'unknwon'" in said[0].getMessage()
        assert "'known'" in said[0].getMessage()


async def test_a_strict_server_refuses_what_nobody_registered(connect):
    local = LocalOmium(strict=True)

    @local.workflow("known")
    async def known(run):
        return 1

    async with connect(local) as wire:
        answer = await wire.call("POST", "/executions", {"workflow_id": "unknwon"})
        assert answer.status == 422
        (problem,) = answer.json["detail"]
        assert (problem["loc"], problem["input"]) == (["body", "workflow_id"], "unknwon")
        assert "'known'" in problem["msg"]
        assert (await wire.get("/executions")).json["total"] == 0
        await wire.until(await wire.create("known"), "completed")


def test_the_facade_s_server_is_reset_and_typed_too():
    @attrs.frozen
    class Order:
        count: int

    with omium_sync.LocalOmium(strict=True) as local, omium_sync.Omium(local.api_key, base_url=local.url) as omium:

        @local.workflow
        async def order(run, data: Order):
            return await run.step("double", lambda: 2 * data.count)

        assert omium.executions.run("order", {"count": 4}, poll_interval=0.01).output_data == 8
        with pytest.raises(omium_sync.UnprocessableEntityError):
            omium.executions.create("another")
        local.reset()
        assert (local.requests, omium.executions.count()) == ((), 0)
        assert set(local.workflows) == {"order"}


async def test_after_a_reset_requests_are_stalled_as_before(local, connect):
    async with connect(local) as wire:
        await local.reset()
        local.inject(Fault(action="stall"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.get("/executions")

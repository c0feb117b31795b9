"""`reset` between two tests forgets requests, runs, executions, faults, keys and counts."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio

import aiohttp
import pytest

import omium_sync
from omium_async.local import Fault

from .conftest import in_memory_and_on_file, serving


async def one_step(run):
    return await run.step("s", lambda: 1)


@in_memory_and_on_file
async def test_everything_but_workflows_and_keys_is_forgotten(local, http):
    local.workflow("w")(one_step)
    key = local.api_key
    last = (await http.ended("w"))["id"]
    first = await http.post({"workflow_id": "w"}, "k")
    local.inject(Fault(method="GET", times=None, action="status", status=500))
    await local.reset()
    assert (local.requests, local.counts, local.unmet_faults, local.api_key) == ((), {}, (), key)
    assert [await http.total(), await http.total("workflow_id=w"), await http.total("status=completed")] == [0, 0, 0]
    assert (await http.get(f"/executions/{last}")).status == 404
    again = await http.post({"workflow_id": "w"}, "k")
    assert again.json["id"] > first.json["id"] > last
    assert (await http.until(again.json["id"], "completed"))["output_data"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="stall", when="before", times=None),
        Fault(action="stall", when="after", times=None),
        Fault(action="delay", delay=600, times=None),
    ],
    ids=["before", "after", "delayed"],
)
async def test_stalled_requests_and_runs_are_cut_off(local, http, fault):
    begun, ended = asyncio.Event(), []

    @local.workflow("w")
    async def w(run):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(run.execution_id)

    execution_id = await http.create("w")
    await begun.wait()
    local.inject(fault)
    stalled = [asyncio.create_task(http.post({"workflow_id": "x"})) for _ in range(5)]
    while len(local.requests) < 6:
        await asyncio.sleep(0.001)
    async with asyncio.timeout(30):
        await local.reset()
        results = await asyncio.gather(*stalled, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert (ended, await http.total()) == ([execution_id], 0)
    local.inject(Fault(action="stall"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await http.get()


async def test_a_request_during_a_reset_is_answered_before_or_after_it(local, http):
    for turns in range(0, 10, 2):
        await http.create("x")
        creating = asyncio.create_task(http.post({"workflow_id": "y"}))
        for _ in range(turns):
            await asyncio.sleep(0)
        await local.reset()
        try:
            possible = {1} if (await creating).status == 201 else {0}
        except aiohttp.ClientError:
            possible = {0}
        assert await http.total() in possible | {0}
        await local.reset()


async def test_a_cancelled_reset_is_completed(local, http):
    for turns in (1, 3, 6):
        await http.create("x")
        resetting = asyncio.create_task(local.reset())
        for _ in range(turns):
            await asyncio.sleep(0)
        resetting.cancel()
        await asyncio.wait([resetting])
        assert await http.total() == 0


@in_memory_and_on_file
async def test_ids_grow_through_resets_and_restarts(local, tmp_path):
    created: list[str] = []
    for _ in range(3):
        async with serving(local) as http:
            created.append(await http.create())
            await local.reset()
            await local.reset()
            created.append(await http.create())
            await local.reset()
    assert created == sorted(set(created))
    assert all(len(one) <= 36 for one in created)


def test_the_server_of_the_sync_package_is_reset_too():
    with omium_sync.LocalOmium(strict=True) as local, omium_sync.Omium(local.api_key, base_url=local.url) as omium:
        local.workflow("w")(one_step)
        assert omium.executions.run("w", poll_interval=0.01).output_data == 1
        local.reset()
        assert (local.requests, omium.executions.count(), set(local.workflows)) == ((), 0, {"w"})

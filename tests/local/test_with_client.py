"""The SDK against the server: the same life of an execution as in the README, and faults seen from the other end."""

from __future__ import annotations

import asyncio

import pytest

from omium_async import (
    APIConnectionError,
    AsyncOmium,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)
from omium_async.local import Fault, LocalOmium


def client(local, **options):
    return AsyncOmium(api_key=local.api_key, base_url=local.url, **options)


@pytest.fixture(params=["x-api-key", "bearer"])
def auth(request):
    return request.param


async def test_the_life_of_an_execution(local, auth):
    there = False

    @local.workflow("w")
    async def w(run):
        text = await run.step("read", lambda: "a b c")
        if not there:
            raise FileNotFoundError("not there yet")
        return {"words": await run.step("count", lambda: len(text.split()))}

    async with local, client(local, auth=auth) as omium:
        failed = await omium.executions.run("w", {"big": 10**300}, metadata={"a": 1}, agent_id="me", poll_interval=0.01)
        assert (failed.status, failed.error) == ("failed", "FileNotFoundError: not there yet")
        assert failed.input_data == {"big": 10**300}
        assert failed.agent_id == "me"
        there = True
        result = await omium.executions.replay(failed.id, checkpoint_name="read")
        done = await omium.executions.wait(result.execution_id, poll_interval=0.01)
        assert done.output_data == {"words": 3}
        back = await omium.executions.rollback(done.id, checkpoint_name="read")
        assert back.status == "paused"
        detail = await omium.executions.get(done.id)
        assert [checkpoint.name for checkpoint in detail.checkpoints] == ["read"]
        assert detail.created_at == failed.created_at
        assert await omium.executions.count(status="paused") == 1
        assert [one.id async for one in omium.executions.list(workflow_id="w")] == [done.id]


async def test_refusals_are_readable(local):
    async with local, client(local) as omium:
        created = await omium.executions.create("none")
        assert created.status == "pending"
        with pytest.raises(NotFoundError, match="Execution not found"):
            await omium.executions.get("exec_unknown")
        with pytest.raises(ConflictError, match="pending"):
            await omium.executions.replay(created.id, "chk")
        with pytest.raises(NotFoundError, match="Checkpoint not found"):
            await omium.executions.rollback(created.id, "chk")
        with pytest.raises(UnprocessableEntityError, match=r"body\.workflow_id"):
            await omium.request("POST", "/executions", json={})
        with pytest.raises(NotFoundError, match="no Route matched"):
            await omium.request("GET", "/nowhere")
        async with AsyncOmium(api_key="wrong", base_url=local.url) as other:
            with pytest.raises(AuthenticationError, match="API key"):
                await other.executions.page()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_dropped_write_is_told_as_unknown_and_done_once(local, when):
    async with local, client(local, max_retries=0) as omium:
        local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))
        with pytest.raises(APIConnectionError) as caught:
            await omium.executions.create("w", idempotency_key="k")
        assert caught.value.outcome_unknown
        assert await omium.executions.count() == (when == "after")
        again = await omium.executions.create("w", idempotency_key="k")
        assert await omium.executions.count() == 1
        assert (await omium.executions.get(again.id)).status == "pending"


@pytest.mark.parametrize("action", ["drop", "truncate", "garbage", "status"])
async def test_reads_outlive_faults(local, action):
    async with local, client(local) as omium:
        created = await omium.executions.create("w")
        local.inject(Fault(method="GET", when="after", action=action, times=2))
        assert (await omium.executions.get(created.id)).id == created.id
        assert local.counts["GET /executions/*"] == 3


async def test_a_list_is_read_while_it_grows():
    local = LocalOmium()
    async with local, client(local) as omium:
        staying = {(await omium.executions.create("w", n)).id for n in range(150)}
        ended = asyncio.Event()

        async def write():
            while not ended.is_set():
                await omium.executions.create("w")

        writer = asyncio.create_task(write())
        seen = [one.id async for one in omium.executions.list(page_size=20)]
        ended.set()
        await writer
        assert len(seen) == len(set(seen))
        assert staying <= set(seen)

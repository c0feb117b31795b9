"""`Idempotency-Key`: the same key gets the same response, and its write is done once."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import collections

import aiohttp
import pytest

from omium_async.local import Fault, LocalOmium

from .conftest import in_memory_and_on_file, serving

BODY = {"workflow_id": "w", "input_data": {"a": 1, "b": 2}}


@pytest.mark.parametrize("key", ["k", "x" * 1024], ids=len)
@in_memory_and_on_file
async def test_the_same_key_gets_the_same_response(http, key):
    first = await http.post(BODY, key)
    again = await http.post({"input_data": {"b": 2, "a": 1}, "workflow_id": "w"}, key)
    assert (again.status, again.text) == (first.status, first.text) == (201, first.text)
    assert (await http.post(BODY, "another")).json["id"] != first.json["id"]
    assert await http.total() == 2


async def test_the_same_key_with_another_body_is_refused(http):
    await http.post({"workflow_id": "w"}, "k")
    answer = await http.post({"workflow_id": "w", "metadata": {}}, "k")
    assert answer.status == 422
    assert "Idempotency-Key" in answer.json["detail"]
    assert await http.total() == 1


@pytest.mark.parametrize("key", ["", "x" * 1025, "é"], ids=["empty", "too long", "not ASCII"])
async def test_a_key_that_cannot_be_used_is_refused(http, key):
    answer = await http.post({"workflow_id": "w"}, key)
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["header", "idempotency-key"]


async def test_a_key_belongs_to_a_tenant_and_a_route():
    async with serving(LocalOmium(api_keys=["key-a", "key-b"])) as http:
        one = await http.post({"workflow_id": "w"}, "k")
        two = await http.with_key("key-b").post({"workflow_id": "w"}, "k")
        assert one.json["id"] != two.json["id"]
        answer = await http.rollback(one.json["id"], "c", key="k")
        assert (answer.status, answer.json["detail"]) == (404, "Checkpoint not found")


async def test_concurrent_requests_with_one_key_create_one_execution(local, http):
    runs = collections.Counter()

    @local.workflow("w")
    async def w(run):
        runs[run.execution_id] += 1

    answers = await asyncio.gather(*(http.post({"workflow_id": "w"}, f"k{n % 3}") for n in range(30)))
    assert {answer.status for answer in answers} == {201}
    created = {answer.json["id"] for answer in answers}
    assert len(created) == await http.total() == 3
    for execution_id in created:
        await http.until(execution_id, "completed")
    assert runs == dict.fromkeys(created, 1)


async def test_a_replay_and_a_rollback_are_done_once_per_key(local, http):
    fails, ran = True, []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        await run.step("two", ran.append, 2)
        if fails:
            raise ValueError

    detail = await http.ended("w")
    execution_id, checkpoint = detail["id"], detail["checkpoints"][0]["id"]
    replayed = await asyncio.gather(*(http.replay(execution_id, checkpoint, "r") for _ in range(5)))
    assert {(answer.status, answer.text) for answer in replayed} == {(200, replayed[0].text)}
    await http.until(execution_id, "failed")
    assert len(ran) == 2
    rolled_back = await http.rollback(execution_id, checkpoint, "b")
    fails = False
    await http.replay(execution_id, checkpoint, "r2")
    await http.until(execution_id, "completed")
    again = await http.rollback(execution_id, checkpoint, "b")
    assert (again.status, again.text) == (rolled_back.status, rolled_back.text)
    assert (await http.detail(execution_id))["status"] == "completed", "the repetition undid a later write"


async def test_the_same_key_waits_while_the_first_request_is_in_flight(local, http):
    inside, gate, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await gate.wait()  # the first rollback waits for this

    execution_id = await http.create("w")
    await inside.wait()
    checkpoint = (await http.detail(execution_id))["checkpoints"][0]["id"]
    both = [asyncio.create_task(http.rollback(execution_id, checkpoint, "b")) for _ in range(2)]
    await cancelled.wait()
    while local.counts.get("POST /executions/*/rollback") != 2:
        await asyncio.sleep(0)
    assert (await http.detail(execution_id))["status"] == "paused"
    assert not any(task.done() for task in both)
    gate.set()
    first, second = await asyncio.gather(*both)
    assert (first.status, first.text) == (second.status, second.text)


async def test_keys_survive_a_restart(tmp_path):
    path = tmp_path / "o.db"
    async with serving(LocalOmium(path)) as http:
        http.local.inject(Fault(method="POST", when="after", action="drop"))
        with pytest.raises(aiohttp.ClientError):
            await http.post({"workflow_id": "w"}, "k")
    async with serving(LocalOmium(path)) as http:
        answer = await http.post({"workflow_id": "w"}, "k")
        assert [row["id"] for row in (await http.page())["items"]] == [answer.json["id"]]


async def test_the_same_key_gets_the_same_response_when_its_workflow_is_no_longer_accepted():
    async with serving(LocalOmium()) as http:
        first = await http.post({"workflow_id": "w"}, "k")

        @http.local.workflow("another")
        async def another(run):
            """Make the server reject the other workflow ids."""

        again = await http.post({"workflow_id": "w"}, "k")
        assert (again.status, again.text) == (201, first.text)
        assert (await http.post({"workflow_id": "w"}, "new")).status == 422
        assert await http.total() == 1


async def test_a_server_can_ignore_keys(local, http):
    local.honor_idempotency = False
    assert len({(await http.post({"workflow_id": "w"}, "k")).json["id"] for _ in range(3)}) == 3

"""`Idempotency-Key`: one write a key, whatever happens between."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import collections

import pytest

from omium_async.local import Fault, LocalOmium


async def post(wire, body, key, path="/executions"):
    return await wire.call("POST", path, body, Idempotency_Key=key)


async def test_the_same_key_gives_the_same_answer(local, connect):
    async with connect(local) as wire:
        first = await post(wire, {"workflow_id": "w", "input_data": {"a": 1, "b": 2}}, "k")
        again = await post(wire, {"input_data": {"b": 2, "a": 1}, "workflow_id": "w"}, "k")
        assert (first.status, first.text) == (again.status, again.text) == (201, first.text)
        other = await post(wire, {"workflow_id": "w", "input_data": {"a": 1, "b": 2}}, "k2")
        assert other.json["id"] != first.json["id"]
        assert (await wire.get("/executions")).json["total"] == 2


async def test_the_same_key_with_another_body_is_refused(local, connect):
    async with connect(local) as wire:
        await post(wire, {"workflow_id": "w"}, "k")
        answer = await post(wire, {"workflow_id": "w", "metadata": {}}, "k")
        assert answer.status == 422
        assert "Idempotency-Key" in answer.json["detail"]
        assert (await wire.get("/executions")).json["total"] == 1


async def test_a_long_key(local, connect):
    async with connect(local) as wire:
        first, again = [await post(wire, {"workflow_id": "w"}, "x" * 1024) for _ in range(2)]
        assert (first.status, first.text) == (again.status, again.text) == (201, first.text)


@pytest.mark.parametrize("key", ["", "x" * 1025, "é"])
async def test_keys_that_are_none(local, connect, key):
    async with connect(local) as wire:
        answer = await post(wire, {"workflow_id": "w"}, key)
        assert answer.status == 422
        assert answer.json["detail"][0]["loc"] == ["header", "idempotency-key"]


async def test_a_key_belongs_to_a_tenant_and_a_route(connect):
    local = LocalOmium(api_keys=["key-a", "key-b"])
    async with connect(local) as wire:
        one = await post(wire, {"workflow_id": "w"}, "k")
        two = await post(wire.as_tenant("key-b"), {"workflow_id": "w"}, "k")
        assert one.json["id"] != two.json["id"]
        answer = await post(wire, {"checkpoint_id": "c"}, "k", f"/executions/{one.json['id']}/rollback")
        assert answer.status == 404  # asked, and refused for its own reason


async def test_what_was_refused_is_not_remembered(local, connect):
    async with connect(local) as wire:
        assert (await post(wire, {"workflow_id": 1}, "k")).status == 422
        assert (await post(wire, {"workflow_id": "w"}, "k")).status == 201


async def test_many_at_once_are_one(local, connect):
    runs = collections.Counter()

    @local.workflow("w")
    async def w(run):
        runs[run.execution_id] += 1

    async with connect(local) as wire:
        answers = await asyncio.gather(*(post(wire, {"workflow_id": "w"}, f"k{n % 3}") for n in range(60)))
        assert {answer.status for answer in answers} == {201}
        ids = {answer.json["id"] for answer in answers}
        assert len(ids) == (await wire.get("/executions")).json["total"] == 3
        for execution_id in ids:
            await wire.until(execution_id, "completed")
        assert runs == dict.fromkeys(ids, 1)


async def test_replay_and_rollback_are_done_once_for_a_key(local, connect):
    fails = True
    ran = collections.Counter()

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        await run.step("two", lambda: ran.update(["two"]))
        if fails:
            raise ValueError

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        checkpoint = (await wire.until(execution_id, "failed"))["checkpoints"][0]["id"]
        replayed = await asyncio.gather(
            *(wire.move(execution_id, "replay", checkpoint, Idempotency_Key="r") for _ in range(5))
        )
        assert {answer.text for answer in replayed} == {replayed[0].text}
        assert replayed[0].status == 200
        await wire.until(execution_id, "failed")
        assert ran["two"] == 2
        back = await wire.move(execution_id, "rollback", checkpoint, Idempotency_Key="b")
        fails = False
        await wire.move(execution_id, "replay", checkpoint, Idempotency_Key="r2")
        await wire.until(execution_id, "completed")
        # The late repetition of the rollback must not undo what came after it.
        again = await wire.move(execution_id, "rollback", checkpoint, Idempotency_Key="b")
        assert (again.status, again.text) == (back.status, back.text)
        assert (await wire.detail(execution_id))["status"] == "completed"


async def test_a_remembered_rollback_does_not_stop_what_runs_now(local, connect):
    inside, gate = asyncio.Event(), asyncio.Event()
    stopped = []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await gate.wait()
        except asyncio.CancelledError:
            stopped.append(run.execution_id)
            raise

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await inside.wait()
        checkpoints = (await wire.detail(execution_id))["checkpoints"]
        first = await wire.move(execution_id, "rollback", checkpoints[0]["id"], Idempotency_Key="b")
        assert (await wire.move(execution_id, "replay", checkpoints[0]["id"])).status == 200
        again = await wire.move(execution_id, "rollback", checkpoints[0]["id"], Idempotency_Key="b")
        assert again.text == first.text
        gate.set()
        await wire.until(execution_id, "completed")
        assert stopped == [execution_id]


async def test_the_second_of_two_waits_while_the_first_is_under_way(local, connect):
    inside, gate, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await gate.wait()

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await inside.wait()
        checkpoints = (await wire.detail(execution_id))["checkpoints"]
        moves = [
            asyncio.create_task(wire.move(execution_id, "rollback", checkpoints[0]["id"], Idempotency_Key="b"))
            for _ in range(2)
        ]
        await cancelled.wait()
        while local.counts.get("POST /executions/*/rollback") != 2:
            await asyncio.sleep(0)
        assert (await wire.detail(execution_id))["status"] == "paused"  # several turns: time enough to be wrong
        assert not any(move.done() for move in moves)
        gate.set()
        first, second = await asyncio.gather(*moves)
        assert (first.status, first.text) == (second.status, second.text)


async def test_keys_are_durable(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path)) as wire:
        wire.local.inject(Fault(method="POST", when="after", action="drop"))
        with pytest.raises(Exception, match="disconnected"):
            await post(wire, {"workflow_id": "w"}, "k")
    async with connect(LocalOmium(path)) as wire:
        answer = await post(wire, {"workflow_id": "w"}, "k")
        listed = (await wire.get("/executions")).json
        assert [row["id"] for row in listed["items"]] == [answer.json["id"]]


async def test_a_server_that_does_not_honour_keys(local, connect):
    local.honor_idempotency = False
    async with connect(local) as wire:
        ids = {(await post(wire, {"workflow_id": "w"}, "k")).json["id"] for _ in range(3)}
        assert len(ids) == 3

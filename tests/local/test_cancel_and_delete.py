"""Cancel and delete: a cancelled run records no more steps, and a deleted execution is gone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from omium_async.local import LocalOmium

from .conftest import in_memory_and_on_file, names


async def finish(run):
    await run.step("one", lambda: 1)
    return "done"


async def fail(run):
    await run.step("one", lambda: 1)
    raise ValueError("no luck")


class Endless:
    """A workflow `endless` of a step that ends and a step that waits forever, as a coroutine or in a thread."""

    def __init__(self, local: LocalOmium, kind: str) -> None:
        self.kind, self.gate, self.ended = kind, threading.Event(), []
        local.workflow("endless")(self.run)

    async def run(self, run):
        await run.step("one", lambda: 1)
        try:
            await run.step("two", self.gate.wait if self.kind == "thread" else asyncio.Event().wait)
        finally:
            self.ended.append(run.execution_id)


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
@in_memory_and_on_file
async def test_cancel_stops_the_run_and_does_not_record_the_step_in_progress(local, http, kind):
    endless = Endless(local, kind)
    execution_id = await http.create("endless")
    await http.until(execution_id, "running", checkpoints=1)
    answer = await http.cancel(execution_id)
    assert (answer.status, answer.json["id"], answer.json["status"]) == (200, execution_id, "cancelled")
    assert endless.ended == [execution_id]
    endless.gate.set()
    detail = await http.detail(execution_id)
    assert (detail["status"], names(detail), detail["output_data"]) == ("cancelled", ["one"], None)
    assert detail["completed_at"] is not None
    assert await http.total("status=cancelled") == 1
    assert await http.total("status=running") == 0


async def test_pending_and_paused_executions_are_cancelled(local, http):
    local.workflow("w")(finish)
    pending = await http.create("none")
    done = await http.ended("w")
    await http.rollback(done["id"], done["checkpoints"][0]["id"])
    for execution_id in (pending, done["id"]):
        assert (await http.cancel(execution_id)).status == 200
        assert (await http.detail(execution_id))["status"] == "cancelled"

    @local.workflow("none")
    async def late(run): ...

    await http.ended("w")
    assert (await http.detail(pending))["status"] == "cancelled", "a workflow registered later started it"


async def test_an_execution_that_has_ended_is_not_cancelled(local, http):
    local.workflow("completed")(finish)
    local.workflow("failed")(fail)
    cancelled = await http.create("none")
    await http.cancel(cancelled)
    for execution_id in ((await http.ended("completed"))["id"], (await http.ended("failed"))["id"], cancelled):
        before = await http.detail(execution_id)
        answer = await http.cancel(execution_id)
        assert answer.status == 409
        assert before["status"] in answer.json["detail"]
        assert await http.detail(execution_id) == before


async def test_patch_accepts_the_status_cancelled_alone(http):
    execution_id = await http.create()
    for query in ("", "?status=", "?status=completed", "?status=running", "?status=weird"):
        answer = await http.call("PATCH", f"/executions/{execution_id}/status{query}")
        assert answer.status == 422
        assert answer.json["detail"][0]["loc"] == ["query", "status"]
    assert (await http.detail(execution_id))["status"] == "pending"


async def test_delete_answers_204_and_the_execution_with_its_checkpoints_is_gone(local, http):
    local.workflow("w")(finish)
    detail = await http.ended("w")
    answer = await http.delete(detail["id"])
    assert (answer.status, answer.text) == (204, "")
    checkpoint = detail["checkpoints"][0]["id"]
    for gone in (
        await http.get(f"/executions/{detail['id']}"),
        await http.delete(detail["id"]),
        await http.cancel(detail["id"]),
        await http.replay(detail["id"], checkpoint),
        await http.get(f"/checkpoints?execution_id={detail['id']}"),
        await http.get(f"/checkpoints/{checkpoint}"),
    ):
        assert gone.status == 404
    assert await http.total() == 0


async def test_pending_and_running_executions_are_not_deleted(local, http):
    endless = Endless(local, "coroutine")
    running, pending = await http.create("endless"), await http.create("none")
    await http.until(running, "running", checkpoints=1)
    for execution_id, status in ((running, "running"), (pending, "pending")):
        answer = await http.delete(execution_id)
        assert answer.status == 409
        assert status in answer.json["detail"]
    assert (await http.total(), endless.ended) == (2, [])
    await http.cancel(running)
    assert (await http.delete(running)).status == 204


async def test_cancel_and_delete_are_done_once_per_idempotency_key(local, http):
    execution_id = await http.create()
    for call, status in ((http.cancel, 200), (http.delete, 204)):
        answers = await asyncio.gather(*(call(execution_id, key="k") for _ in range(5)))
        assert {(answer.status, answer.text) for answer in answers} == {(status, answers[0].text)}
    again = await http.cancel(execution_id, key="k")
    assert again.json["status"] == "cancelled", "the remembered response outlives the execution"

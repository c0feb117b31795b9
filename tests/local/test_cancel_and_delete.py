"""Cancel and delete: a cancelled run records no more steps, and lists are right after deletes."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from omium_async.local import LocalOmium

from .conftest import in_memory_and_on_file, names, serving


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


class ListsWithGaps(RuleBasedStateMachine):
    """Create, cancel and delete in any order: each page of each filter is a slice of a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.serving = serving(LocalOmium())
        self.http = self.loop.run_until_complete(self.serving.__aenter__())
        self.rows: list[tuple[str, str, str]] = []  # id, workflow and status, oldest first

    def teardown(self) -> None:
        self.loop.run_until_complete(self.serving.__aexit__(None, None, None))
        self.loop.close()

    @rule(count=st.integers(1, 6), workflow_id=st.sampled_from("ab"))
    def create(self, count, workflow_id):
        for _ in range(count):
            self.rows.append((self.loop.run_until_complete(self.http.create(workflow_id)), workflow_id, "pending"))

    @rule(place=st.integers(0, 30))
    def cancel(self, place):
        if self.rows:
            execution_id, workflow_id, status = self.rows[place % len(self.rows)]
            answer = self.loop.run_until_complete(self.http.cancel(execution_id))
            assert answer.status == (200 if status == "pending" else 409)
            self.rows[place % len(self.rows)] = (execution_id, workflow_id, "cancelled")

    @rule(place=st.integers(0, 30))
    def delete(self, place):
        if self.rows:
            execution_id, _, status = self.rows[place % len(self.rows)]
            answer = self.loop.run_until_complete(self.http.delete(execution_id))
            assert answer.status == (409 if status == "pending" else 204)
            if status != "pending":
                del self.rows[place % len(self.rows)]

    @rule()
    def reset(self):
        self.loop.run_until_complete(self.http.local.reset())
        self.rows.clear()

    @rule(workflow_id=st.sampled_from(["", "a", "b"]), status=st.sampled_from(["", "pending", "cancelled"]),
          size=st.integers(1, 4))  # fmt: skip
    def pages(self, workflow_id, status, size):
        query = "".join(
            f"&{name}={value}" for name, value in (("workflow_id", workflow_id), ("status", status)) if value
        )
        expected = [row[0] for row in self.rows[::-1] if workflow_id in ("", row[1]) and status in ("", row[2])]
        for number in range(1, len(expected) // size + 3):
            page = self.loop.run_until_complete(self.http.page(f"page={number}&page_size={size}{query}"))
            assert page["total"] == len(expected)
            assert [row["id"] for row in page["items"]] == expected[(number - 1) * size : number * size]


TestListsWithGaps = ListsWithGaps.TestCase

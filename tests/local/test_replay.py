"""Replay and rollback: which steps run again or are discarded; a stopped run writes nothing more."""

from __future__ import annotations

import asyncio
import collections

import pytest

from omium_async.local import LocalOmium

from .conftest import in_memory_and_on_file, names, serving


class CountedSteps:
    """A workflow `counted` of steps `s0` to `s4` that counts its steps and fails before step `fail_at`."""

    def __init__(self, local: LocalOmium, steps: int = 5) -> None:
        self.ran: collections.Counter[int] = collections.Counter()
        self.fail_at: int | None = None
        self.steps = steps
        local.workflow("counted")(self.run)

    async def run(self, run):
        for n in range(self.steps):
            if self.fail_at == n:
                raise ValueError(f"fails before s{n}")
            await run.step(f"s{n}", self.step, n)
        return sorted(self.ran)

    async def step(self, n):
        self.ran[n] += 1
        return n


def checkpoint(detail, number):
    return detail["checkpoints"][number]["id"]


@in_memory_and_on_file
async def test_a_replay_repeats_no_step_up_to_its_checkpoint(local, http):
    counted = CountedSteps(local)
    counted.fail_at = 3
    before = await http.ended("counted")
    counted.fail_at = None
    assert (await http.replay(before["id"], checkpoint(before, 1))).status == 200
    after = await http.until(before["id"], "completed")
    assert counted.ran == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}
    assert names(after) == ["s0", "s1", "s2", "s3", "s4"]
    assert after["checkpoints"][:2] == before["checkpoints"][:2]
    assert checkpoint(after, 2) != checkpoint(before, 2)
    for field, value in {"error": None, **{name: before[name] for name in ("started_at", "created_at")}}.items():
        assert after[field] == value


@pytest.mark.parametrize("status", ["running", "completed", "pending"])
async def test_only_failed_and_paused_executions_are_replayed(local, http, status):
    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        if status == "running":
            await asyncio.Event().wait()

    pending = status == "pending"
    execution_id = await http.create("unknown" if pending else "w")
    detail = await http.until(execution_id, status, checkpoints=0 if pending else 1)
    answer = await http.replay(execution_id, "chk" if pending else checkpoint(detail, 0))
    assert answer.status == 409
    assert status in answer.json["detail"]
    assert await http.detail(execution_id) == detail


async def test_a_rollback_stops_the_run_and_discards_later_checkpoints(local, http):
    ended = []

    @local.workflow("endless")
    async def endless(run):
        await run.step("one", lambda: 1)
        await run.step("two", lambda: 2)
        try:
            await run.step("three", asyncio.Event().wait)
        finally:
            ended.append(run.execution_id)

    execution_id = await http.create("endless")
    before = await http.until(execution_id, "running", checkpoints=2)
    assert (await http.rollback(execution_id, checkpoint(before, 0))).json["status"] == "paused"
    assert ended == [execution_id]
    after = await http.detail(execution_id)
    assert (after["status"], after["checkpoints"]) == ("paused", before["checkpoints"][:1])


async def test_a_run_that_swallows_its_cancellation_records_nothing_more(local, http):
    inside, swallowed, ran = asyncio.Event(), asyncio.Event(), []

    @local.workflow("stubborn")
    async def stubborn(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await run.step("two", ran.append, 2)

    execution_id = await http.create("stubborn")
    await inside.wait()
    before = await http.detail(execution_id)
    await http.rollback(execution_id, checkpoint(before, 0))
    assert swallowed.is_set()
    after = await http.detail(execution_id)
    assert (ran, after["status"], names(after)) == ([], "paused", ["one"])


async def test_a_replay_waits_for_its_workflow_to_be_registered(tmp_path):
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    CountedSteps(local).fail_at = 2
    async with serving(local) as http:
        before = await http.ended("counted")
    async with serving(LocalOmium(path)) as http:
        answer = await http.replay(before["id"], checkpoint(before, 0))
        assert answer.json["status"] == "pending"
        assert (await http.detail(before["id"]))["checkpoints"] == before["checkpoints"][:1]
        counted = CountedSteps(http.local)
        await http.until(before["id"], "completed")
        assert counted.ran == {1: 1, 2: 1, 3: 1, 4: 1}


async def test_a_rollback_of_a_completed_execution_clears_its_output(local, http):
    counted = CountedSteps(local)
    before = await http.ended("counted")
    await http.rollback(before["id"], checkpoint(before, 2))
    paused = await http.detail(before["id"])
    assert (paused["status"], paused["output_data"], paused["completed_at"]) == ("paused", None, None)
    assert paused["checkpoints"] == before["checkpoints"][:3]
    answer = await http.replay(before["id"], checkpoint(before, 3))
    assert (answer.status, answer.json["detail"]) == (404, "Checkpoint not found")
    await http.replay(before["id"], checkpoint(before, 0))
    await http.until(before["id"], "completed")
    assert counted.ran == {0: 1, 1: 2, 2: 2, 3: 2, 4: 2}

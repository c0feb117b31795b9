"""Replay and rollback: what is not run again, what is discarded, and what a stopped run may no longer do."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import collections
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omium_async.local import LocalOmium


class Trips:
    """A workflow of steps `s0` to `s4` that counts what it runs, and fails before the step that `fail_at` names."""

    def __init__(self, local, steps=5):
        self.ran = collections.Counter()
        self.fail_at = None
        self.steps = steps
        local.workflow("trips")(self.run)

    async def run(self, run):
        for n in range(self.steps):
            if self.fail_at == n:
                raise ValueError(f"fails before s{n}")
            await run.step(f"s{n}", self.step, n)
        return sorted(self.ran)

    async def step(self, n):
        self.ran[n] += 1
        return n


async def test_a_replay_runs_no_recorded_step_again(local, connect):
    trips = Trips(local)
    trips.fail_at = 3
    async with connect(local) as wire:
        execution_id = await wire.create("trips")
        before = await wire.until(execution_id, "failed")
        trips.fail_at = None
        assert (await wire.move(execution_id, "replay", before["checkpoints"][1]["id"])).status == 200
        after = await wire.until(execution_id, "completed")
        assert trips.ran == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}
        assert [c["name"] for c in after["checkpoints"]] == ["s0", "s1", "s2", "s3", "s4"]
        assert after["checkpoints"][:2] == before["checkpoints"][:2]
        assert after["checkpoints"][2]["id"] != before["checkpoints"][2]["id"]
        assert after["error"] is None
        assert after["started_at"] == before["started_at"]
        assert after["created_at"] == before["created_at"]


async def test_a_replay_of_a_workflow_that_was_mended_meanwhile(local, connect):
    @local.workflow("w")
    async def broken(run):
        await run.step("read", lambda: "text")
        raise ValueError("a bug")

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        failed = await wire.until(execution_id, "failed")

        @local.workflow("w")
        async def mended(run):
            return await run.step("read", lambda: "never run")

        await wire.move(execution_id, "replay", failed["checkpoints"][0]["id"])
        assert (await wire.until(execution_id, "completed"))["output_data"] == "text"


@pytest.mark.parametrize("status", ["running", "completed", "pending"])
async def test_only_failed_and_paused_executions_are_replayed(local, connect, status):
    gate = asyncio.Event()

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        if status == "running":
            await gate.wait()

    async with connect(local) as wire:
        execution_id = await wire.create("w" if status != "pending" else "unknown")
        detail = await wire.until(execution_id, status)
        while status != "pending" and not detail["checkpoints"]:
            detail = await wire.detail(execution_id)
        checkpoint = detail["checkpoints"][0]["id"] if detail["checkpoints"] else "chk"
        answer = await wire.move(execution_id, "replay", checkpoint)
        assert answer.status == 409
        assert status in answer.json["detail"]
        assert (await wire.detail(execution_id)) == detail


async def test_rollback_stops_a_run_that_would_never_end(local, connect):
    ended = []

    @local.workflow("for ever")
    async def for_ever(run):
        await run.step("one", lambda: 1)
        await run.step("two", lambda: 2)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(run.execution_id)

    async with connect(local) as wire:
        execution_id = await wire.create("for ever")
        while len(checkpoints := (await wire.detail(execution_id))["checkpoints"]) < 2:
            await asyncio.sleep(0)
        answer = await wire.move(execution_id, "rollback", checkpoints[0]["id"])
        assert answer.json["status"] == "paused"
        assert ended == [execution_id]
        detail = await wire.detail(execution_id)
        assert (detail["status"], detail["checkpoints"]) == ("paused", checkpoints[:1])


async def test_the_result_of_a_thread_that_outlives_its_run_is_not_recorded(local, connect):
    entered, gate, left = threading.Event(), threading.Event(), threading.Event()
    ran = collections.Counter()

    def slow():
        ran["slow"] += 1
        entered.set()
        gate.wait()
        left.set()
        return ran["slow"]

    @local.workflow("w")
    async def w(run):
        await run.step("fast", lambda: 0)
        return await run.step("slow", slow)

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await asyncio.to_thread(entered.wait)
        (checkpoint,) = (await wire.detail(execution_id))["checkpoints"]
        assert (await wire.move(execution_id, "rollback", checkpoint["id"])).status == 200
        entered.clear()
        assert (await wire.move(execution_id, "replay", checkpoint["id"])).status == 200
        await asyncio.to_thread(entered.wait)  # the replayed run is in the step while the first thread still sleeps
        gate.set()
        await asyncio.to_thread(left.wait)
        detail = await wire.until(execution_id, "completed")
        assert detail["output_data"] == 2
        assert [c["name"] for c in detail["checkpoints"]] == ["fast", "slow"]


async def test_a_run_that_swallows_its_cancellation_records_nothing_more(local, connect):
    inside, swallowed = asyncio.Event(), asyncio.Event()
    ran = []

    @local.workflow("stubborn")
    async def stubborn(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await run.step("two", ran.append, 2)

    async with connect(local) as wire:
        execution_id = await wire.create("stubborn")
        await inside.wait()
        checkpoints = (await wire.detail(execution_id))["checkpoints"]
        await wire.move(execution_id, "rollback", checkpoints[0]["id"])
        assert swallowed.is_set()
        assert ran == []
        detail = await wire.detail(execution_id)
        assert (detail["status"], detail["checkpoints"]) == ("paused", checkpoints)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("by", ["rollback", "stop"])
async def test_cleaning_up_has_most_of_the_grace(local, connect, monkeypatch, by):
    monkeypatch.setattr("omium_async.local.runner._GRACE", 1.0)
    inside, ended = asyncio.Event(), []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            ended.append("cleaned up")

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await inside.wait()
        checkpoints = (await wire.detail(execution_id))["checkpoints"]
        if by == "rollback":
            await wire.move(execution_id, "rollback", checkpoints[0]["id"])
            assert ended
    assert ended == ["cleaned up"]


async def test_a_run_that_refuses_to_end_cannot_write_into_the_one_after_it(local, connect, monkeypatch):
    monkeypatch.setattr("omium_async.local.runner._GRACE", 0.02)
    gates = [asyncio.Event(), asyncio.Event()]
    ended = asyncio.Event()
    calls = []

    async def stubborn(number):
        while not gates[number].is_set():
            try:
                await gates[number].wait()
            except asyncio.CancelledError:
                continue
        return number

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        number = len(calls)
        calls.append(number)
        try:
            return await run.step("two", stubborn, number)
        finally:
            if number == 0:
                ended.set()

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        while not calls:
            await asyncio.sleep(0)
        (checkpoint,) = (await wire.detail(execution_id))["checkpoints"]
        assert (await wire.move(execution_id, "rollback", checkpoint["id"])).status == 200
        assert (await wire.move(execution_id, "replay", checkpoint["id"])).status == 200
        while len(calls) < 2:
            await asyncio.sleep(0)
        gates[0].set()  # the first run comes back with its result, long after it was stopped
        await ended.wait()
        detail = await wire.detail(execution_id)
        gates[1].set()
        assert (detail["status"], [c["name"] for c in detail["checkpoints"]]) == ("running", ["one"])
        assert (await wire.until(execution_id, "completed", "failed"))["output_data"] == 1


async def test_rollback_of_a_completed_execution(local, connect):
    trips = Trips(local)
    async with connect(local) as wire:
        execution_id = await wire.create("trips")
        before = await wire.until(execution_id, "completed")
        await wire.move(execution_id, "rollback", before["checkpoints"][2]["id"])
        detail = await wire.detail(execution_id)
        assert detail["status"] == "paused"
        assert detail["output_data"] is detail["completed_at"] is None
        assert detail["checkpoints"] == before["checkpoints"][:3]
        answer = await wire.move(execution_id, "replay", before["checkpoints"][3]["id"])
        assert (answer.status, answer.json["detail"]) == (404, "Checkpoint not found")
        await wire.move(execution_id, "replay", before["checkpoints"][0]["id"])
        await wire.until(execution_id, "completed")
        assert trips.ran == {0: 1, 1: 2, 2: 2, 3: 2, 4: 2}


async def test_a_replay_without_its_workflow_waits_for_it(tmp_path, connect):
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    trips = Trips(local)
    trips.fail_at = 2
    async with connect(local) as wire:
        execution_id = await wire.create("trips")
        before = await wire.until(execution_id, "failed")
    local = LocalOmium(path)
    async with connect(local) as wire:
        answer = await wire.move(execution_id, "replay", before["checkpoints"][0]["id"])
        assert answer.json["status"] == "pending"
        assert (await wire.detail(execution_id))["checkpoints"] == before["checkpoints"][:1]
        trips = Trips(local)
        await wire.until(execution_id, "completed")
        assert trips.ran == {1: 1, 2: 1, 3: 1, 4: 1}


async def test_many_moves_of_one_execution_at_once(local, connect):
    trips = Trips(local)
    async with connect(local) as wire:
        execution_id = await wire.create("trips")
        checkpoint = (await wire.until(execution_id, "completed"))["checkpoints"][0]["id"]
        verbs = ["rollback", "replay"] * 20
        answers = await asyncio.gather(*(wire.move(execution_id, verb, checkpoint) for verb in verbs))
        assert {answer.status for answer in answers} <= {200, 409}
        last = await wire.until(execution_id, "completed", "paused")
        names = [c["name"] for c in last["checkpoints"]]
        assert names == [f"s{n}" for n in range(len(names))]
        assert trips.ran[0] == 1


moves = st.lists(
    st.tuples(st.sampled_from(["replay", "rollback", "fail", "mend", "reset"]), st.integers(0, 5)), max_size=8
)


@given(moves=moves, durable=st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_moves_against_a_model(moves, durable, connect, tmp_path_factory):
    """Any sequence of replays, rollbacks and resets: a step that is on record before a move, up to its checkpoint, is
    not run by what follows from it; what is answered and shown is what a plain model says."""
    path = tmp_path_factory.mktemp("moves") / "o.db" if durable else None
    asyncio.run(_follow(moves, LocalOmium(path), connect))


async def _follow(moves, local, connect):
    trips = Trips(local, steps=4)
    async with connect(local) as wire:
        execution_id = await wire.create("trips")
        detail = await wire.until(execution_id, "completed", "failed")
        status, recorded = "completed", 4
        for verb, number in moves:
            if verb in {"fail", "mend"}:
                trips.fail_at = number if verb == "fail" else None
                continue
            if verb == "reset":
                await local.reset()
                assert (await wire.get("/executions")).json["total"] == 0
                trips.fail_at = None
                execution_id, before = await wire.create("trips"), execution_id
                assert execution_id > before
                detail = await wire.until(execution_id, "completed", "failed")
                status, recorded = "completed", 4
                continue
            before = collections.Counter(trips.ran)
            known = detail["checkpoints"]
            checkpoint = known[number]["id"] if number < len(known) else "chk_none"
            answer = await wire.move(execution_id, verb, checkpoint)
            if verb == "replay" and status == "completed":
                assert answer.status == 409
            elif number >= len(known):
                assert answer.status == 404
            else:
                assert answer.status == 200
                recorded, status = number + 1, "paused"
                expected = collections.Counter()
                if verb == "replay":
                    end = 4 if trips.fail_at is None or trips.fail_at >= 4 else trips.fail_at
                    expected.update(range(recorded, end))
                    status, recorded = ("completed" if end == 4 else "failed"), max(recorded, end)
                detail = await wire.until(execution_id, status)
                assert trips.ran - before == expected
            detail = await wire.detail(execution_id)
            assert detail["status"] == status
            assert [c["name"] for c in detail["checkpoints"]] == [f"s{n}" for n in range(recorded)]
            totals = {
                name: (await wire.get(f"/executions?status={name}")).json["total"] for name in ("completed", status)
            }
            assert totals[status] == 1
            assert status == "completed" or totals["completed"] == 0

"""replay_many: each execution at most once, planned, journalled."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from omium_async import (
    AuthenticationError,
    ConflictError,
    ExecutionRequest,
    JournalError,
    ReplayOutcome,
)
from omium_async.local import Fault

from .conftest import break_the_journal, collect, ended, states

REPLAY = {"method": "POST", "path": "/executions/*/replay"}
IN_AN_HOUR = {"Retry-After": "3600"}


@pytest.fixture
def runs(local) -> Counter[int]:
    """How often each execution ran; each fails, the even ones after a step named "first"."""
    counts: Counter[int] = Counter()

    @local.workflow("fails")
    async def fails(run):
        number = run.input_data["number"]
        counts[number] += 1
        if number % 10 != 9:
            await run.step("first", lambda: number)
        if number % 2:
            await run.step("second", lambda: number)
        raise RuntimeError("as always")

    return counts


async def fail(omium, count, start=0):
    requests = [ExecutionRequest("fails", {"number": number}) for number in range(start, start + count)]
    assert states(await collect(omium.executions.create_many(requests))) == {("created", False): count}
    await settle(omium, start + count)


async def settle(omium, count):
    while await omium.executions.count(workflow_id="fails", status="failed") < count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_every_failed_execution_is_replayed_once_though_it_fails_again(omium, runs):
    await fail(omium, 250)
    outcomes = await collect(omium.executions.replay_many(workflow_id="fails", concurrency=8))
    replayed = [outcome for outcome in outcomes if outcome.state == "replayed"]
    assert len({outcome.execution.id for outcome in outcomes}) == len(outcomes) == 250
    assert all(outcome.result.execution_id == outcome.execution.id for outcome in replayed)
    without = [outcome for outcome in outcomes if outcome.state == "rejected"]
    assert sorted({outcome.execution.input_data["number"] % 10 for outcome in without}) == [9] * bool(without)
    assert all("no checkpoints" in str(outcome.error) or "second" in str(outcome.error) for outcome in without)
    await settle(omium, 250)
    assert runs == dict.fromkeys(range(250), 2) | {outcome.execution.input_data["number"]: 1 for outcome in without}


async def test_from_a_named_checkpoint(omium, runs, local):
    await fail(omium, 10)
    outcomes = await collect(omium.executions.replay_many(checkpoint_name="second"))
    by_number = {outcome.execution.input_data["number"]: outcome for outcome in outcomes}
    assert {number for number, outcome in by_number.items() if outcome.state == "replayed"} == {1, 3, 5, 7, 9}
    assert "there are: 'first'" in str(by_number[2].error)
    assert local.counts["POST /executions/*/replay"] == 5


async def test_a_dry_run_plans_and_sends_nothing(omium, runs, local, tmp_path):
    await fail(omium, 30)
    outcomes = await collect(omium.executions.replay_many(workflow_id="fails", dry_run=True, limit=20))
    assert states(outcomes) == {("planned", False): 20}
    assert all(outcome.execution.status == "failed" for outcome in outcomes)
    journal = tmp_path / "journal"
    assert len(await collect(omium.executions.replay_many(dry_run=True, journal=journal))) == 30
    assert not journal.exists()
    await collect(omium.executions.replay_many(journal=journal, limit=8))
    plan = await collect(omium.executions.replay_many(dry_run=True, journal=journal, limit=20))
    assert [outcome.state for outcome in plan[:8]] == ["replayed"] * 8
    assert states(plan) == {("replayed", True): 8, ("planned", False): 12}
    assert local.counts["POST /executions/*/replay"] == 8


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_refused_and_unknown_ones_end_nothing(omium, runs, local, tmp_path, journalled):
    await fail(omium, 8)
    how = {"journal": tmp_path / "journal"} if journalled else {}
    local.inject(Fault(**REPLAY, action="status", status=409))
    local.inject(Fault(**REPLAY, when="after", action="drop"))
    outcomes = await collect(omium.executions.replay_many(concurrency=1, **how))
    assert [outcome.state for outcome in outcomes] == ["rejected", "unknown"] + ["replayed"] * 6
    assert isinstance(outcomes[0].error, ConflictError)
    assert outcomes[1].error.outcome_unknown
    if journalled:  # the unknown one was applied, as it shows by now
        again = await collect(omium.executions.replay_many(**how))
        assert states(again) == {("rejected", True): 1, ("replayed", True): 7}
    assert local.counts["POST /executions/*/replay"] == 8


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
@pytest.mark.parametrize("where", [REPLAY, {"method": "GET", "path": "/executions/*"}], ids=["replay", "look"])
async def test_a_refused_key_ends_it(omium, runs, local, tmp_path, journalled, where):
    await fail(omium, 3)
    how = {"journal": tmp_path / "journal"} if journalled else {}
    local.inject(Fault(**where, action="status", status=401))
    found, error = await ended(omium.executions.replay_many(concurrency=1, **how))
    assert (found, type(error), error.outcome) == ([], AuthenticationError, "not_applied")
    again = await collect(omium.executions.replay_many(**how))
    assert states(again) == {("replayed", False): 3}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_ends_it_waits_for_none_that_was_asked_to_wait(omium, local, dry_run):
    """One is to come back in an hour; another shows meanwhile that the key is refused."""
    local.inject(Fault(method="GET", path="/executions/exec_1", action="status", status=429, headers=IN_AN_HOUR))
    local.inject(Fault(method="GET", path="/executions/exec_2", action="status", status=401))
    once = omium.with_options(max_retries=0)
    with pytest.raises(AuthenticationError):
        async with asyncio.timeout(30):
            await collect(once.executions.replay_many(execution_ids=["exec_1", "exec_2"], dry_run=dry_run))


async def test_limit_and_leaving_early(omium, runs, local):
    await fail(omium, 60)
    assert len(await collect(omium.executions.replay_many(limit=7, concurrency=3))) == 7
    assert await collect(omium.executions.replay_many(limit=0)) == []
    outcomes = omium.executions.replay_many(concurrency=2)
    await anext(outcomes)
    await outcomes.aclose()
    assert local.counts["POST /executions/*/replay"] < 30


class TestJournal:
    async def test_what_it_holds_comes_first_and_is_not_sent_again(self, omium, runs, local, tmp_path):
        await fail(omium, 40)
        journal = tmp_path / "journal"
        local.inject(Fault(**REPLAY, action="status", status=409))
        first = await collect(omium.executions.replay_many(journal=journal, limit=15, concurrency=1))
        assert states(first) == {("rejected", False): 1, ("replayed", False): 14}
        await settle(omium, 40)
        sent = local.counts["POST /executions/*/replay"]
        second = await collect(omium.executions.replay_many(journal=journal))
        assert [outcome.resumed for outcome in second] == [True] * 15 + [False] * 25
        assert local.counts["POST /executions/*/replay"] == sent + 25
        assert isinstance(second[0].error, ConflictError)
        by_id = {outcome.execution.id: outcome for outcome in first}
        for outcome in second[1:15]:
            assert outcome.result == by_id[outcome.execution.id].result
            assert outcome.execution.status == "failed"
            assert outcome.execution.workflow_id == "fails"
        await settle(omium, 40)
        third = await collect(omium.executions.replay_many(journal=journal, limit=40))
        assert [outcome.resumed for outcome in third] == [True] * 40
        assert max(runs.values()) == 2

    async def test_what_was_in_flight_is_compared_and_never_sent_again(self, omium, runs, local, tmp_path):
        await fail(omium, 20)
        journal = tmp_path / "journal"
        for when in ("before", "after"):
            local.inject(Fault(**REPLAY, when=when, action="stall", times=None))
            outcomes = omium.executions.replay_many(journal=journal, concurrency=2)
            reading = asyncio.create_task(collect(outcomes))
            seen = local.counts.get("POST /executions/*/replay", 0)
            while local.counts.get("POST /executions/*/replay", 0) < seen + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            reading.cancel()  # as a death leaves it: about to be sent, without an outcome
            await asyncio.wait([reading])
            local.clear_faults()
        await settle(omium, 20)
        local.inject(Fault(method="GET", path="/executions/*", action="status", status=401))
        _, error = await ended(omium.executions.replay_many(journal=journal))
        assert error.outcome == "unknown"  # of those in flight, of which the look told nothing
        outcomes = await collect(omium.executions.replay_many(journal=journal))
        assert [outcome.resumed for outcome in outcomes] == [True] * 4 + [False] * 16
        assert sorted(outcome.state for outcome in outcomes[:4]) == ["replayed"] * 2 + ["unknown"] * 2
        unknown = [outcome for outcome in outcomes if outcome.state == "unknown"]
        assert all("has not changed since" in str(outcome.error) for outcome in unknown)
        assert all(outcome.error.outcome_unknown for outcome in unknown)
        assert max(runs.values()) == 2
        await settle(omium, 20)
        again = await collect(omium.executions.replay_many(journal=journal))
        assert states(again) == {("replayed", True): 18, ("unknown", True): 2}

    async def test_that_breaks_in_the_middle(self, omium, runs, local, tmp_path, monkeypatch):
        """What is known is told, then the error; and nothing is replayed twice."""
        broken = False
        await fail(omium, 30)
        break_the_journal(monkeypatch, lambda: broken)
        found = []
        with pytest.raises(JournalError):
            async for outcome in omium.executions.replay_many(concurrency=2, journal=tmp_path / "journal"):
                found.append(outcome)
                broken = len(found) >= 3
        assert 3 <= len(found) < 30
        monkeypatch.undo()
        outcomes = await collect(omium.executions.replay_many(journal=tmp_path / "journal"))
        assert {outcome.execution.id for outcome in found} <= {outcome.execution.id for outcome in outcomes}
        assert max(runs.values()) <= 2

    async def test_that_breaks_when_the_only_outcome_is_recorded(self, omium, runs, local, tmp_path, monkeypatch):
        await fail(omium, 1)
        break_the_journal(monkeypatch, lambda: "POST /executions/*/replay" in local.counts)
        found, error = await ended(omium.executions.replay_many(journal=tmp_path / "journal"))
        assert isinstance(error, JournalError)
        assert states(found) == {("replayed", False): 1}

    async def test_of_another_scope_or_kind(self, omium, tmp_path):
        journal = tmp_path / "journal"
        await collect(omium.executions.replay_many(workflow_id="fails", journal=journal))
        for arguments in ({"workflow_id": "other"}, {"status": "paused"}, {"checkpoint_name": "first"}):
            with pytest.raises(JournalError, match="belongs to another batch"):
                await collect(omium.executions.replay_many(**({"workflow_id": "fails"} | arguments), journal=journal))
        with pytest.raises(JournalError, match="another kind"):
            await collect(omium.executions.create_many([], journal=journal))


async def test_bad_arguments_are_refused_at_the_call(omium):
    for kind, arguments in (
        (TypeError, {"concurrency": "4"}),
        (ValueError, {"concurrency": 0}),
        (ValueError, {"limit": -1}),
        (ValueError, {"workflow_id": ""}),
        (ValueError, {"checkpoint_name": ""}),
        (TypeError, {"journal": 1}),
        (TypeError, {"status": 1}),
    ):
        with pytest.raises(kind):
            omium.executions.replay_many(**arguments)


def test_outcomes_are_values():
    from omium_async import Execution

    assert ReplayOutcome(Execution("a"), "planned") == ReplayOutcome(Execution("a"), "planned", None, None, False)

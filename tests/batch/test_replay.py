"""replay_many: executions by filters or by ids, each at most once, also with a journal over several runs."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from typing import Any

import pytest

from omium_async import AuthenticationError, ConflictError, ExecutionRequest, JournalError, NotFoundError
from omium_async.local import Fault

from .conftest import collect, ended, failed_executions, states

REPLAY = {"method": "POST", "path": "/executions/*/replay"}
SENT = "POST /executions/*/replay"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def runs(local) -> Counter[int]:
    """Counts the runs of each execution of "fails"; each fails, those with an odd number after a second step."""
    counts: Counter[int] = Counter()

    @local.workflow("fails")
    async def fails(run):
        number = run.input_data["number"]
        counts[number] += 1
        await run.step("first", lambda: number)
        if number % 2:
            await run.step("second", lambda: number)
        raise RuntimeError("always")

    return counts


async def fail(omium, count):
    requests = [ExecutionRequest("fails", {"number": number}) for number in range(count)]
    assert states(await collect(omium.executions.create_many(requests))) == {("created", False): count}
    await all_failed(omium, count)


async def all_failed(omium, count):
    while await omium.executions.count(workflow_id="fails", status="failed") < count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.fixture
async def ids(omium, local) -> list[str]:
    return await failed_executions(omium, local, 6)


def by_id(outcomes: Any) -> dict[str, str]:
    assert max(Counter(outcome.execution.id for outcome in outcomes).values()) == 1
    return {outcome.execution.id: outcome.state for outcome in outcomes}


# -- which executions --------------------------------------------------------------------------------------------------


async def test_every_failed_execution_is_replayed_once_even_if_it_fails_again(omium, runs):
    await fail(omium, 120)
    outcomes = await collect(omium.executions.replay_many(workflow_id="fails", concurrency=8))
    assert states(outcomes) == {("replayed", False): 120}
    assert len(by_id(outcomes)) == 120
    assert all(outcome.result.execution_id == outcome.execution.id for outcome in outcomes)
    await all_failed(omium, 120)
    assert runs == dict.fromkeys(range(120), 2)


async def test_executions_without_the_named_checkpoint_are_rejected(omium, runs, local):
    await fail(omium, 10)
    outcomes = await collect(omium.executions.replay_many(checkpoint_name="second"))
    by_number = {outcome.execution.input_data["number"]: outcome for outcome in outcomes}
    assert {number for number, outcome in by_number.items() if outcome.state == "replayed"} == {1, 3, 5, 7, 9}
    assert "there are: 'first'" in str(by_number[2].error)
    assert local.counts[SENT] == 5


@pytest.mark.parametrize("kind", ["list", "generator", "async"])
async def test_ids_may_come_in_any_iterable_and_each_counts_once(omium, local, ids, kind):
    async def lazily():
        for execution_id in [*ids[:3], ids[0]]:
            yield execution_id

    given = {"list": [*ids[:3], ids[0]], "generator": (i for i in [*ids[:3], ids[0]]), "async": lazily()}[kind]
    outcomes = await collect(omium.executions.replay_many(given))
    assert by_id(outcomes) == dict.fromkeys(ids[:3], "replayed")
    assert all(outcome.execution.workflow_id == "fails" for outcome in outcomes)
    assert local.counts[SENT] == 3


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_an_unknown_id_is_rejected(omium, ids, path, journalled):
    how = {"journal": path} if journalled else {}
    outcomes = await collect(omium.executions.replay_many(["exec_missing", ids[0]], concurrency=1, **how))
    assert by_id(outcomes) == {ids[0]: "replayed", "exec_missing": "rejected"}
    assert isinstance(next(o.error for o in outcomes if o.state == "rejected"), NotFoundError)


async def test_a_limit_counts_executions(omium, ids):
    assert len(await collect(omium.executions.replay_many(ids, limit=2))) == 2
    assert len(await collect(omium.executions.replay_many(limit=3))) == 3
    assert await collect(omium.executions.replay_many(limit=0)) == []


async def test_a_dry_run_plans_and_sends_nothing(omium, runs, local, path):
    await fail(omium, 30)
    outcomes = await collect(omium.executions.replay_many(workflow_id="fails", dry_run=True, limit=20))
    assert states(outcomes) == {("planned", False): 20}
    assert all(outcome.execution.status == "failed" for outcome in outcomes)
    named = [outcome.execution.id for outcome in outcomes[:2]]
    outcomes = await collect(omium.executions.replay_many([*named, "exec_missing"], dry_run=True))
    assert by_id(outcomes) == {**dict.fromkeys(named, "planned"), "exec_missing": "rejected"}
    assert len(await collect(omium.executions.replay_many(dry_run=True, journal=path))) == 30
    assert not path.exists()
    await collect(omium.executions.replay_many(journal=path, limit=8))
    plan = await collect(omium.executions.replay_many(dry_run=True, journal=path, limit=20))
    assert [outcome.state for outcome in plan[:8]] == ["replayed"] * 8
    assert states(plan) == {("replayed", True): 8, ("planned", False): 12}
    assert local.counts[SENT] == 8


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_id_that_the_service_refuses_is_rejected(omium, local, ids, dry_run):
    local.inject(Fault(method="GET", path=f"/executions/{ids[0]}", status=422))
    outcomes = await collect(omium.executions.replay_many(ids, dry_run=dry_run))
    assert by_id(outcomes) == dict.fromkeys(ids, "planned" if dry_run else "replayed") | {ids[0]: "rejected"}


async def test_bad_arguments_are_rejected_at_the_call(omium):
    for kind, arguments in (
        (ValueError, {"execution_ids": ["exec_1"], "workflow_id": "fails"}),
        (ValueError, {"execution_ids": ["exec_1"], "status": "paused"}),
        (ValueError, {"execution_ids": ["exec_1"], "status": None}),
        (TypeError, {"execution_ids": "exec_1"}),
        (ValueError, {"execution_ids": [".."]}),
        (ValueError, {"concurrency": 0}),
        (ValueError, {"limit": -1}),
        (ValueError, {"checkpoint_name": ""}),
        (TypeError, {"journal": 1}),
        (TypeError, {"status": 1}),
    ):
        with pytest.raises(kind):
            omium.executions.replay_many(**arguments)


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_refused_and_unknown_replays_do_not_end_the_batch(omium, runs, local, path, journalled):
    await fail(omium, 8)
    how = {"journal": path} if journalled else {}
    local.inject(Fault(**REPLAY, action="status", status=409))
    local.inject(Fault(**REPLAY, when="after", action="drop"))
    outcomes = await collect(omium.executions.replay_many(concurrency=1, **how))
    assert [outcome.state for outcome in outcomes] == ["rejected", "unknown"] + ["replayed"] * 6
    assert isinstance(outcomes[0].error, ConflictError)
    assert outcomes[1].error.outcome_unknown
    if journalled:  # the unknown one was applied, as its state shows by now
        again = await collect(omium.executions.replay_many(**how))
        assert states(again) == {("rejected", True): 1, ("replayed", True): 7}
    assert local.counts[SENT] == 8


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
@pytest.mark.parametrize("where", [REPLAY, {"method": "GET", "path": "/executions/*"}], ids=["replay", "read"])
async def test_a_refused_key_ends_the_batch(omium, ids, local, path, journalled, where):
    how = {"journal": path} if journalled else {}
    local.inject(Fault(**where, action="status", status=401))
    found, error = await ended(omium.executions.replay_many(concurrency=1, **how))
    assert [(outcome.state, type(outcome.error)) for outcome in found] == [("rejected", AuthenticationError)]
    assert (type(error), error.outcome) == (AuthenticationError, "not_applied")
    again = await collect(omium.executions.replay_many(**how))
    assert states(again) == {("replayed", False): 6}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_error_that_ends_the_batch_does_not_wait_for_a_retry_after(omium, local, dry_run):
    in_an_hour = {"Retry-After": "3600"}
    local.inject(Fault(method="GET", path="/executions/exec_1", action="status", status=429, headers=in_an_hour))
    local.inject(Fault(method="GET", path="/executions/exec_2", action="status", status=401))
    once = omium.with_options(max_retries=0)
    with pytest.raises(AuthenticationError):
        async with asyncio.timeout(30):
            await collect(once.executions.replay_many(execution_ids=["exec_1", "exec_2"], dry_run=dry_run))


# -- with a journal ----------------------------------------------------------------------------------------------------


async def test_outcomes_in_the_journal_come_first_and_are_not_sent_again(omium, runs, local, path):
    await fail(omium, 30)
    local.inject(Fault(**REPLAY, action="status", status=409))
    first = await collect(omium.executions.replay_many(journal=path, limit=15, concurrency=1))
    assert states(first) == {("rejected", False): 1, ("replayed", False): 14}
    await all_failed(omium, 30)
    second = await collect(omium.executions.replay_many(journal=path))
    assert [outcome.resumed for outcome in second] == [True] * 15 + [False] * 15
    assert local.counts[SENT] == 30
    assert isinstance(second[0].error, ConflictError)
    by_id = {outcome.execution.id: outcome for outcome in first}
    for outcome in second[1:15]:
        assert outcome.result == by_id[outcome.execution.id].result
        assert (outcome.execution.status, outcome.execution.workflow_id) == ("failed", "fails")
    await all_failed(omium, 30)
    third = await collect(omium.executions.replay_many(journal=path, limit=30))
    assert [outcome.resumed for outcome in third] == [True] * 30
    assert max(runs.values()) == 2


async def test_the_journal_of_named_executions(omium, local, ids, path):
    local.inject(Fault(**REPLAY, status=409))
    first = await collect(omium.executions.replay_many(ids[:4], journal=path, concurrency=1))
    assert Counter(outcome.state for outcome in first) == {"replayed": 3, "rejected": 1}
    limited = await collect(omium.executions.replay_many(ids, journal=path, limit=4))
    assert by_id(limited) == by_id(first)
    planned = await collect(omium.executions.replay_many(ids, journal=path, dry_run=True, limit=5))
    assert by_id(planned) == {**by_id(first), ids[4]: "planned"}
    again = await collect(omium.executions.replay_many(ids[:5], journal=path))
    assert by_id(again) == {**by_id(first), ids[4]: "replayed"}
    assert [outcome.resumed for outcome in again] == [True] * 4 + [False]
    assert local.counts[SENT] == 5


async def interrupt(omium, local, path, when):
    """Leave two replays without an outcome, before or after the service has applied them."""
    local.inject(Fault(**REPLAY, when=when, action="stall", times=None))
    seen = local.counts.get(SENT, 0)
    reading = asyncio.create_task(collect(omium.executions.replay_many(journal=path, concurrency=2)))
    while local.counts.get(SENT, 0) < seen + 2:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])
    local.clear_faults()


async def test_replays_in_flight_when_a_run_died_are_compared_and_never_sent_again(omium, runs, local, path):
    await fail(omium, 20)
    for when in ("before", "after"):
        await interrupt(omium, local, path, when)
    await all_failed(omium, 20)
    local.inject(Fault(method="GET", path="/executions/*", action="status", status=401))
    _, error = await ended(omium.executions.replay_many(journal=path))
    assert error.outcome == "unknown"
    outcomes = await collect(omium.executions.replay_many(journal=path))
    assert [outcome.resumed for outcome in outcomes] == [True] * 4 + [False] * 16
    assert sorted(outcome.state for outcome in outcomes[:4]) == ["replayed"] * 2 + ["unknown"] * 2
    unknown = [outcome.error for outcome in outcomes if outcome.state == "unknown"]
    assert all("has not changed since" in str(error) and error.outcome_unknown for error in unknown)
    assert max(runs.values()) == 2
    await all_failed(omium, 20)
    again = await collect(omium.executions.replay_many(journal=path))
    assert states(again) == {("replayed", True): 18, ("unknown", True): 2}


async def test_a_full_disk_ends_the_batch_and_nothing_is_replayed_twice(omium, runs, path, limit_files):
    found = []
    await fail(omium, 30)
    with pytest.raises(JournalError):
        async for outcome in omium.executions.replay_many(concurrency=2, journal=path):
            found.append(outcome)
            if len(found) == 3:
                limit_files(path.with_name("journal-wal").stat().st_size)
    assert 3 <= len(found) < 30
    limit_files(resource.RLIM_INFINITY)
    outcomes = await collect(omium.executions.replay_many(journal=path))
    assert {outcome.execution.id for outcome in found} <= {outcome.execution.id for outcome in outcomes}
    assert max(runs.values()) <= 2


async def test_an_outcome_that_cannot_be_recorded_is_yielded_before_the_error(omium, runs, local, path, limit_files):
    await fail(omium, 1)
    local.inject(Fault(**REPLAY, when="after", action="delay", delay=0.2))
    replaying = asyncio.create_task(ended(omium.executions.replay_many(journal=path)))
    while SENT not in local.counts:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    limit_files(path.with_name("journal-wal").stat().st_size)
    found, error = await replaying
    assert isinstance(error, JournalError)
    assert states(found) == {("replayed", False): 1}


async def test_a_journal_of_another_batch_is_rejected(omium, path):
    await collect(omium.executions.replay_many(workflow_id="fails", journal=path))
    for arguments in ({"workflow_id": "other"}, {"status": "paused"}, {"checkpoint_name": "first"}):
        with pytest.raises(JournalError, match="belongs to another batch"):
            await collect(omium.executions.replay_many(**({"workflow_id": "fails"} | arguments), journal=path))
    with pytest.raises(JournalError, match="belongs to another batch"):
        await collect(omium.executions.replay_many(["exec_1"], journal=path))
    with pytest.raises(JournalError, match="belongs to a batch of"):
        await collect(omium.executions.create_many([], journal=path))

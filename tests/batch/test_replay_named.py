"""Replays of executions that are named by their ids."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from omium_async import ExecutionRequest, JournalError, NotFoundError
from omium_async.local import Fault

from .conftest import collect

REPLAY = "/executions/*/replay"


@pytest.fixture
async def ids(omium, local) -> list[str]:
    """Executions that have failed."""

    @local.workflow("fails")
    async def fails(run: Any) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    outcomes = await collect(omium.executions.create_many(ExecutionRequest("fails") for _ in range(6)))
    found = [outcome.execution.id for outcome in outcomes]
    for execution_id in found:
        await omium.executions.wait(execution_id, poll_interval=0.01)
    return found


def by_id(outcomes: Any) -> dict[str, str]:
    assert max(Counter(outcome.execution.id for outcome in outcomes).values()) == 1
    return {outcome.execution.id: outcome.state for outcome in outcomes}


@pytest.mark.parametrize("kind", ["list", "generator", "async"])
async def test_each_once_in_any_kind_of_iterable(omium, local, ids, kind):
    async def lazily():
        for execution_id in [*ids[:3], ids[0]]:
            yield execution_id

    given = {"list": [*ids[:3], ids[0]], "generator": (i for i in [*ids[:3], ids[0]]), "async": lazily()}[kind]
    outcomes = await collect(omium.executions.replay_many(given))
    assert by_id(outcomes) == dict.fromkeys(ids[:3], "replayed")
    assert all(outcome.execution.workflow_id == "fails" for outcome in outcomes)  # as it was seen before
    assert local.counts[f"POST {REPLAY}"] == 3


@pytest.mark.parametrize("journalled", [False, True], ids=["plain", "journal"])
async def test_an_unknown_one_is_rejected(omium, ids, tmp_path, journalled):
    how = {"journal": tmp_path / "replays.journal"} if journalled else {}
    outcomes = await collect(omium.executions.replay_many(["exec_nobody", ids[0]], concurrency=1, **how))
    assert by_id(outcomes) == {ids[0]: "replayed", "exec_nobody": "rejected"}
    assert isinstance(next(o.error for o in outcomes if o.state == "rejected"), NotFoundError)


async def test_a_limit(omium, ids):
    assert len(await collect(omium.executions.replay_many(ids, limit=2))) == 2


@pytest.mark.parametrize(
    "filters", [{"workflow_id": "fails"}, {"status": "paused"}, {"status": None}, {"metadata": {"a": 1}}]
)
async def test_no_filter_beside_them(omium, ids, filters):
    with pytest.raises(ValueError, match="execution_ids"):
        omium.executions.replay_many(ids, **filters)


@pytest.mark.parametrize("bad", ["exec_1", ["a", ""], [".."], {"a": 1}])
async def test_what_cannot_be_ids_is_refused_at_the_call(omium, bad):
    with pytest.raises((TypeError, ValueError)):
        omium.executions.replay_many(bad)


async def test_a_dry_run_looks_and_sends_nothing(omium, local, ids):
    outcomes = await collect(omium.executions.replay_many([*ids[:2], "exec_nobody"], dry_run=True))
    assert by_id(outcomes) == {**dict.fromkeys(ids[:2], "planned"), "exec_nobody": "rejected"}
    assert f"POST {REPLAY}" not in local.counts


async def test_with_a_journal(omium, local, ids, tmp_path):
    journal = tmp_path / "replays.journal"
    local.inject(Fault(method="POST", path=REPLAY, status=409))
    first = await collect(omium.executions.replay_many(ids[:4], journal=journal, concurrency=1))
    assert Counter(outcome.state for outcome in first) == {"replayed": 3, "rejected": 1}
    limited = await collect(omium.executions.replay_many(ids, journal=journal, limit=4))  # the four of before
    assert by_id(limited) == by_id(first)
    assert local.counts[f"POST {REPLAY}"] == 4
    planned = await collect(omium.executions.replay_many(ids, journal=journal, dry_run=True, limit=5))
    assert by_id(planned) == {**by_id(first), ids[4]: "planned"}
    again = await collect(omium.executions.replay_many(ids[:5], journal=journal))
    assert by_id(again) == {**by_id(first), ids[4]: "replayed"}
    assert [outcome.resumed for outcome in again] == [True] * 4 + [False]
    assert local.counts[f"POST {REPLAY}"] == 5
    with pytest.raises(JournalError, match="belongs to another batch"):
        await collect(omium.executions.replay_many(workflow_id="fails", journal=journal))

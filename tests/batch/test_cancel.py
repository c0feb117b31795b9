"""cancel_many: filters or ids, a dry run, and an outcome for each execution."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from omium_async import AuthenticationError, ConflictError, NotFoundError
from omium_async.local import Fault

from .conftest import collect, ended, failed_executions

PATCH = {"method": "PATCH", "path": "/executions/*/status"}
SENT = "PATCH /executions/*/status"


@pytest.fixture
async def failed(omium, local) -> list[str]:
    return await failed_executions(omium, local, 3)


@pytest.fixture
async def pending(omium, failed) -> list[str]:
    return [(await omium.executions.create("work")).id for _ in range(4)]


def by_id(outcomes: list[Any]) -> dict[str, str]:
    assert set(Counter(outcome.execution.id for outcome in outcomes).values()) <= {1}
    return {outcome.execution.id: outcome.state for outcome in outcomes}


async def test_pending_and_running_executions_are_cancelled_by_default(omium, local, pending):
    @local.workflow("runs")
    async def runs(_: Any) -> None:
        await asyncio.Event().wait()

    running = (await omium.executions.create("runs")).id
    outcomes = await collect(omium.executions.cancel_many())
    assert by_id(outcomes) == dict.fromkeys([*pending, running], "cancelled")
    assert all(outcome.result.cancelled and outcome.error is None for outcome in outcomes)
    assert await omium.executions.count(status="cancelled") == local.counts[SENT] == 5


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_execution_that_has_ended_is_settled_and_nothing_is_sent(omium, local, pending, failed, dry_run):
    outcomes = await collect(omium.executions.cancel_many(status=None, dry_run=dry_run))
    expected = dict.fromkeys(pending, "planned" if dry_run else "cancelled")
    assert by_id(outcomes) == {**dict.fromkeys(failed, "settled"), **expected}
    assert local.counts.get(SENT, 0) == (0 if dry_run else 4)
    assert not any(outcome.result.cancelled for outcome in outcomes if outcome.state == "settled")


@pytest.mark.parametrize("dry_run", [False, True])
async def test_ids_are_read_first_and_an_unknown_one_is_rejected(omium, local, pending, failed, dry_run):
    ids = [pending[0], failed[0], "exec_missing", pending[0]]
    outcomes = await collect(omium.executions.cancel_many(ids, dry_run=dry_run))
    expected = {pending[0]: "planned" if dry_run else "cancelled", failed[0]: "settled", "exec_missing": "rejected"}
    assert by_id(outcomes) == expected
    assert isinstance(next(o.error for o in outcomes if o.state == "rejected"), NotFoundError)
    assert local.counts.get(SENT, 0) == (0 if dry_run else 1)


async def test_an_execution_that_ends_between_the_read_and_the_write_is_settled(omium, local, failed):
    before = {"id": failed[0], "status": "running"}
    local.inject(Fault(method="GET", path=f"/executions/{failed[0]}", status=200, body=before))
    outcomes = await collect(omium.executions.cancel_many([failed[0]]))
    assert by_id(outcomes) == {failed[0]: "settled"}
    assert local.counts[SENT] == 1


async def test_refused_and_unknown_writes_do_not_end_the_batch(omium, local, pending):
    local.inject(Fault(**PATCH, status=409))
    local.inject(Fault(**PATCH, when="after", action="drop"))
    local.inject(Fault(**PATCH, status=422))
    outcomes = await collect(omium.executions.cancel_many(concurrency=1))
    assert [outcome.state for outcome in outcomes] == ["rejected", "unknown", "rejected", "cancelled"]
    assert isinstance(outcomes[0].error, ConflictError)
    assert outcomes[1].error.outcome_unknown


async def test_a_refused_key_ends_the_batch_with_the_outcome_of_all_its_writes(omium, local, pending):
    outcomes = omium.executions.cancel_many(concurrency=1)
    assert (await anext(outcomes)).state == "cancelled"
    local.inject(Fault(**PATCH, status=401))
    _, error = await ended(outcomes)
    assert (type(error), error.outcome) == (AuthenticationError, "applied")


async def test_a_limit_counts_executions(omium, local, pending):
    assert len(await collect(omium.executions.cancel_many(limit=3))) == 3
    assert local.counts[SENT] == 3


async def test_ids_and_filters_exclude_each_other_at_the_call(omium):
    for filters in ({"status": "running"}, {"status": None}, {"workflow_id": "w"}, {"metadata": {"a": 1}}):
        with pytest.raises(ValueError, match="execution_ids"):
            omium.executions.cancel_many(["exec_1"], **filters)
    with pytest.raises(ValueError, match="concurrency"):
        omium.executions.cancel_many(concurrency=0)

"""delete_many: filters or ids, a dry run, and an outcome for each execution."""

from __future__ import annotations

from collections import Counter

import pytest

from omium_async import APIStatusError, AuthenticationError, ConflictError, NotFoundError
from omium_async.local import Fault

from .conftest import collect, ended, failed_executions

DELETE = {"method": "DELETE", "path": "/executions/*"}
SENT = "DELETE /executions/*"


@pytest.fixture
async def failed(omium, local) -> list[str]:
    return await failed_executions(omium, local, 3)


def by_id(outcomes) -> dict[str, str]:
    assert set(Counter(outcome.execution.id for outcome in outcomes).values()) <= {1}
    return {outcome.execution.id: outcome.state for outcome in outcomes}


@pytest.mark.parametrize("dry_run", [False, True])
async def test_executions_that_have_ended_are_deleted_by_default(omium, local, failed, dry_run):
    pending = (await omium.executions.create("work")).id
    outcomes = await collect(omium.executions.delete_many(dry_run=dry_run))
    assert by_id(outcomes) == dict.fromkeys(failed, "planned" if dry_run else "deleted")
    assert local.counts.get(SENT, 0) == (0 if dry_run else 3)
    left = {row.id async for row in omium.executions.list()}
    assert left == ({*failed, pending} if dry_run else {pending})


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_unknown_id_is_absent_and_a_pending_one_is_rejected(omium, local, failed, dry_run):
    pending = (await omium.executions.create("work")).id
    outcomes = await collect(
        omium.executions.delete_many([failed[0], "exec_missing", pending, failed[0]], dry_run=dry_run)
    )
    states = by_id(outcomes)
    if dry_run:
        assert states == {failed[0]: "planned", "exec_missing": "absent", pending: "planned"}
        assert SENT not in local.counts
    else:
        assert states == {failed[0]: "deleted", "exec_missing": "absent", pending: "rejected"}
        errors = {outcome.execution.id: type(outcome.error) for outcome in outcomes}
        assert errors == {failed[0]: type(None), "exec_missing": NotFoundError, pending: ConflictError}


async def test_a_dropped_response_is_unknown_and_does_not_end_the_batch(omium, local, failed):
    local.inject(Fault(**DELETE, when="after", action="drop"))
    outcomes = await collect(omium.executions.delete_many(concurrency=1))
    assert [outcome.state for outcome in outcomes] == ["unknown", "deleted", "deleted"]


async def test_an_address_without_the_route_ends_the_batch_and_marks_nothing_absent(omium, local, failed):
    local.inject(Fault(**DELETE, action="status", status=404, body=b'{"detail": "Not Found"}', times=None))
    outcomes, error = await ended(omium.executions.delete_many(concurrency=1))
    assert [outcome.state for outcome in outcomes] == ["rejected"]
    assert type(error) is APIStatusError
    assert error.outcome == "not_applied"


async def test_a_refused_key_ends_the_batch_with_the_outcome_of_all_its_writes(omium, local, failed):
    outcomes = omium.executions.delete_many(concurrency=1)
    assert (await anext(outcomes)).state == "deleted"
    local.inject(Fault(**DELETE, status=401))
    _, error = await ended(outcomes)
    assert (type(error), error.outcome) == (AuthenticationError, "applied")


async def test_filters_together_with_ids_are_rejected(omium):
    with pytest.raises(ValueError, match="filter"):
        omium.executions.delete_many(["exec_1"], status="failed")

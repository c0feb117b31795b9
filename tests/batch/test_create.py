"""`create_many` without a journal: it reads lazily, limits concurrency, and yields one outcome for each item."""

from __future__ import annotations

import asyncio
import gc

import pytest

from omium_async import (
    AuthenticationError,
    BadRequestError,
    ExecutionRequest,
    PermissionDeniedError,
)
from omium_async.local import Fault

from .conftest import applied, collect, numbered, states

CREATE = {"method": "POST", "path": "/executions"}


async def test_each_request_is_applied_once_and_has_one_outcome(omium):
    outcomes = await collect(omium.executions.create_many(numbered(200)))
    assert states(outcomes) == {("created", False): 200}
    assert await applied(omium) == dict.fromkeys(range(200), 1)
    by_id = {row.id: row.input_data["number"] async for row in omium.executions.list()}
    for outcome in outcomes:
        assert by_id[outcome.execution.id] == outcome.request.input_data["number"]
        assert outcome.error is None


async def test_items_that_cannot_be_sent_are_rejected_and_do_not_end_the_batch(omium, local):
    class Broken(dict):
        def items(self):
            raise RuntimeError("broken")

        __iter__ = keys = __len__ = __eq__ = items

    items = [
        ExecutionRequest("work", {"number": 0}),
        ExecutionRequest("work", {"set": {1}}),
        ExecutionRequest("work", {"nan": float("nan")}),
        ExecutionRequest(""),
        ExecutionRequest(7),  # type: ignore[arg-type]
        ExecutionRequest("work", metadata=[1]),  # type: ignore[arg-type]
        ExecutionRequest("work", key=""),
        ExecutionRequest("work", key=5),  # type: ignore[arg-type]
        ExecutionRequest("work", Broken(a={1})),
        ExecutionRequest("work", {"number": 1}),
    ]
    outcomes = await collect(omium.executions.create_many(items))
    assert len(outcomes) == len(items)
    rejected = [outcome for outcome in outcomes if outcome.state == "rejected"]
    assert len(rejected) == 8
    assert all(isinstance(outcome.error, (TypeError, ValueError)) for outcome in rejected)
    assert any("input_data.set" in str(outcome.error) for outcome in rejected)
    assert await applied(omium) == {0: 1, 1: 1}
    assert local.counts["POST /executions"] == 2


async def test_an_item_that_is_not_a_request_ends_the_batch_after_the_outcomes_known_by_then(omium, local):
    item, found = {"workflow_id": "work"}, []
    with pytest.raises(TypeError, match="is not an ExecutionRequest"):
        async for outcome in omium.executions.create_many([*numbered(5), item, *numbered(9, 5)], concurrency=2):
            found.append(outcome)  # noqa: PERF401
    assert states(found) == {("created", False): local.counts["POST /executions"]}
    assert 4 <= len(found) <= 6


async def test_refused_and_unknown_items_do_not_end_the_batch(omium, local):
    local.inject(Fault(**CREATE, action="status", status=400))
    local.inject(Fault(**CREATE, when="after", action="drop"))
    local.inject(Fault(**CREATE, action="status", status=403, body=b"<html><title>Blocked</title></html>"))
    outcomes = await collect(omium.executions.create_many(numbered(20), concurrency=1))
    assert [outcome.state for outcome in outcomes[:4]] == ["rejected", "unknown", "rejected", "created"]
    assert isinstance(outcomes[0].error, BadRequestError)
    assert outcomes[1].error.outcome_unknown
    assert isinstance(outcomes[2].error, PermissionDeniedError)
    assert await applied(omium) == {1: 1} | dict.fromkeys(range(3, 20), 1)


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
async def test_a_refused_key_ends_the_batch_after_the_outcomes_of_calls_in_flight(omium, local, status, kind):
    taken = []

    def requests():
        for request in numbered(1000):
            taken.append(request)
            yield request

    outcomes = omium.executions.create_many(requests(), concurrency=4)
    found = [await anext(outcomes) for _ in range(20)]
    local.inject(Fault(**CREATE, action="status", status=status))
    with pytest.raises(kind):
        async for outcome in outcomes:
            found.append(outcome)  # noqa: PERF401 - what came before the error counts
    assert states(found) == {("created", False): len(found) - 1, ("rejected", False): 1}
    # also the calls that were in flight when the key was refused
    assert sum((await applied(omium)).values()) == len(found) - 1 < 200
    assert len(taken) < 300


async def test_an_error_of_the_iterable_is_raised_after_the_outcomes(omium):
    def requests():
        yield from numbered(50)
        raise LookupError("the file is broken here")

    async def async_requests():
        for request in numbered(50):
            yield request
        raise LookupError("the file is broken here")

    for broken in (requests(), async_requests()):
        found = []
        with pytest.raises(LookupError, match="broken here"):
            async for outcome in omium.executions.create_many(broken):
                found.append(outcome)  # noqa: PERF401
        assert states(found) == {("created", False): 50}


async def test_a_cancellation_inside_the_iterable_is_raised_and_is_not_the_end_of_the_iterable(omium):
    async def requests():
        for request in numbered(5):
            yield request
        raise asyncio.CancelledError

    found = []
    with pytest.raises(asyncio.CancelledError):
        async for outcome in omium.executions.create_many(requests()):
            found.append(outcome)  # noqa: PERF401
    assert states(found) == {("created", False): 5}


async def test_a_batch_that_is_never_iterated_sends_nothing(omium, local):
    omium.executions.create_many(numbered(3))
    gc.collect()
    await asyncio.sleep(0)
    assert "POST /executions" not in local.counts


async def test_bad_arguments_are_rejected_at_the_call(omium):
    create = omium.executions.create_many
    for kind, arguments in (
        (TypeError, {"requests": 5}),
        (TypeError, {"requests": "abc"}),
        (TypeError, {"concurrency": 2.0}),
        (ValueError, {"concurrency": 0}),
        (TypeError, {"journal": 5}),
        (ValueError, {"journal": ""}),
        (TypeError, {"settle": "1"}),
        (ValueError, {"settle": -1}),
    ):
        with pytest.raises(kind):
            create(**({"requests": []} | arguments))


async def test_keys_are_sent_unchanged_or_as_a_digest(omium, local):
    keys = ["order-17", "with space", "ümlaut", "x" * 300, "line\nbreak"]
    requests = [ExecutionRequest("work", key=key) for key in keys]
    outcomes = await collect(omium.executions.create_many(requests, concurrency=1))
    assert states(outcomes) == {("created", False): 5}
    sent = [seen.idempotency_key for seen in local.requests if seen.method == "POST"]
    assert sent[:2] == keys[:2]
    assert all(len(key) == 32 and key.isalnum() for key in sent[2:])
    assert len(set(sent)) == 5


@pytest.mark.parametrize("headers", [{}, {"retry-after-ms": "10"}])
async def test_items_refused_with_a_429_are_sent_again(omium, local, headers):
    for _ in range(10):
        local.inject(Fault(**CREATE, action="status", status=429, headers=headers))
    impatient = omium.with_options(max_retries=0, backoff=(0, 0))
    outcomes = await collect(impatient.executions.create_many(numbered(30), concurrency=8))
    assert states(outcomes) == {("created", False): 30}
    assert await applied(omium) == dict.fromkeys(range(30), 1)

"""create_many without a journal: lazy, bounded, one outcome an item."""

from __future__ import annotations

import asyncio
import gc

import pytest

from omium_async import (
    AsyncOmium,
    AuthenticationError,
    BadRequestError,
    ExecutionRequest,
    PermissionDeniedError,
)
from omium_async._caller import Caller
from omium_async.local import Fault

from .conftest import applied, collect, numbered, states

CREATE = {"method": "POST", "path": "/executions"}


async def test_each_request_is_applied_once_and_has_one_outcome(omium):
    outcomes = await collect(omium.executions.create_many(numbered(500)))
    assert states(outcomes) == {("created", False): 500}
    assert await applied(omium) == dict.fromkeys(range(500), 1)
    by_id = {row.id: row.input_data["number"] async for row in omium.executions.list()}
    for outcome in outcomes:
        assert by_id[outcome.execution.id] == outcome.request.input_data["number"]
        assert outcome.error is None


async def test_an_async_iterable_is_read_as_lazily(omium):
    read = []

    async def requests():
        for request in numbered(500):
            await asyncio.sleep(0)
            read.append(request)
            yield request

    outcomes = omium.executions.create_many(requests(), concurrency=2)
    first = await anext(outcomes)
    assert first.state == "created"
    await asyncio.sleep(0.1)  # what would be read ahead is read by now
    assert 1 < len(read) <= 1 + 4 * 2 + 64
    await outcomes.aclose()
    outcomes = await collect(omium.executions.create_many(requests(), concurrency=50))
    assert states(outcomes) == {("created", False): 500}


async def test_bad_items_are_outcomes_and_end_nothing(omium, local):
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
    assert sum(isinstance(outcome.error, (TypeError, ValueError)) for outcome in rejected) == 7
    assert any("input_data.set" in str(outcome.error) for outcome in rejected)
    assert await applied(omium) == {0: 1, 1: 1}
    assert local.counts["POST /executions"] == 2


@pytest.mark.parametrize("item", [{"workflow_id": "work"}, "no request", None, 5])
async def test_an_item_that_is_not_a_request_ends_the_batch_after_what_is_known(omium, local, item):
    found = []
    with pytest.raises(TypeError, match="is not an ExecutionRequest"):
        async for outcome in omium.executions.create_many([*numbered(5), item, *numbered(9, 5)], concurrency=2):
            found.append(outcome)  # noqa: PERF401
    assert states(found) == {("created", False): local.counts["POST /executions"]}
    assert 4 <= len(found) <= 6


async def test_refused_and_unknown_items_end_nothing_either(omium, local):
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
async def test_a_refused_key_ends_the_batch_after_what_is_known(omium, local, status, kind):
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
    assert states(found) == {("created", False): len(found)}
    # each that was applied is told, also those that were under way when the key was refused
    assert sum((await applied(omium)).values()) == len(found) < 200
    assert len(taken) < 300


async def test_an_error_of_the_iterable_comes_after_the_outcomes(omium):
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


async def test_never_more_calls_than_concurrency(omium, local, monkeypatch):
    local.inject(Fault(**CREATE, action="delay", delay=0.01, times=None))
    now, most = 0, 0
    write = Caller.write

    async def counting(*arguments):
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await write(*arguments)
        finally:
            now -= 1

    monkeypatch.setattr(Caller, "write", counting)
    assert len(await collect(omium.executions.create_many(numbered(200), concurrency=7))) == 200
    assert most == 7


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("way", ["break", "aclose", "cancel", "error"])
async def test_leaving_early_leaves_nothing_behind(local, way):
    local.inject(Fault(**CREATE, action="delay", delay=0.02, times=None))
    async with AsyncOmium(local.api_key, base_url=local.url) as omium:
        before = _own_tasks()
        outcomes = omium.executions.create_many(numbered(10_000), concurrency=8)

        async def read():
            async for _ in outcomes:
                if way == "break":
                    return
                if way == "error":
                    raise LookupError
                if way == "aclose":
                    break
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        if way == "cancel":
            while "POST /executions" not in local.counts:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.001)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == (way == "cancel")
        assert isinstance(None if task.cancelled() else task.exception(), LookupError) == (way == "error")
        await outcomes.aclose()
        del task
        assert _own_tasks() == before
        await asyncio.sleep(0.05)  # what had gone out before the end arrives
        seen = local.counts["POST /executions"]
        await asyncio.sleep(0.05)
        assert local.counts["POST /executions"] == seen < 100


def _own_tasks() -> set[str]:
    gc.collect()
    return {name for task in asyncio.all_tasks() if "Pool" in (name := task.get_coro().__qualname__)}


async def test_a_batch_never_iterated_does_nothing(omium, local):
    omium.executions.create_many(numbered(3))
    gc.collect()
    await asyncio.sleep(0)
    assert "POST /executions" not in local.counts


async def test_bad_arguments_are_refused_at_the_call(omium):
    create = omium.executions.create_many
    for kind, arguments in (
        (TypeError, {"requests": 5}),
        (TypeError, {"requests": "abc"}),
        (TypeError, {"requests": ExecutionRequest("work")}),
        (TypeError, {"requests": {"workflow_id": "work"}}),
        (TypeError, {"concurrency": 2.0}),
        (TypeError, {"concurrency": True}),
        (ValueError, {"concurrency": 0}),
        (TypeError, {"journal": 5}),
        (TypeError, {"journal": b"path"}),
        (ValueError, {"journal": ""}),
        (TypeError, {"settle": "1"}),
        (ValueError, {"settle": -1}),
        (ValueError, {"settle": float("inf")}),
    ):
        with pytest.raises(kind):
            create(**({"requests": []} | arguments))


async def test_an_empty_batch_ends(omium):
    async def nothing():
        return
        yield

    assert await collect(omium.executions.create_many([])) == []
    assert await collect(omium.executions.create_many(nothing())) == []


async def test_keys_travel_as_they_are_or_as_a_digest(omium, local):
    keys = ["order-17", "with space", "ümlaut", "x" * 300, "line\nbreak"]
    requests = [ExecutionRequest("work", key=key) for key in keys]
    outcomes = await collect(omium.executions.create_many(requests, concurrency=1))
    assert states(outcomes) == {("created", False): 5}
    sent = [seen.idempotency_key for seen in local.requests if seen.method == "POST"]
    assert sent[:2] == keys[:2]
    assert all(len(key) == 32 and key.isalnum() for key in sent[2:])
    assert len(set(sent)) == 5


class TestRateLimits:
    async def test_a_429_is_waited_for(self, omium, local):
        for _ in range(30):
            local.inject(Fault(**CREATE, action="status", status=429, headers={"retry-after-ms": "10"}))
        outcomes = await collect(omium.executions.create_many(numbered(60), concurrency=16))
        assert states(outcomes) == {("created", False): 60}
        assert await applied(omium) == dict.fromkeys(range(60), 1)

    @pytest.mark.parametrize("headers", [{}, {"retry-after-ms": "10"}])
    async def test_what_was_refused_for_now_goes_back_in_line_also_without_retries(self, omium, local, headers):
        local.inject(Fault(**CREATE, action="status", status=429, headers=headers))
        impatient = omium.with_options(max_retries=0, backoff=(0, 0))
        outcomes = await collect(impatient.executions.create_many(numbered(3), concurrency=1))
        assert states(outcomes) == {("created", False): 3}
        assert await applied(omium) == dict.fromkeys(range(3), 1)

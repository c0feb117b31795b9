"""Batches that are left early: by ``break``, or in cancelled scopes of anyio, which cancel again at each iteration."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from omium_async import Journal
from omium_async._tasks import wait_until_done
from omium_async.local import Fault

from .conftest import collect, failed_executions, numbered

SOON = 0.15


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.journal"


@pytest.fixture(params=["create_many", "create_many, journal", "replay_many", "replay_many, journal", "cancel_many"])
async def make(request, omium, local, path):
    """Returns a new batch at each call."""
    name, _, journalled = request.param.partition(", ")
    how = {"journal": path} if journalled else {}
    if name == "create_many":
        return lambda: omium.executions.create_many(numbered(60), concurrency=8, **how)
    ids = await failed_executions(omium, local, 12)
    if name == "replay_many":
        return lambda: omium.executions.replay_many(ids, concurrency=4, **how)
    return lambda: omium.executions.cancel_many(ids)


@pytest.fixture(autouse=True)
async def nothing_is_left(request):
    """No task of the client goes on after a test; those of the server in the same loop may."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0.02)
    left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before]
    assert not [name for name in left if name.startswith(("Pool", "Prefetch", "Calls"))]


async def test_a_scope_that_is_cancelled_while_a_request_is_in_flight(make, local):
    local.inject(Fault(action="stall", times=None))
    async with asyncio.timeout(30):
        with anyio.move_on_after(SOON) as scope:
            await collect(make())
    assert scope.cancelled_caught


async def test_a_scope_that_was_cancelled_before_the_first_result(make):
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with aclosing(make()) as found:
                async for _ in found:
                    await anyio.sleep(1)
    assert scope.cancelled_caught


async def test_a_scope_that_is_cancelled_in_the_body_of_the_loop(make):
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            async with aclosing(make()) as found:
                async for _ in found:
                    scope.cancel()
                    await anyio.sleep(1)
    assert scope.cancelled_caught


@pytest.mark.parametrize("end", ["break", "raise", "cancel"])
async def test_a_batch_that_is_left_sends_nothing_more(omium, local, end):
    local.inject(Fault(method="POST", action="delay", delay=0.02, times=None))

    async def read() -> None:
        async with aclosing(omium.executions.create_many(numbered(10_000), concurrency=8)) as outcomes:
            async for _ in outcomes:
                if end == "break":
                    break
                if end == "raise":
                    raise LookupError
                asyncio.current_task().cancel()
                await asyncio.sleep(1)

    task = asyncio.create_task(read())
    await asyncio.wait([task])
    assert task.cancelled() == (end == "cancel")
    await asyncio.sleep(0.05)  # requests that had been sent before the end arrive
    seen = local.counts["POST /executions"]
    await asyncio.sleep(0.05)
    assert local.counts["POST /executions"] == seen < 100
    with contextlib.suppress(LookupError, asyncio.CancelledError):
        task.result()


async def test_a_journal_that_another_batch_holds_is_waited_for_no_longer_than_the_scope(omium, path):
    holder = omium.executions.create_many(numbered(60), journal=path)
    await anext(holder)
    async with asyncio.timeout(30):
        with anyio.move_on_after(SOON) as scope:
            await collect(omium.executions.create_many(numbered(1), journal=Journal(path, wait=60)))
    assert scope.cancelled_caught
    await holder.aclose()


async def test_after_a_cancelled_scope_the_journal_is_free_and_holds_all_outcomes(omium, path):
    known = []
    with anyio.CancelScope() as scope:
        async with aclosing(omium.executions.create_many(numbered(60), journal=path)) as outcomes:
            async for outcome in outcomes:
                known.append(outcome.execution.id)
                scope.cancel()
    again = await collect(omium.executions.create_many(numbered(60), journal=path, settle=0.2))
    assert {outcome.state for outcome in again} == {"created"}
    assert {outcome.execution.id for outcome in again if outcome.resumed} >= set(known)


async def test_a_journalled_batch_that_was_left_by_break_starts_again_at_once(omium, path):
    """The generator is not closed: it ends in a task of asyncio while the next start waits for the journal."""

    def start() -> Any:
        return omium.executions.create_many(numbered(60), concurrency=8, journal=path, settle=0.2)

    for _ in range(3):
        async for _outcome in start():
            break
    found = await collect(start())
    assert {outcome.state for outcome in found} == {"created"}
    assert await omium.executions.count() == len(found) == 60
    assert any(outcome.resumed for outcome in found)


async def test_a_client_is_closed_in_a_cancelled_scope(omium):
    await omium.executions.count()
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await omium.aclose()


async def test_waiting_in_a_cancelled_scope_does_not_keep_the_event_loop_busy(monkeypatch):
    end = asyncio.get_running_loop().create_future()
    wait, waits = asyncio.wait, 0

    async def counted(futures):
        nonlocal waits
        waits += 1
        return await wait(futures)

    async def end_later() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        end.set_result(None)

    monkeypatch.setattr(asyncio, "wait", counted)
    later = asyncio.create_task(end_later())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await wait_until_done([end])
    assert later.done()
    assert waits <= 2  # without a shield, a hundred


async def test_a_cancellation_is_raised_once_and_after_the_end():
    end = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(wait_until_done([end]))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    end.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await waiting

"""Cancelled scopes of anyio, which cancel anew at each turn of the loop, end everything that waits while it closes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from omium_async import ExecutionRequest
from omium_async._tasks import wait_until_done
from omium_async.local import Fault

from .conftest import collect, numbered

STALL = Fault(action="stall", times=None)
SOON = 0.15


async def failed_ones(omium: Any, local: Any, count: int) -> list[str]:
    @local.workflow("fails")
    async def fails(run: Any) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    created = await collect(omium.executions.create_many(ExecutionRequest("fails") for _ in range(count)))
    ids = [outcome.execution.id for outcome in created]
    for execution_id in ids:
        await omium.executions.wait(execution_id, poll_interval=0.01)
    return ids


APIS = {
    "create_many": lambda omium, _, __: omium.executions.create_many(numbered(60), concurrency=8),
    "create_many, journal": lambda omium, _, path: omium.executions.create_many(
        numbered(60), concurrency=8, journal=path
    ),
    "replay_many": lambda omium, _, __: omium.executions.replay_many(concurrency=8),
    "replay_many, journal": lambda omium, _, path: omium.executions.replay_many(concurrency=8, journal=path),
    "cancel_many": lambda omium, ids, __: omium.executions.cancel_many(ids),
    "replay_many, dry": lambda omium, _, __: omium.executions.replay_many(dry_run=True),
    "replay_many, journal, dry": lambda omium, _, path: omium.executions.replay_many(dry_run=True, journal=path),
    "wait_many": lambda omium, ids, __: omium.executions.wait_many(ids),
    "watch": lambda omium, ids, __: omium.executions.watch(ids[0], poll_interval=0.01),
    "list": lambda omium, _, __: omium.executions.list(page_size=20, prefetch=4),
    "pages": lambda omium, _, __: omium.executions.pages(page_size=20, prefetch=4),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.journal"


FAST = {"create_many, journal", "replay_many", "wait_many", "list"}


@pytest.fixture(params=[pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in APIS])
async def make(request, omium, local, path):
    ids = await failed_ones(omium, local, 30)
    if request.param.endswith("journal, dry"):
        await collect(omium.executions.replay_many(limit=2, journal=path))
    return lambda: APIS[request.param](omium, ids, path)


async def assert_nothing_is_left(before: set[asyncio.Task[Any]]) -> None:
    """No task of ours goes on; those of the server in the same loop may."""
    await asyncio.sleep(0)
    ours = ("Pool", "Prefetch", "Reconciler")
    left = [
        task for task in asyncio.all_tasks() - before if getattr(task.get_coro(), "__qualname__", "").startswith(ours)
    ]
    assert not left


async def test_a_scope_that_is_cancelled_while_a_request_is_under_way(make, local):
    local.inject(STALL)
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        with anyio.move_on_after(SOON) as scope:
            async with aclosing(make()) as found:
                async for _ in found:
                    pass
    assert scope.cancelled_caught
    await assert_nothing_is_left(before)


async def test_a_scope_that_was_cancelled_before_the_first_result(make):
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with aclosing(make()) as found:
                async for _ in found:
                    await anyio.sleep(1)
    assert scope.cancelled_caught
    await assert_nothing_is_left(before)


async def test_a_scope_that_is_cancelled_in_the_body_of_the_loop(make):
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            async with aclosing(make()) as found:
                async for _ in found:
                    scope.cancel()
                    await anyio.sleep(1)
    assert scope.cancelled_caught
    await assert_nothing_is_left(before)


async def test_a_task_of_a_group_whose_other_task_fails(make, local):
    local.inject(STALL)
    before = asyncio.all_tasks()

    async def fail() -> None:
        await anyio.sleep(SOON)
        raise KeyError

    async with asyncio.timeout(30):
        with pytest.raises(BaseExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(fail)
                group.start_soon(collect, make())
        assert caught.value.subgroup(KeyError)
    await assert_nothing_is_left(before)


async def test_a_generator_that_is_dropped_in_a_cancelled_scope(make):
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            async for _ in make():
                scope.cancel()
                break
            await anyio.sleep(1)
    assert scope.cancelled_caught
    await asyncio.sleep(0.05)
    await assert_nothing_is_left(before)


async def test_a_scope_that_is_cancelled_while_a_journal_is_waited_for(omium, path):
    from omium_async import Journal

    holder = omium.executions.create_many(numbered(60), journal=path)
    await anext(holder)
    async with asyncio.timeout(30):
        with anyio.move_on_after(SOON) as scope:
            await collect(omium.executions.create_many(numbered(1), journal=Journal(path, wait=60)))
    assert scope.cancelled_caught
    await holder.aclose()


async def test_after_a_cancelled_scope_the_journal_is_free_and_holds_what_was_known(omium, path):
    told = []
    with anyio.CancelScope() as scope:
        async with aclosing(omium.executions.create_many(numbered(60), journal=path)) as outcomes:
            async for outcome in outcomes:
                told.append(outcome.execution.id)
                scope.cancel()
    again = await collect(omium.executions.create_many(numbered(60), journal=path, settle=0.2))
    assert {outcome.state for outcome in again} == {"created"}
    assert {outcome.execution.id for outcome in again if outcome.resumed} >= set(told)


@pytest.mark.parametrize("kind", ["create_many", "replay_many"])
async def test_a_journalled_batch_that_was_left_by_break_starts_again_at_once(omium, local, path, kind):
    """Nobody closes the generator: it ends in a task of its own while the next start waits for the journal."""
    ids = await failed_ones(omium, local, 30) if kind == "replay_many" else []
    starts = {
        "create_many": lambda: omium.executions.create_many(numbered(60), concurrency=8, journal=path, settle=0.2),
        "replay_many": lambda: omium.executions.replay_many(ids, concurrency=8, journal=path),
    }
    for _ in range(3):
        async for _outcome in starts[kind]():
            break
    found = await collect(starts[kind]())
    assert {outcome.state for outcome in found} <= {"created", "replayed", "unknown"}
    assert len(found) == (60 if kind == "create_many" else 30)
    if kind == "create_many":
        assert await omium.executions.count() == 60
    assert any(outcome.resumed for outcome in found)


async def test_a_client_is_closed_in_a_cancelled_scope(omium):
    await omium.executions.count()
    async with asyncio.timeout(30):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await omium.aclose()


async def test_waiting_takes_no_turn_of_the_loop_while_it_is_cancelled_anew(monkeypatch):
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
    assert waits <= 2  # a hundred otherwise


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


async def test_what_has_ended_already_needs_no_turn_of_the_loop():
    end = asyncio.get_running_loop().create_future()
    end.set_result(None)
    with pytest.raises(StopIteration):
        wait_until_done([end]).send(None)

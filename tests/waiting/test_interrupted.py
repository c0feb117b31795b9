"""`run` never loses the id of its execution, and no wait outlives a cancelled scope."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from omium_async import ExecutionRequest, NotFoundError
from omium_async.local import Fault

READ = {"method": "GET", "path": "/executions/*"}


async def test_on_created_receives_the_execution_before_the_wait_begins(omium, local):
    seen = []
    detail = await omium.executions.run(
        "nobody", until="pending", on_created=lambda one: seen.append((one, local.counts))
    )
    ((created, counts),) = seen
    assert created.id == detail.id
    assert not any(route.startswith("GET") for route in counts)


async def test_an_exception_of_on_created_ends_run_and_carries_the_id(omium, local):
    def fail(execution):
        raise KeyError(execution.id)

    with pytest.raises(KeyError) as raised:
        await omium.executions.run("nobody", on_created=fail)
    assert raised.value.args[0] in raised.value.__notes__[0]
    assert not any(route.startswith("GET") for route in local.counts)


async def test_an_omium_error_of_on_created_says_that_the_write_was_applied(omium):
    def fail(execution):
        raise NotFoundError("of another call", outcome="not_applied")

    with pytest.raises(NotFoundError) as raised:
        await omium.executions.run("nobody", on_created=fail)
    assert raised.value.outcome == "applied"
    assert raised.value.execution_id in raised.value.__notes__[0]
    assert len(raised.value.__notes__) == 1


async def test_a_cancellation_after_the_create_carries_the_id(omium):
    created = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(omium.executions.run("nobody", on_created=created.set_result))
    execution = await created
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert execution.id in raised.value.__notes__[0]


async def test_a_cancellation_before_the_create_is_answered_has_no_note(omium, local):
    local.inject(Fault(method="POST", action="stall"))
    running = asyncio.create_task(omium.executions.run("nobody"))
    while not local.requests:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert not hasattr(raised.value, "__notes__")


async def test_on_created_must_be_a_plain_function(omium, local):
    async def later(_):
        pass

    for wrong in (later, 3):
        with pytest.raises(TypeError, match="on_created"):
            await omium.executions.run("nobody", on_created=wrong)
    assert local.counts == {}


async def drained(found):
    async for _ in found:
        await anyio.lowlevel.checkpoint()


CALLS = {
    "wait": lambda executions, ids: executions.wait(ids[0], until="running"),
    "watch": lambda executions, ids: drained(executions.watch(ids[0], until="running")),
    "run": lambda executions, _: executions.run("nobody", until="running"),
    "wait_many": lambda executions, ids: drained(executions.wait_many(ids, until="running")),
    "wait_many details": lambda executions, ids: drained(executions.wait_many(ids, until="running", details=True)),
}


def own_tasks():
    return {task for task in asyncio.all_tasks() if "omium_async._" in repr(task.get_coro())}


@pytest.fixture
async def ids(omium):
    requests = [ExecutionRequest("nobody") for _ in range(40)]
    return [outcome.execution.id async for outcome in omium.executions.create_many(requests)]


@pytest.mark.parametrize("call", CALLS)
async def test_a_cancelled_scope_ends_a_wait_at_any_moment(omium, ids, call):
    hurried = omium.with_options(poll_interval=(0.001, 0.01))
    before = own_tasks()
    for seconds in [0, 0.001, 0.003, 0.007, 0.014, 0.03, 0.06]:
        async with asyncio.timeout(30):
            with anyio.move_on_after(seconds) as scope:
                await CALLS[call](hurried.executions, ids)
        assert scope.cancelled_caught
    await asyncio.sleep(0.02)
    assert own_tasks() <= before


async def test_a_generator_closed_in_a_cancelled_scope_leaves_no_task_behind(omium, ids):
    executions = omium.executions
    before = own_tasks()
    for make in (
        lambda: executions.list(page_size=20, prefetch=8),
        lambda: executions.pages(page_size=20, prefetch=8),
        lambda: executions.watch(ids[0]),
        lambda: executions.wait_many(ids, until="pending", details=True),
    ):
        found = make()
        async with asyncio.timeout(30):
            with anyio.CancelScope() as scope:
                await anext(found)
                scope.cancel()
                await found.aclose()
    await asyncio.sleep(0.02)
    assert own_tasks() <= before

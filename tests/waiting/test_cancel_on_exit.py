"""``cancel_on_exit``: a call that ends early cancels what it created, within 5 seconds."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

from omium_async import PermissionDeniedError, WaitTimeoutError
from omium_async.local import Fault

CREATE = {"method": "POST", "path": "/executions"}
READ = {"method": "GET", "path": "/executions/*"}
PATCH = {"method": "PATCH", "path": "/executions/*/status"}


async def begin(omium):
    """Start `run` of a workflow that nobody serves; return its task and its execution."""
    created = asyncio.get_running_loop().create_future()
    options = {"on_created": created.set_result, "cancel_on_exit": True}
    running = asyncio.create_task(omium.executions.run("nobody", **options))
    return running, await created


async def only_status(omium):
    (row,) = (await omium.executions.page()).items
    return row.status


async def until_received(local, method):
    while not any(request.method == method for request in local.requests):  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0.01)


async def cancel_during_create(omium, local):
    """Cancel `run` while the server has its create, and return the exception."""
    count = len(local.requests)
    running = asyncio.create_task(omium.executions.run("nobody", cancel_on_exit=True))
    while len(local.requests) == count:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    return raised.value


async def test_a_cancelled_run_cancels_its_execution(omium):
    running, execution = await begin(omium)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert raised.value.__notes__ == [f"execution {execution.id} was created before this, and was cancelled"]
    assert await only_status(omium) == "cancelled"


async def test_a_cancelled_scope_does_not_stop_the_cancel(omium):
    with anyio.CancelScope() as scope:
        await omium.executions.run("nobody", on_created=lambda _: scope.cancel(), cancel_on_exit=True)
    assert scope.cancelled_caught
    assert await only_status(omium) == "cancelled"


async def test_a_timeout_and_an_error_cancel_too(omium, local):
    with pytest.raises(WaitTimeoutError) as late:
        await omium.executions.run("nobody", timeout=0.2, cancel_on_exit=True)
    assert "was cancelled" in late.value.__notes__[0]
    for error in (late.value, WaitTimeoutError(*late.value.args)):
        assert "the execution was cancelled" in str(error)
        assert "wait for it again" not in str(error)
    assert (await omium.executions.get(late.value.execution_id)).status == "cancelled"

    def fail(execution):
        raise KeyError(execution.id)

    with pytest.raises(KeyError) as raised:
        await omium.executions.run("nobody", on_created=fail, cancel_on_exit=True)
    assert (await omium.executions.get(raised.value.args[0])).status == "cancelled"

    local.inject(Fault(**READ, status=403, body={"detail": "no"}))
    with pytest.raises(PermissionDeniedError) as refused:
        await omium.executions.run("nobody", cancel_on_exit=True)
    assert (await omium.executions.get(refused.value.execution_id)).status == "cancelled"


async def test_nothing_is_cancelled_without_it_or_if_the_execution_has_ended(omium, local):
    with pytest.raises(WaitTimeoutError):
        await omium.executions.run("nobody", timeout=0)
    assert await only_status(omium) == "pending"

    @local.workflow("quick")
    async def quick(run):
        return 1

    assert (await omium.executions.run("quick", cancel_on_exit=True)).output_data == 1

    with pytest.raises(WaitTimeoutError) as late:
        await omium.executions.run("quick", until="pending", timeout=0.5, poll_interval=0.05, cancel_on_exit=True)
    assert late.value.__notes__[0].endswith("and has ended as completed")
    assert "cancelled" not in str(late.value)
    assert not any(route.startswith("PATCH") for route in local.counts)


async def test_a_failure_is_a_note_and_a_warning_and_replaces_nothing(omium, local, caplog):
    caplog.set_level(logging.WARNING)
    local.inject(Fault(**PATCH, status=403, body={"detail": "no"}))
    running, execution = await begin(omium)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    (note,) = raised.value.__notes__
    assert f"{execution.id} was created before this, could not be cancelled and may continue" in note
    (record,) = [record for record in caplog.records if record.name == "omium_async.waiting"]
    assert (record.levelname, record.omium_execution_id) == ("WARNING", execution.id)


async def test_it_takes_at_most_5_seconds(omium, local):
    local.inject(Fault(**PATCH, action="stall", times=None))
    running, _ = await begin(omium)
    loop = asyncio.get_running_loop()
    before = loop.time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert 4.5 < loop.time() - before < 5.5
    assert "could not be cancelled" in raised.value.__notes__[0]


async def test_a_second_cancellation_waits_for_the_cancel(omium, local):
    local.inject(Fault(**PATCH, action="delay", delay=0.1))
    running, _ = await begin(omium)
    running.cancel()
    await until_received(local, "GET")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await only_status(omium) == "cancelled"


async def test_a_cancellation_during_the_cleanup_of_an_error_is_raised(omium, local):
    local.inject(Fault(**PATCH, action="delay", delay=0.1))
    running = asyncio.create_task(omium.executions.run("nobody", timeout=0, cancel_on_exit=True))
    await until_received(local, "PATCH")
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert isinstance(raised.value.__context__, WaitTimeoutError)
    assert "was cancelled" in raised.value.__notes__[0]


async def test_an_execution_of_a_create_in_flight_is_cancelled(omium, local):
    local.inject(Fault(**CREATE, when="after", action="delay", delay=0.1))
    interrupt = await cancel_during_create(omium, local)
    assert "was cancelled" in interrupt.__notes__[0]
    assert await only_status(omium) == "cancelled"


async def test_a_create_without_a_response_is_noted_and_a_rejected_one_is_not(omium, local):
    local.inject(Fault(**CREATE, action="stall"))
    interrupt = await cancel_during_create(omium, local)
    assert "the create was interrupted; it may have been applied" in interrupt.__notes__[0]

    local.inject(Fault(**CREATE, status=422, body={"detail": "no"}, delay=0.1))
    assert not hasattr(await cancel_during_create(omium, local), "__notes__")


async def test_it_must_be_a_bool(omium, local):
    with pytest.raises(TypeError, match="cancel_on_exit"):
        await omium.executions.run("nobody", cancel_on_exit="yes")
    assert local.counts == {}

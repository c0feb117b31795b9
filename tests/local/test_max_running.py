"""`max_running`: how many executions of a tenant run at once."""

# ruff: noqa: ASYNC110 - a test waits for what its workflow appends

from __future__ import annotations

import asyncio
import threading

import pytest

import omium_sync
from omium_async.local import LocalOmium

from .conftest import serving


@pytest.mark.parametrize("value", [0, -1, True, "2", 2.0])
def test_a_limit_that_is_no_whole_number_from_1_is_rejected(value):
    for kind in (LocalOmium, omium_sync.LocalOmium):
        with pytest.raises(ValueError, match="max_running must be a whole number from 1"):
            kind(max_running=value)


async def test_executions_run_one_after_the_other_in_order_of_creation():
    local, begun, running = LocalOmium(max_running=1), [], []

    @local.workflow("w")
    async def w(run):
        running.append(run.execution_id)
        begun.append(run.execution_id)
        await run.step("s", asyncio.sleep, 0)
        assert running == [run.execution_id]
        running.remove(run.execution_id)

    async with serving(local) as http:
        created = [await http.create("w") for _ in range(20)]
        ended = [await http.until(execution_id, "completed", "failed") for execution_id in created]
    assert [one["error"] for one in ended] == [None] * 20
    assert begun == created


async def test_after_a_cancel_the_next_execution_begins_once_the_cancelled_one_has_ended():
    local, events = LocalOmium(max_running=1), []

    @local.workflow("w")
    async def w(run):
        events.append(("begins", run.execution_id))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append(("ends", run.execution_id))

    async with serving(local) as http:
        first, second = await http.create("w"), await http.create("w")
        await http.until(first, "running")
        assert (await http.cancel(first)).status == 200
        assert (await http.detail(second))["status"] == "running"
        while len(events) < 3:
            await asyncio.sleep(0)
        assert events == [("begins", first), ("ends", first), ("begins", second)]


async def test_executions_of_unregistered_workflows_use_no_place_and_are_reported(caplog):
    local, gate = LocalOmium(max_running=1, strict=False), threading.Event()
    local.workflow("plain")(lambda run: gate.wait())
    async with serving(local) as http:
        await http.create("none")
        first, second = await http.create("plain"), await http.create("plain")
        assert [(await http.detail(one))["status"] for one in (first, second)] == ["running", "pending"]
        gate.set()
        await http.until(second, "completed")
    assert ["'none'" in record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [True]

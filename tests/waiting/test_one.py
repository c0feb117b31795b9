"""`wait`, `watch` and `run`: polling, `until`, `timeout` and `patience`."""

from __future__ import annotations

import asyncio

import pytest

from omium_async import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ExecutionDetail,
    NotFoundError,
    ServerError,
    WaitTimeoutError,
)
from omium_async.local import Fault

from .fake import Fleet

READ = {"method": "GET", "path": "/executions/*"}


def seconds_since(start: float) -> float:
    return asyncio.get_running_loop().time() - start


class TestWait:
    async def test_it_ends_at_a_settled_status(self, omium, local):
        gate = asyncio.Event()

        @local.workflow("gated")
        async def gated(run):
            await gate.wait()
            return {"done": True}

        execution = await omium.executions.create("gated")
        waiting = asyncio.create_task(omium.executions.wait(execution.id, poll_interval=0.02))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        gate.set()
        detail = await waiting
        assert isinstance(detail, ExecutionDetail)
        assert (detail.status, detail.output_data) == ("completed", {"done": True})

    async def test_it_ends_only_at_a_status_in_until(self, omium):
        execution = await omium.executions.create("nobody")
        assert (await omium.executions.wait(execution.id, until=["pending"])).status == "pending"
        with pytest.raises(WaitTimeoutError):
            await omium.executions.wait(execution.id, until=["running"], timeout=0.1, poll_interval=0.02)

    @pytest.mark.usefixtures("virtual_time")
    async def test_an_unknown_status_is_not_settled(self):
        fleet = Fleet({"x": 30.0})
        fleet.status = lambda _: "weird" if fleet.now < 30 else "completed"  # type: ignore[method-assign]
        assert (await fleet.executions.wait("x")).status == "completed"
        assert fleet.now >= 30

    @pytest.mark.usefixtures("virtual_time")
    async def test_polls_become_rarer_up_to_the_longest_interval(self):
        fleet = Fleet({"x": 3600.0})
        await fleet.executions.wait("x")
        assert 300 <= fleet.gets["x"] <= 460  # mostly 10 s apart, jittered
        fleet = Fleet({"x": 3600.0})
        await fleet.executions.wait("x", poll_interval=60)
        assert 13 <= fleet.gets["x"] <= 22  # at most four times as long
        fleet = Fleet({"x": 1.0}, poll_interval=(0.1, 0.1))
        await fleet.executions.wait("x")
        assert 8 <= fleet.gets["x"] <= 14  # the client's interval counts below the default too

    async def test_the_time_out_ends_a_request_in_flight(self, omium, local):
        execution = await omium.executions.create("nobody")
        local.inject(Fault(**READ, action="stall", times=None))
        start = asyncio.get_running_loop().time()
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.wait(execution.id, timeout=0.2)
        assert 0.2 <= seconds_since(start) < 1.5
        assert raised.value.pending == (execution.id,)
        assert isinstance(raised.value.__cause__, APITimeoutError)
        assert not raised.value.outcome_unknown

    @pytest.mark.usefixtures("virtual_time")
    async def test_the_message_has_the_last_status_and_the_last_failure(self):
        fleet = Fleet({"x": 1e9}, patience=None)
        waiting = asyncio.create_task(fleet.executions.wait("x", timeout=30))
        await asyncio.sleep(5)
        fleet.failures = [APIConnectionError("refused", outcome="not_applied")] * 1000
        with pytest.raises(WaitTimeoutError, match="its last status was running; last failure: refused") as raised:
            await waiting
        assert isinstance(raised.value.__cause__, APIConnectionError)

    async def test_a_time_out_of_0_polls_once(self, omium, local):
        execution = await omium.executions.create("nobody")
        with pytest.raises(
            WaitTimeoutError,
            match=r"still pending at the only poll .*; wait for it .* is its workflow 'nobody' not served\?",
        ):
            await omium.executions.wait(execution.id, timeout=0)
        assert (await omium.executions.wait(execution.id, timeout=0, until="pending")).id == execution.id
        assert local.counts["GET /executions/*"] == 2
        local.inject(Fault(**READ, action="status", status=503, times=None))
        with pytest.raises(ServerError):
            await omium.with_options(max_retries=0).executions.wait(execution.id, timeout=0)

    async def test_failures_that_a_retry_may_help_are_repeated_and_others_end_it(self, omium, local):
        execution = await omium.executions.create("nobody")
        steady = omium.with_options(max_retries=0)
        for action in ("status", "drop", "truncate", "garbage"):
            local.inject(Fault(**READ, action=action))
        found = await steady.executions.wait(execution.id, until=["pending"], poll_interval=0.01)
        assert found.status == "pending"
        local.inject(Fault(**READ, action="status", status=400))
        with pytest.raises(BadRequestError):
            await steady.executions.wait(execution.id)
        with pytest.raises(NotFoundError):
            await omium.executions.wait("exec_missing", timeout=5)

    @pytest.mark.parametrize(
        ("kind", "arguments"),
        [
            (ValueError, {"execution_id": "live"}),
            (ValueError, {"timeout": -1}),
            (ValueError, {"poll_interval": 0}),
            (ValueError, {"until": []}),
            (ValueError, {"until": "complete"}),
        ],
    )
    async def test_bad_arguments(self, omium, local, kind, arguments):
        with pytest.raises(kind):
            await omium.executions.wait(**({"execution_id": "exec_1"} | arguments))
        assert local.counts == {}


class TestWatch:
    async def test_it_yields_the_current_state_and_each_change(self, omium, local):
        gate, steps = asyncio.Event(), asyncio.Queue()

        @local.workflow("steps")
        async def steps_one_by_one(run):
            for name in ("a", "b"):
                await gate.wait()
                gate.clear()
                await run.step(name, lambda: 1)
                await steps.put(name)
            await gate.wait()

        execution = await omium.executions.create("steps")
        seen = []
        async for detail in omium.executions.watch(execution.id, poll_interval=0.01):
            seen.append((str(detail.status), [checkpoint.name for checkpoint in detail.checkpoints]))
            gate.set()
            if len(seen) < 3:
                await steps.get()
        assert seen == [("running", []), ("running", ["a"]), ("running", ["a", "b"]), ("completed", ["a", "b"])]

    async def test_bad_arguments_are_rejected_at_the_call(self, omium):
        with pytest.raises(ValueError, match="execution_id"):
            omium.executions.watch("live")
        with pytest.raises(ValueError, match="poll_interval"):
            omium.executions.watch("exec_1", poll_interval=-1)


class TestRun:
    async def test_it_creates_and_waits(self, omium, local):
        @local.workflow("double")
        async def double(run):
            return run.input_data * 2

        detail = await omium.executions.run("double", 21, metadata={"a": 1}, poll_interval=0.01)
        assert (detail.status, detail.output_data, detail.metadata["a"]) == ("completed", 42, 1)

    async def test_the_time_out_covers_both(self, omium):
        start = asyncio.get_running_loop().time()
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.run("nobody", timeout=0.2, poll_interval=0.01)
        assert seconds_since(start) < 1.5
        assert raised.value.pending == (raised.value.execution_id,)
        assert raised.value.outcome == "applied"

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_time_out_in_the_create_has_the_outcome_of_the_write(self, omium, local, when):
        local.inject(Fault(method="POST", when=when, action="stall"))
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.run("nobody", timeout=0.2)
        error = raised.value
        assert (error.pending, error.execution_id, error.outcome) == ((), None, "unknown")
        assert error.idempotency_key
        assert len(error.attempts) == 1

    async def test_errors_after_the_create_have_the_id_of_the_execution(self, omium, local):
        local.inject(Fault(**READ, action="status", status=400))
        with pytest.raises(BadRequestError) as raised:
            await omium.executions.run("nobody", poll_interval=0.01)
        assert raised.value.outcome == "applied"
        assert (await omium.executions.get(raised.value.execution_id)).workflow_id == "nobody"

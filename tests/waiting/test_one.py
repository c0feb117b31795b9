"""wait, watch and run: one execution."""

from __future__ import annotations

import asyncio

import pytest

from omium_async import (
    APITimeoutError,
    AsyncOmium,
    BadRequestError,
    ExecutionDetail,
    NotFoundError,
    ServerError,
    WaitTimeoutError,
)
from omium_async._models.types import SETTLED
from omium_async._waiting.one import run_and_wait, wait_for, watch_changes
from omium_async._waiting.polling import Polling, PollInterval
from omium_async.local import Fault

from .fake import FakeCaller, Scripted

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

    async def test_only_at_a_status_that_was_asked_for(self, omium):
        execution = await omium.executions.create("nobody")
        assert (await omium.executions.wait(execution.id, until=["pending"])).status == "pending"
        assert (await omium.executions.wait(execution.id, until="pending")).status == "pending"
        with pytest.raises(WaitTimeoutError, match="one of running"):
            await omium.executions.wait(execution.id, until=["running"], timeout=0.1, poll_interval=0.02)

    async def test_a_status_never_seen_before_is_not_settled(self):
        caller = Scripted(["weird", "weird", "completed"])
        found = await wait_for(caller, "x", Polling.of(None, 0.001, SETTLED, (0.5, 10.0)).begin())
        assert found.status == "completed"

    async def test_in_time_also_while_a_request_is_under_way(self, omium, local):
        execution = await omium.executions.create("nobody")
        local.inject(Fault(**READ, action="stall", times=None))
        start = asyncio.get_running_loop().time()
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.wait(execution.id, timeout=0.2)
        assert 0.2 <= seconds_since(start) < 1.5
        assert raised.value.pending == (execution.id,)
        assert isinstance(raised.value.__cause__, APITimeoutError)
        assert not raised.value.outcome_unknown

    async def test_without_any_time_it_looks_once(self, omium, local):
        execution = await omium.executions.create("nobody")
        with pytest.raises(WaitTimeoutError, match=r"one look that timeout=0 asks for; its last status was pending"):
            await omium.executions.wait(execution.id, timeout=0)
        assert (await omium.executions.wait(execution.id, timeout=0, until="pending")).id == execution.id
        assert local.counts["GET /executions/*"] == 2
        with pytest.raises(WaitTimeoutError, match=r"last status was pending") as raised:
            await omium.executions.run("nobody", timeout=0)
        assert (raised.value.outcome, raised.value.pending) == ("applied", (raised.value.execution_id,))
        local.inject(Fault(**READ, action="status", status=503, times=None))
        with pytest.raises(ServerError):
            await omium.with_options(max_retries=0).executions.wait(execution.id, timeout=0)

    async def test_the_message_says_the_last_status_and_the_last_failure(self, omium, local):
        execution = await omium.executions.create("nobody")
        local.inject(Fault(**READ, action="status", status=503, times=None))
        for waiting in (
            omium.executions.wait(execution.id, timeout=0.3),
            omium.executions.run("nobody", timeout=0.3),
        ):
            with pytest.raises(WaitTimeoutError, match=r"never seen, the last failure: GET ") as raised:
                await waiting
            assert raised.value.__cause__.attempts[0].status == 503

    async def test_what_is_retryable_is_looked_at_again(self, omium, local):
        execution = await omium.executions.create("nobody")
        steady = omium.with_options(max_retries=0)
        for action in ("status", "drop", "truncate", "garbage"):
            local.inject(Fault(**READ, action=action))
        found = await steady.executions.wait(execution.id, until=["pending"], poll_interval=0.01)
        assert found.status == "pending"
        local.inject(Fault(**READ, action="status", status=502, times=None))
        with pytest.raises(WaitTimeoutError) as raised:
            await steady.executions.wait(execution.id, timeout=0.1, poll_interval=0.01)
        # The last look's failure; a look that was cut off by the end of the wait failed by that.
        assert isinstance(raised.value.__cause__, (ServerError, APITimeoutError))

    async def test_what_could_not_ends_it(self, omium, local):
        with pytest.raises(NotFoundError):
            await omium.executions.wait("exec_missing", timeout=5)
        execution = await omium.executions.create("nobody")
        local.inject(Fault(**READ, action="status", status=400))
        with pytest.raises(BadRequestError):
            await omium.executions.wait(execution.id)

    async def test_bad_arguments(self, omium, local):
        for kind, arguments in (
            (ValueError, {"execution_id": "live"}),
            (ValueError, {"timeout": -1}),
            (ValueError, {"timeout": float("nan")}),
            (TypeError, {"timeout": "1"}),
            (TypeError, {"timeout": True}),
            (ValueError, {"poll_interval": 0}),
            (ValueError, {"until": []}),
            (ValueError, {"until": [1]}),
        ):
            with pytest.raises(kind):
                await omium.executions.wait(**({"execution_id": "exec_1"} | arguments))
        assert local.counts == {}


class TestWatch:
    async def test_the_state_now_and_each_change(self, omium, local):
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

    async def test_it_goes_on_over_what_is_retryable_and_ends_at_what_could_not(self, omium, local):
        execution = await omium.executions.create("nobody")
        steady = omium.with_options(max_retries=0)
        local.inject(Fault(**READ, action="drop"))
        watching = steady.executions.watch(execution.id, poll_interval=0.01)
        assert (await anext(watching)).status == "pending"
        local.inject(Fault(**READ, action="status", status=404))
        with pytest.raises(NotFoundError):
            await anext(watching)

    async def test_what_just_moved_is_looked_at_sooner(self):
        slept = []
        caller = Scripted(["pending"] * 6 + ["running"] * 3 + ["completed"])

        with pytest.MonkeyPatch.context() as patch:
            real = asyncio.sleep

            async def sleep(seconds):
                slept.append(seconds)
                await real(0)

            patch.setattr("omium_async._waiting.one.asyncio.sleep", sleep)
            patch.setattr("omium_async._waiting.polling.random.uniform", lambda *_: 1.0)
            polling = Polling.of(None, None, ["completed"], (0.5, 10.0))
            seen = [detail.status async for detail in watch_changes(caller, "x", polling)]
        assert seen == ["pending", "running", "completed"]
        assert slept[:6] == pytest.approx([0.5, 0.75, 1.125, 1.6875, 2.53125, 3.796875])
        assert slept[6] == 0.5

    async def test_bad_arguments_are_refused_at_the_call(self, omium):
        with pytest.raises(ValueError, match="route"):
            omium.executions.watch("live")
        with pytest.raises(ValueError, match="poll_interval"):
            omium.executions.watch("exec_1", poll_interval=-1)


class TestRun:
    async def test_create_and_wait(self, omium, local):
        @local.workflow("double")
        async def double(run):
            return run.input_data * 2

        detail = await omium.executions.run("double", 21, metadata={"a": 1}, poll_interval=0.01)
        assert (detail.status, detail.output_data, detail.metadata["a"]) == ("completed", 42, 1)

    async def test_time_for_both(self, omium):
        start = asyncio.get_running_loop().time()
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.run("nobody", timeout=0.2, poll_interval=0.01)
        assert seconds_since(start) < 1.5
        (pending,) = raised.value.pending
        assert raised.value.execution_id == pending

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_in_the_create_with_the_verdict(self, omium, local, when):
        local.inject(Fault(method="POST", when=when, action="stall"))
        with pytest.raises(WaitTimeoutError) as raised:
            await omium.executions.run("nobody", timeout=0.2)
        error = raised.value
        assert error.pending == ()
        assert error.execution_id is None
        assert error.outcome_unknown
        assert error.idempotency_key
        assert len(error.attempts) == 1

    async def test_a_create_that_was_never_sent_says_so(self):
        async with AsyncOmium("omium_some_key", base_url="http://127.0.0.1:9") as omium:
            with pytest.raises(Exception) as raised:  # which of the two is a matter of the backoff
                await omium.executions.run("nobody", timeout=0.1)
        assert not raised.value.outcome_unknown

    async def test_errors_after_the_create_know_the_execution(self, omium, local):
        local.inject(Fault(**READ, action="status", status=400))
        with pytest.raises(BadRequestError) as raised:
            await omium.executions.run("nobody", poll_interval=0.01)
        assert raised.value.execution_id is not None
        assert (await omium.executions.get(raised.value.execution_id)).workflow_id == "nobody"
        assert not raised.value.outcome_unknown

    async def test_the_calls_own_timeout_stays_one(self):
        """The create's own time ran out, not that of `run`."""

        class Slow(FakeCaller):
            async def write(self, *_):
                raise APITimeoutError("slow", outcome="unknown")

        with pytest.raises(APITimeoutError):
            await run_and_wait(Slow(), {}, None, Polling.of(60, None, ["completed"], (0.5, 10.0)).begin())


class TestPace:
    def test_it_grows_to_its_longest_and_stays_there(self, monkeypatch):
        monkeypatch.setattr("omium_async._waiting.polling.random.uniform", lambda *_: 1.0)
        pace = PollInterval(Polling.of(None, None, ["completed"], (0.5, 10.0)))
        pauses = [pace.next() for _ in range(12)]
        assert pauses[0] == 0.5
        assert pauses == sorted(pauses)
        assert pauses[-1] == 10.0
        pace = PollInterval(Polling.of(None, 2, ["completed"], (0.5, 10.0)))
        assert [pace.next() for _ in range(6)] == pytest.approx([2, 3, 4.5, 6.75, 8, 8])

    def test_it_is_jittered(self):
        pauses = {PollInterval(Polling.of(None, 1, ["completed"], (0.5, 10.0))).next() for _ in range(20)}
        assert len(pauses) > 10
        assert all(0.8 <= pause <= 1.2 for pause in pauses)

    def test_many_requests_are_spaced(self, monkeypatch):
        monkeypatch.setattr("omium_async._waiting.polling.random.uniform", lambda *_: 1.0)
        pace = PollInterval(Polling.of(None, None, ["completed"], (0.5, 10.0)))
        assert pace.next(moved=True, requests=6) == 3.0
        assert pace.next(moved=True, requests=600) == 10.0

    async def test_the_time_counts_from_the_beginning(self):
        polling = Polling.of(500, None, ["completed"], (0.5, 10.0))
        assert polling.left() is None
        left = polling.begin().left()
        assert left is not None
        assert 400 < left <= 500
        assert await Polling.of(0.01, None, ["completed"], (0.5, 10.0)).begin().sleep(5) is False

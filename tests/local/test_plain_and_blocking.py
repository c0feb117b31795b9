"""Plain workflows in threads, steps that were not awaited, and code that blocks the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time

import attrs
import pytest

from omium_async.local import LocalOmium
from omium_sync import Omium

from .conftest import names, serving


@attrs.frozen
class Order:
    count: int


async def double(value):
    await asyncio.sleep(0)
    return 2 * value


async def test_a_plain_workflow_runs_in_a_thread_and_its_steps_return_without_await(local, http):
    @local.workflow("w")
    def w(run, data: Order) -> Order:
        assert threading.current_thread() is not threading.main_thread()
        total = run.step("plain", lambda: data.count + 1)
        return Order(run.step("async", double, total))

    detail = await http.ended("w", {"count": 3})
    assert (detail["error"], detail["output_data"], names(detail)) == (None, {"count": 8}, ["plain", "async"])
    assert "input_data.count" in (await http.ended("w", {"count": "3"}))["error"]


async def test_a_replay_of_a_plain_workflow_repeats_no_recorded_step(local, http):
    ran, fails = [], True

    @local.workflow("w")
    def w(run):
        run.step("one", ran.append, 1)
        if fails:
            raise ValueError("no luck")
        return run.step("two", lambda: "done")

    detail = await http.ended("w")
    assert (detail["error"], names(detail)) == ("ValueError: no luck", ["one"])
    fails = False
    await http.replay(detail["id"], detail["checkpoints"][0]["id"])
    assert (await http.until(detail["id"], "completed"))["output_data"] == "done"
    assert ran == [1]


async def ended_with(http, workflow_id, inputs, gate):
    """The outputs of executions that all run before they pass the gate."""
    ids = [await http.create(workflow_id, each) for each in inputs]
    gate.set()
    return [(await http.until(each, "completed", "failed"))["output_data"] for each in ids]


async def test_nested_plain_steps_of_many_plain_workflows_do_not_wait_for_each_other(local, http):
    gate = threading.Event()

    @local.workflow("nested")
    def nested(run):
        def outer():
            gate.wait()
            return run.step("middle", lambda: run.step("inner", lambda: run.input_data) + 1) + 1

        return run.step("outer", outer)

    assert await ended_with(http, "nested", range(80), gate) == [number + 2 for number in range(80)]


@pytest.mark.parametrize("in_step", [False, True])
async def test_plain_workflows_that_run_plain_workflows_do_not_wait_for_each_other(local, http, in_step):
    gate, omium = threading.Event(), Omium(local.api_key, base_url=local.url, poll_interval=(0.05, 0.2))

    @local.workflow("child")
    def child(run):
        return run.step("add", lambda: run.input_data + 1)

    @local.workflow("parent")
    def parent(run):
        def work():
            gate.wait()
            return omium.executions.run("child", run.input_data).output_data

        return run.step("work", work) if in_step else work()

    assert await ended_with(http, "parent", range(120), gate) == [number + 1 for number in range(120)]
    await asyncio.to_thread(omium.close)


async def test_plain_steps_that_end_run_in_32_threads(local, http, monkeypatch):
    monkeypatch.setattr("omium_async.local.threads._STALLED", 60)  # seconds: this machine may be slow
    running, most = set(), 0

    def work():
        nonlocal most
        running.add(threading.current_thread())
        most = max(most, len(running))
        time.sleep(0.01)
        running.remove(threading.current_thread())
        return 1

    @local.workflow("w")
    async def w(run):
        return sum(await asyncio.gather(*(run.step(f"{number}", work) for number in range(200))))

    assert (await http.ended("w"))["output_data"] == 200
    assert 1 < most <= 32


async def test_calls_wait_while_the_system_permits_no_other_thread(local, http, monkeypatch, caplog):
    start, refused = threading.Thread.start, []

    def refuse(thread):
        if thread.name == "omium-local-step" and len(refused) < 3:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)

    @local.workflow("w")
    async def w(run):
        return await asyncio.gather(*(run.step(f"{number}", lambda: 1) for number in range(3)))

    assert (await http.ended("w"))["output_data"] == [1, 1, 1]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "can't start new thread" in warning.getMessage()


@pytest.mark.parametrize("by", ["cancel", "reset"])
async def test_the_next_step_of_a_stopped_plain_workflow_raises_and_its_thread_is_not_waited_for(local, http, by):
    gate, ended, raised, ran = threading.Event(), threading.Event(), [], []

    @local.workflow("w")
    def w(run):
        run.step("one", lambda: 1)
        gate.wait()
        try:
            run.step("two", ran.append, 2)
        except BaseException as error:
            raised.append(type(error))
            raise
        finally:
            ended.set()

    execution_id = await http.create("w")
    await http.until(execution_id, "running", checkpoints=1)
    async with asyncio.timeout(30):
        await (http.cancel(execution_id) if by == "cancel" else local.reset())
    assert not ended.is_set(), "the thread was waited for"
    gate.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert (raised, ran) == ([asyncio.CancelledError], [])
    if by == "cancel":
        detail = await http.detail(execution_id)
        assert (detail["status"], names(detail)) == ("cancelled", ["one"])


@pytest.mark.parametrize("ending", ["returns", "raises"])
async def test_a_step_that_was_not_awaited_fails_the_execution_and_is_named(local, http, ending):
    ran = []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        run.step("forgotten", ran.append, 1)  # type: ignore[unused-coroutine]
        if ending == "raises":
            raise ValueError("another reason")

    detail = await http.ended("w")
    assert (detail["status"], names(detail), ran) == ("failed", ["one"], [])
    assert "'forgotten'" in detail["error"]
    assert "await" in detail["error"]
    assert ("another reason" in detail["error"]) == (ending == "raises")


async def blocking():
    time.sleep(1.05)  # noqa: ASYNC251 - the loop is to be blocked


async def after_a_failure(run):
    with contextlib.suppress(ZeroDivisionError):
        await run.step("fails", lambda: 1 / 0)
    await blocking()


BLOCKING = {
    "the function": lambda run: blocking(),
    "a step in a task": lambda run: asyncio.gather(run.step("one", blocking), run.step("two", lambda: 2)),
    "after a failure": after_a_failure,
}


@pytest.mark.parametrize("where", BLOCKING)
async def test_an_async_workflow_that_blocks_the_loop_is_named_in_a_warning(local, http, caplog, where):
    @local.workflow("blocks-the-loop")
    async def blocks(run):
        await BLOCKING[where](run)

    @local.workflow("waits")
    async def waits(run):
        await asyncio.sleep(1.05)

    waiting = await http.create("waits")
    await http.ended("blocks-the-loop")
    await http.until(waiting, "completed")
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.name.startswith("omium_async.local")
    assert "'blocks-the-loop'" in warning.getMessage()


async def test_a_step_on_another_event_loop_is_refused_before_it_runs(local, http):
    ran = []

    @local.workflow("w")
    async def w(run):
        async def elsewhere():
            await run.step("elsewhere", ran.append, 1)

        await asyncio.to_thread(asyncio.run, elsewhere())

    detail = await http.ended("w")
    assert detail["error"].startswith("RuntimeError")
    assert "'elsewhere'" in detail["error"]
    assert (ran, names(detail)) == ([], [])


async def test_a_run_that_ignores_its_cancellation_is_named_in_a_warning_of_reset(local, http, caplog, monkeypatch):
    monkeypatch.setattr("omium_async.local.runner._WARN_AFTER", 0.05)  # seconds, instead of 2
    begun, ended = asyncio.Event(), asyncio.Event()

    @local.workflow("stubborn")
    async def stubborn(run):
        begun.set()
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    execution_id = await http.create("stubborn")
    await begun.wait()
    resetting = asyncio.create_task(local.reset())
    while not (warnings := [record for record in caplog.records if "stubborn" in record.getMessage()]):
        assert not resetting.done()
        await asyncio.sleep(0.01)
    ended.set()
    await resetting
    assert warnings[0].levelno == logging.WARNING
    assert warnings[0].omium_execution_id == execution_id


@pytest.mark.parametrize("strict", [None, True, False])
async def test_an_unregistered_workflow_is_refused_as_strict_says(strict, caplog):
    async with serving(LocalOmium(strict=strict)) as http:
        assert (await http.post({"workflow_id": "word_count"})).status == (422 if strict else 201)
        http.local.workflow("word-count")(functools.partial(lambda run: None))
        answer = await http.post({"workflow_id": "word_count"})
        if strict is False:
            assert (await http.detail(answer.json["id"]))["status"] == "pending"
            warning = [record for record in caplog.records if record.levelno == logging.WARNING][-1]
            assert "'word_count'" in warning.getMessage()
            assert "'word-count'" in warning.getMessage()
        else:
            (problem,) = answer.json["detail"]
            assert (answer.status, problem["loc"]) == (422, ["body", "workflow_id"])
            assert "'word-count'" in problem["msg"]
        assert (await http.post({"workflow_id": "word-count"})).status == 201

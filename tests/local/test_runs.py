"""Runs and steps: functions of steps, their results, and how a run ends."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import functools
import gc
import threading
import weakref

import anyio
import pytest

from .conftest import names

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Adder:
    async def __call__(self, a, b):
        return a + b


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")


async def twice(value):
    await asyncio.sleep(0)
    return value * 2


async def test_the_function_of_a_step_is_async_or_plain_in_a_thread(local, http):
    def in_thread():
        return [threading.current_thread() is threading.main_thread(), variable.get()]

    @local.workflow("w")
    async def w(run):
        variable.set("set")
        return [
            await run.step("async", twice, 4),
            await run.step("thread", in_thread),
            await run.step("partial", functools.partial(twice, 5)),
            await run.step("object", Adder(), a=1, b=2),
            await run.step("lambda", lambda: twice(6)),
        ]

    detail = await http.ended("w")
    assert detail["output_data"] == [8, [False, "set"], 10, 3, 12], detail["error"]


async def test_a_step_returns_what_json_makes_of_its_result(local, http):
    @local.workflow("w")
    async def w(run):
        value = {"t": (1, 2), "c": Colour.RED, "n": Number.ONE, "f": 1.0, "b": True}
        result = await run.step("s", lambda: value)
        assert result == {"t": [1, 2], "c": "red", "n": 1, "f": 1.0, "b": True}
        assert [type(item) for item in result.values()] == [list, str, int, float, bool]
        assert result is not value

    assert (await http.ended("w"))["error"] is None


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1, 2}, "result"), ({"a": [0, b"x"]}, "result.a[1]"), ([float("-inf")], "result[0]"), ({1: 2}, "result"),
        ("\ud800", "surrogate"), (CYCLE, "itself"),
    ],
    ids=["set", "bytes", "infinity", "key", "surrogate", "cycle"],
)  # fmt: skip
async def test_a_result_that_json_cannot_hold_fails_the_execution_and_is_not_recorded(local, http, value, place):
    @local.workflow("w")
    async def w(run):
        await run.step("fine", lambda: 1)
        if run.input_data == "step":
            await run.step("odd one", lambda: value)
        return value

    for given, words in (("step", "TypeError: step 'odd one'"), ("result", "TypeError: workflow 'w'")):
        detail = await http.ended("w", given)
        assert detail["error"].startswith(words)
        assert place in detail["error"]
        assert (detail["status"], names(detail), detail["output_data"]) == ("failed", ["fine"], None)


async def test_a_name_of_a_step_is_text_and_used_once_in_a_run(local, http):
    ran = []

    @local.workflow("w")
    async def w(run):
        for name in run.input_data:
            await run.step(name, ran.append, name)

    detail = await http.ended("w", ["same", "same"])
    assert detail["error"].startswith("ValueError")
    assert "'same'" in detail["error"]
    assert (names(detail), ran) == (["same"], ["same"])
    for name in ("", 5, None):
        assert (await http.ended("w", [name]))["error"].startswith("TypeError")
    assert ran == ["same"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit("g"), "GeneratorExit: g"),
        (asyncio.CancelledError(), "CancelledError"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ExceptionGroup("g", [ValueError("a"), KeyError("b")]), "ValueError: a; KeyError: 'b'"),
        (functools.reduce(lambda e, _: ExceptionGroup("g", [e]), range(400), ValueError("deep")), "ValueError: deep"),
        (UnprintableError(), "UnprintableError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_an_exception_of_a_workflow_fails_that_execution_alone(local, http, error, text):
    @local.workflow("w")
    async def w(run):
        raise error

    @local.workflow("other")
    async def other(run):
        return await run.step("s", lambda: "well")

    detail = await http.ended("w")
    assert (detail["status"], detail["error"], detail["error_message"]) == ("failed", text, text)
    assert detail["completed_at"]
    assert (await http.page("status=failed"))["items"][0]["error_message"] == text
    assert (await http.ended("other"))["output_data"] == "well"


@pytest.mark.parametrize(
    "error",
    [StopIteration("s"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()],
    ids=repr,
)
async def test_any_exception_of_a_plain_step_fails_that_execution_alone(local, http, error):
    def broken():
        raise error

    @local.workflow("w")
    async def w(run):
        await asyncio.gather(run.step("s", broken), run.step("t", twice, 1))

    assert type(error).__name__ in (await http.ended("w"))["error"]
    assert await http.total("status=failed") == 1


async def test_steps_may_run_at_the_same_time(local, http):
    @local.workflow("w")
    async def w(run):
        return await asyncio.gather(*(run.step(f"s{n}", lambda n=n: n) for n in range(50)))

    detail = await http.ended("w")
    assert detail["output_data"] == list(range(50))
    assert set(names(detail)) == {f"s{n}" for n in range(50)}


async def test_a_step_that_a_time_out_cut_off_is_not_recorded(local, http):
    cut_off = []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        try:
            with anyio.fail_after(0.001):
                await run.step("two", asyncio.Event().wait)
        except TimeoutError:
            cut_off.append("two")
        await run.step("three", lambda: 3)

    detail = await http.ended("w")
    assert (detail["error"], names(detail), cut_off) == (None, ["one", "three"], ["two"])


async def test_a_step_in_progress_ends_with_its_run(local, http):
    started, ended = asyncio.Event(), []

    async def slow():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def fails():
        await started.wait()
        raise ValueError("at once")

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        await asyncio.gather(run.step("slow", slow), run.step("fails", fails))

    detail = await http.ended("w")
    assert ended == [1]
    assert (detail["error"], names(detail)) == ("ValueError: at once", ["one"])


async def test_a_step_after_the_end_of_its_run_does_nothing(local, http):
    called, runs = [], []

    @local.workflow("w")
    async def w(run):
        runs.append(run)

    detail = await http.ended("w")
    with pytest.raises((asyncio.CancelledError, RuntimeError)):
        await runs[0].step("late", called.append, 1)
    assert called == names(await http.detail(detail["id"])) == []


async def test_a_workflow_registered_later_starts_the_executions_that_wait_for_it(local, http):
    waiting = [await http.create("late", n) for n in range(1, 10)]
    other = await http.create("later")

    async def late(run):
        return run.input_data

    thread = threading.Thread(target=lambda: local.workflow("late")(late))
    thread.start()
    for n, execution_id in enumerate(waiting, 1):
        assert (await http.until(execution_id, "completed"))["output_data"] == n
    thread.join()
    assert (await http.detail(other))["status"] == "pending"


async def test_a_run_knows_its_execution(local, http):
    seen = []

    @local.workflow("w")
    async def w(run):
        seen.append((run.execution_id, run.workflow_id, run.input_data, run.metadata, run.agent_id))

    detail = await http.ended("w", {"a": 1}, metadata={"m": 2}, agent_id="ag")
    assert seen == [(detail["id"], "w", {"a": 1}, {"m": 2}, "ag")]


async def test_a_run_that_has_ended_is_not_kept_in_memory(local, http):
    runs = []

    @local.workflow("w")
    async def w(run):
        runs.append(weakref.ref(run))
        raise ValueError  # its traceback refers to the run

    for _ in range(3):
        await http.ended("w")
    await http.create("other")
    async with asyncio.timeout(10):  # a run ends some turns of the loop after its last write
        while any(run() for run in runs):
            gc.collect()
            await asyncio.sleep(0)

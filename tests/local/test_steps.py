"""Workflows and their steps."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import functools
import gc
import threading

import pytest

from omium_async.local import LocalOmium

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


async def test_steps_may_be_async_plain_partial_or_callable_objects(local, connect):
    class Adder:
        async def __call__(self, a, b):
            return a + b

    async def twice(value):
        await asyncio.sleep(0)
        return value * 2

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

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed", "failed")
        assert detail["output_data"] == [8, [False, "set"], 10, 3, 12], detail["error"]


async def test_a_result_comes_back_as_json_gives_it(local, connect):
    @local.workflow("w")
    async def w(run):
        value = {"t": (1, 2), "c": Colour.RED, "n": Number.ONE, "f": 1.0, "b": True}
        result = await run.step("s", lambda: value)
        assert result == {"t": [1, 2], "c": "red", "n": 1, "f": 1.0, "b": True}
        assert [type(item) for item in result.values()] == [list, str, int, float, bool]
        assert result is not value
        return result

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed", "failed")
        assert detail["error"] is None


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1, 2}, "result: set has no form"),
        ({"a": [0, b"x"]}, "result.a[1]: bytes has no form"),
        ({"a": float("nan")}, "result.a: nan has no form"),
        ([float("-inf")], "result[0]: -inf has no form"),
        ({1: 2}, "result: the key 1 is no text"),
        ({"x": object()}, "result.x: object has no form"),
        ("\ud800", "lone surrogate"),
        (10**5000, "4,300"),
        (functools.reduce(lambda inner, _: [inner], range(500), None), "nested deeper than 400 levels"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) and value.isascii() else type(value).__name__,
)
async def test_what_json_cannot_hold_is_refused_and_not_recorded(local, connect, value, place):
    @local.workflow("step")
    async def step(run):
        await run.step("fine", lambda: 1)
        await run.step("odd one", lambda: value)

    @local.workflow("result")
    async def result(run):
        return value

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("step"), "failed", "completed")
        assert detail["error"].startswith("TypeError: step 'odd one' returned what JSON cannot hold: ")
        assert place in detail["error"]
        assert [checkpoint["name"] for checkpoint in detail["checkpoints"]] == ["fine"]
        detail = await wire.until(await wire.create("result"), "failed", "completed")
        assert detail["error"].startswith("TypeError: workflow 'result' returned what JSON cannot hold: ")
        assert detail["output_data"] is None


async def test_a_value_that_contains_itself_is_refused(local, connect):
    @local.workflow("w")
    async def w(run):
        value: list[object] = []
        value.append(value)
        return value

    async with connect(local) as wire:
        assert "holding itself" in (await wire.until(await wire.create("w"), "failed"))["error"]


async def test_a_name_is_used_once_in_a_run(local, connect):
    @local.workflow("w")
    async def w(run):
        await run.step("same", lambda: 1)
        await run.step("same", lambda: 2)

    @local.workflow("bad")
    async def bad(run):
        await run.step("", lambda: 1)

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "failed")
        assert detail["error"].startswith("ValueError: this run has a step 'same' already")
        assert len(detail["checkpoints"]) == 1
        assert (await wire.until(await wire.create("bad"), "failed"))["error"].startswith(
            "TypeError: the name of a step"
        )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (KeyError("city"), "KeyError: 'city'"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit("g"), "GeneratorExit: g"),
        (pytest.fail.Exception("not like this"), "Failed: not like this"),
        (asyncio.CancelledError(), "CancelledError"),
        (StopIteration(5), "RuntimeError: coroutine raised StopIteration"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ExceptionGroup("g", [ValueError("a"), KeyError("b")]), "ValueError: a; KeyError: 'b'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_a_workflow_that_raises_has_failed(local, connect, error, text):
    @local.workflow("w")
    async def w(run):
        raise error

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "failed")
        assert (detail["error"], detail["error_message"], detail["output_data"]) == (text, text, None)
        assert detail["completed_at"]
        assert (await wire.get("/executions?status=failed")).json["items"][0]["error_message"] == text


@pytest.mark.parametrize(
    "error",
    [
        StopIteration("s"),
        SystemExit(1),
        GeneratorExit(),
        pytest.fail.Exception("f"),
        asyncio.CancelledError(),
        ZeroDivisionError("z"),
    ],
    ids=repr,
)
async def test_a_plain_step_that_raises(local, connect, error):
    def broken():
        raise error

    @local.workflow("w")
    async def w(run):
        await run.step("s", broken)

    async with connect(local) as wire:
        assert type(error).__name__ in (await wire.until(await wire.create("w"), "failed"))["error"]


async def test_a_step_that_raises_may_be_caught(local, connect):
    @local.workflow("w")
    async def w(run):
        try:
            await run.step("s", int, "x")
        except ValueError:
            return await run.step("fallback", lambda: "ok")

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed")
        assert detail["output_data"] == "ok"
        assert [checkpoint["name"] for checkpoint in detail["checkpoints"]] == ["fallback"]


async def test_steps_may_run_at_the_same_time(local, connect):
    @local.workflow("w")
    async def w(run):
        return await asyncio.gather(*(run.step(f"s{n}", lambda n=n: n) for n in range(50)))

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed")
        assert detail["output_data"] == list(range(50))
        assert {checkpoint["name"] for checkpoint in detail["checkpoints"]} == {f"s{n}" for n in range(50)}


async def test_what_a_run_knows(local, connect):
    seen = []

    @local.workflow("w")
    async def w(run):
        seen.append((run.execution_id, run.workflow_id, run.input_data, run.metadata, run.agent_id, repr(run)))

    async with connect(local) as wire:
        execution_id = await wire.create("w", {"a": 1}, metadata={"m": 2}, agent_id="ag")
        await wire.until(execution_id, "completed")
        assert seen == [(execution_id, "w", {"a": 1}, {"m": 2}, "ag", f"<WorkflowRun {execution_id} of 'w'>")]


async def test_a_workflow_registered_later_starts_what_waits_for_it(local, connect):
    async with connect(local) as wire:
        waiting = [await wire.create("late", n) for n in range(250)]
        other = await wire.create("later")

        @local.workflow("late")
        async def late(run):
            return run.input_data

        for n, execution_id in enumerate(waiting):
            assert (await wire.until(execution_id, "completed"))["output_data"] == (n or 0)
        assert (await wire.detail(other))["status"] == "pending"
        assert (await wire.get("/executions?status=pending")).json["total"] == 1


async def test_a_workflow_may_be_registered_from_another_thread(local, connect):
    async def late(run):
        return 1

    async with connect(local) as wire:
        execution_id = await wire.create("late")
        thread = threading.Thread(target=lambda: local.workflow("late")(late))
        thread.start()
        await wire.until(execution_id, "completed")
        thread.join()


async def test_what_stands_for_an_async_function_is_a_workflow(connect):
    local = LocalOmium()

    async def plain(run, more=0):
        return run.input_data + more

    class Callable:
        async def __call__(self, run):
            return await plain(run, 20)

    @functools.wraps(plain)
    def wrapper(run):
        return plain(run, 30)

    for name, function in {"partial": functools.partial(plain, more=10), "object": Callable(), "wrap": wrapper}.items():
        assert local.workflow(name)(function) is function
    async with connect(local) as wire:
        outputs = [
            (await wire.until(await wire.create(name, 1), "completed"))["output_data"]
            for name in ("partial", "object", "wrap")
        ]
        assert outputs == [11, 21, 31]


def test_only_async_functions_are_workflows():
    local = LocalOmium()
    with pytest.raises(TypeError, match="must be an async function"):
        local.workflow("w")(lambda run: None)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="must be an async function"):
        local.workflow("w")(5)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="not empty"):
        local.workflow("")


async def test_many_blocking_steps_at_once_do_not_block_the_server(local, connect):
    gate = threading.Event()

    @local.workflow("w")
    async def w(run):
        await run.step("s", gate.wait)

    async with connect(local) as wire:
        ids = [await wire.create("w") for _ in range(100)]
        assert (await wire.get("/executions?status=running")).json["total"] == 100
        gate.set()
        for execution_id in ids:
            await wire.until(execution_id, "completed")
    gc.collect()

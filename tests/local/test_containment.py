"""Whatever a workflow does is the end of that run alone; the run and its record agree; steps end with their run."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import gc
import logging
import sys
import threading
import weakref

import aiohttp
import anyio
import pytest

from omium_async.local import LocalOmium
from omium_async.local.containment import describe


class UnprintableError(Exception):
    def __str__(self) -> str:  # noqa: PLE0307
        sys.exit("not even this")


def deep_group(levels: int) -> BaseException:
    return functools.reduce(lambda inner, _: ExceptionGroup("g", [inner]), range(levels), ValueError("in the middle"))


async def exits():
    sys.exit("done")


def interrupts():
    raise KeyboardInterrupt


async def in_gather(run):
    await asyncio.gather(run.step("a", exits), run.step("b", lambda: 1))


async def in_group(run):
    async with asyncio.TaskGroup() as group:
        group.create_task(run.step("a", exits))
        group.create_task(run.step("b", lambda: sys.exit(3)))


async def in_its_own_tasks(run):
    await asyncio.gather(exits(), asyncio.sleep(0))


async def in_its_own_group(run):
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(5))
        group.create_task(exits())


async def in_a_forgotten_task(run):
    task = asyncio.create_task(exits())
    await asyncio.wait([task])
    task.exception()
    cancelled_at_once = asyncio.create_task(exits())
    cancelled_at_once.cancel()
    await asyncio.wait([cancelled_at_once])
    raise ValueError("went on")


async def in_thread(run):
    await asyncio.gather(run.step("a", interrupts))


async def unprintable(run):
    raise UnprintableError


async def deep(run):
    raise deep_group(400)


async def cancels_itself(run):
    asyncio.current_task().cancel()


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (in_gather, "SystemExit: done"),
        (in_group, "SystemExit: "),
        (in_its_own_tasks, "SystemExit: done"),
        (in_its_own_group, "SystemExit: done"),
        (in_a_forgotten_task, "ValueError: went on"),
        (in_thread, "KeyboardInterrupt"),
        (unprintable, "UnprintableError"),
        (deep, "ValueError: in the middle"),
        (cancels_itself, "CancelledError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_whatever_a_workflow_does_is_the_end_of_that_run_alone(local, connect, caplog, function, text):
    caplog.set_level(logging.DEBUG)
    local.workflow("w")(function)

    @local.workflow("other")
    async def other(run):
        return await run.step("s", lambda: "well")

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "failed", "completed")
        assert detail["error"].startswith(text)
        assert (await wire.until(await wire.create("other"), "completed"))["output_data"] == "well"


@pytest.mark.parametrize("limit", ["asyncio", "anyio"])
async def test_a_step_that_a_time_out_cut_off_has_no_record(local, connect, limit):
    """At any moment: in the function, while its result waits to be written, and as the answer comes back."""
    fates = {}

    @local.workflow("w")
    async def w(run):
        loop = asyncio.get_running_loop()
        start = loop.time()
        await run.step("measured", asyncio.sleep, 0.0005)
        fates["measured"] = "done"
        whole = loop.time() - start
        for n in range(60):
            fates[f"s{n}"] = "cut off"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(n / 25 * whole) if limit == "asyncio" else contextlib.nullcontext():
                    with anyio.CancelScope() if limit == "asyncio" else anyio.move_on_after(n / 25 * whole):
                        await run.step(f"s{n}", asyncio.sleep, 0.0005)
                        fates[f"s{n}"] = "done"

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed", "failed")
        assert detail["error"] is None
        assert [c["name"] for c in detail["checkpoints"]] == [name for name, fate in fates.items() if fate == "done"]
        assert set(fates.values()) == {"done", "cut off"}


async def test_a_step_that_is_cut_off_while_it_is_written_leaves_no_record(tmp_path, connect):
    local = LocalOmium(tmp_path / "o.db")
    held, let_go = threading.Event(), threading.Event()
    begun = asyncio.Event()
    fate = []

    @local.workflow("w")
    async def w(run):
        begun.set()
        try:
            async with asyncio.timeout(0.05):
                await run.step("s", lambda: 1)
        except TimeoutError:
            fate.append("cut off")

    def hold(_):
        held.set()
        let_go.wait()

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await begun.wait()
        holding = asyncio.create_task(local._running.database.write(hold))
        await asyncio.to_thread(held.wait)
        await asyncio.sleep(0.1)  # the time-out strikes meanwhile
        let_go.set()
        await holding
        detail = await wire.until(execution_id, "completed")
        assert (fate, detail["checkpoints"]) == (["cut off"], [])


@pytest.mark.parametrize("how", ["gather", "left behind", "rollback"])
async def test_a_step_does_not_outlive_its_run(local, connect, how):
    under_way, ended = [], []
    gate = asyncio.Event()

    async def slow():
        under_way.append(1)
        try:
            await gate.wait()
        finally:
            ended.append(1)

    async def fails():
        while not under_way:
            await asyncio.sleep(0)
        raise ValueError("at once")

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        if how == "gather":
            await asyncio.gather(run.step("slow", slow), run.step("fails", fails))
        task = asyncio.create_task(run.step("slow", slow))
        while not under_way:
            await asyncio.sleep(0)
        if how == "rollback":
            await task

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        if how == "rollback":
            while not under_way:
                await asyncio.sleep(0)
            (checkpoint,) = (await wire.detail(execution_id))["checkpoints"]
            await wire.move(execution_id, "rollback", checkpoint["id"])
        else:
            await wire.until(execution_id, "failed" if how == "gather" else "completed")
        assert (under_way, ended) == ([1], [1])
        assert [c["name"] for c in (await wire.detail(execution_id))["checkpoints"]] == ["one"]


async def test_a_step_begun_after_the_end_of_its_run_does_nothing(local, connect):
    begin, begun = asyncio.Event(), []
    tasks = []

    @local.workflow("w")
    async def w(run):
        async def later():
            await begin.wait()
            await run.step("late", begun.append, 1)

        tasks.append(asyncio.create_task(later()))

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await wire.until(execution_id, "completed")
        begin.set()
        await asyncio.wait(tasks)
        assert tasks[0].cancelled()
        assert begun == (await wire.detail(execution_id))["checkpoints"] == []


async def test_tasks_are_made_as_before_when_the_last_server_has_stopped():
    loop = asyncio.get_running_loop()

    def own(loop, coroutine, **how):
        return asyncio.Task(coroutine, loop=loop, **how)

    loop.set_task_factory(own)
    first, second = LocalOmium(), LocalOmium()
    await first.start()
    await second.start()
    await first.stop()
    assert loop.get_task_factory() is not own
    await second.stop()
    assert loop.get_task_factory() is own
    loop.set_task_factory(None)
    await first.start()
    await first.stop()
    assert loop.get_task_factory() is None


async def test_a_run_that_has_ended_is_not_kept(local, connect):
    runs = []

    @local.workflow("w")
    async def w(run):
        runs.append(weakref.ref(run))
        raise ValueError  # whose traceback leads to the run

    async with connect(local) as wire:
        for _ in range(3):
            await wire.until(await wire.create("w"), "failed")
        await wire.create("other")  # for the database holds on to what it has just written
        async with asyncio.timeout(10):  # what is written is answered before the last turn of its run
            while any(run() for run in runs):
                gc.collect()
                await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["stop", "Ctrl-C", "Ctrl-C behind it"])
def test_asyncio_finds_nothing_to_report_of_a_run_that_is_cut_off(tmp_path, end):
    reported = []
    pressed = []

    def clock():
        if pressed:
            raise pressed.pop()
        return dt.datetime.now(dt.UTC)

    local = LocalOmium(tmp_path / "o.db", clock=clock)

    @local.workflow("w")
    async def w(run):
        begun.set()
        if end == "Ctrl-C":
            raise KeyboardInterrupt
        if end == "stop":
            await asyncio.Event().wait()
        pressed.append(KeyboardInterrupt())

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        async with local, aiohttp.ClientSession() as session:
            given = {"json": {"workflow_id": "w"}, "headers": {"X-API-Key": local.api_key}}
            async with session.post(f"{local.url}/api/v1/executions", **given):
                pass
            await begun.wait()
            await asyncio.sleep(0 if end == "stop" else 30)

    begun = asyncio.Event()
    with contextlib.nullcontext() if end == "stop" else pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    gc.collect()
    assert reported == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("omium-local-writer")]


def test_ctrl_c_while_an_error_is_put_into_words_is_not_taken_for_the_errors():
    class OddError(Exception):
        raised: BaseException = SystemExit(3)

        def __str__(self):
            raise self.raised

    assert describe(OddError()) == "OddError"
    OddError.raised = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        describe(OddError())

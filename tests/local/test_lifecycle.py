"""Start and stop: nothing hangs, nothing is left, nothing is said on stderr."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import aiohttp
import anyio
import pytest

from omium_async.local import Fault, LocalOmium, LocalOmiumError

from ..development import complaints
from ..ports import free_port


def left_behind() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("omium-")}


async def test_nothing_is_left_after_stop(local, connect):
    @local.workflow("w")
    async def w(run):
        await run.step("thread", lambda: 1)
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with connect(local) as wire:
        ids = [await wire.create("w") for _ in range(20)]
        while not all([(await wire.detail(one))["checkpoints"] for one in ids]):
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert left_behind() == set()


async def test_stop_does_not_wait_for_a_thread_that_sleeps(local, connect):
    entered, gate = threading.Event(), threading.Event()

    def sleeps():
        entered.set()
        gate.wait()

    @local.workflow("w")
    async def w(run):
        await run.step("s", sleeps)

    async with connect(local) as wire:
        await wire.create("w")
        await asyncio.to_thread(entered.wait)
        async with asyncio.timeout(30):
            await local.stop()
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("omium-local-step"):
            await asyncio.to_thread(thread.join)
    assert left_behind() == set()


async def test_sleeping_threads_take_no_room_from_others(connect):
    local = LocalOmium()
    gate = threading.Event()

    @local.workflow("sleeps")
    async def sleeps(run):
        await run.step("first", lambda: 1)
        await run.step("sleep", gate.wait)

    @local.workflow("quick")
    async def quick(run):
        return await run.step("s", lambda: 1)

    async with connect(local) as wire:
        for _ in range(64):  # far more than there are threads
            execution_id = await wire.create("sleeps")
            while not (checkpoints := (await wire.detail(execution_id))["checkpoints"]):
                await asyncio.sleep(0)
            await wire.move(execution_id, "rollback", checkpoints[0]["id"])
        await wire.until(await wire.create("quick"), "completed")
    gate.set()


async def test_stop_while_requests_and_runs_are_under_way(local, connect):
    @local.workflow("w")
    async def w(run):
        for n in range(1000):
            await run.step(f"s{n}", lambda: 1)

    async with connect(local) as wire:

        async def load():
            with pytest.raises((aiohttp.ClientError, LocalOmiumError)):
                while True:
                    await wire.create("w")

        loads = [asyncio.create_task(load()) for _ in range(8)]
        while len(local.requests) < 100:
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await local.stop()
        await asyncio.gather(*loads)


async def test_what_ran_goes_on_at_the_next_start(tmp_path, connect):
    path = tmp_path / "o.db"
    ran = []

    def register(local, gate):
        @local.workflow("w")
        async def w(run):
            await run.step("one", ran.append, 1)
            await gate.wait()
            return await run.step("two", lambda: "done")

    local = LocalOmium(path)
    register(local, asyncio.Event())
    async with connect(local) as wire:
        execution_id = await wire.create("w")
        while not (await wire.detail(execution_id))["checkpoints"]:
            await asyncio.sleep(0)
    async with connect(LocalOmium(path)) as wire:  # its workflow is not known here: it stays as it is
        assert (await wire.detail(execution_id))["status"] == "running"
    local = LocalOmium(path)
    gate = asyncio.Event()
    gate.set()
    register(local, gate)
    async with connect(local) as wire:
        detail = await wire.until(execution_id, "completed")
        assert (detail["output_data"], ran) == ("done", [1])


async def test_what_is_asked_before_the_start(tmp_path):
    local = LocalOmium(api_keys="key-1")
    assert local.api_key == "key-1"
    assert "not started" in repr(local)
    with pytest.raises(LocalOmiumError, match="not started"):
        _ = local.url
    with pytest.raises(LocalOmiumError, match="not started"):
        _ = LocalOmium(tmp_path / "o.db").api_key


async def test_a_server_in_memory_has_its_key_from_the_start_and_for_ever(connect):
    local, other = LocalOmium(), LocalOmium()
    key = local.api_key
    assert key != other.api_key
    for _ in range(2):
        async with connect(local) as wire:
            assert (await wire.as_tenant(key).get("/executions")).status == 200
        assert local.api_key == key


INTERRUPTED = """
import asyncio, logging, sys, threading
sys.path.insert(0, sys.argv[2])
import aiohttp
from omium_async.local import LocalOmium
logging.basicConfig()
async def main(function, until):
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is nothing to be told of
    local = LocalOmium(sys.argv[1], api_keys="key-1")
    local.workflow("w")(function)
    headers = {"X-API-Key": "key-1"}
    async with local, aiohttp.ClientSession(headers=headers) as session:
        url = f"{local.url}/api/v1/executions"
        if until is None:
            await session.post(url, json={"workflow_id": "w"})
            await asyncio.sleep(20)
        while True:
            async with session.get(url) as response:
                (row,) = (await response.json())["items"]
            if row["status"] == until:
                return row
            await asyncio.sleep(0.01)
async def interrupted(run):
    raise KeyboardInterrupt
async def completes(run):
    return "went on"
try:
    asyncio.run(main(interrupted, None))
except KeyboardInterrupt:
    print("interrupted", flush=True)
if sys.argv[3] == "main":
    print(asyncio.run(main(completes, "completed"))["output_data"])
else:
    thread = threading.Thread(target=lambda: print(asyncio.run(main(interrupted, "failed"))["error_message"]))
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(("thread", "outcome"), [("main", "went on"), ("other", "KeyboardInterrupt")])
def test_an_interrupt_stops_the_program_and_what_ran_goes_on_at_the_next_start(tmp_path, root, thread, outcome):
    arguments = [sys.executable, "-X", "dev", "-c", INTERRUPTED, str(tmp_path / "o.db"), root, thread]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split("\n", 1)) == (0, ["interrupted", outcome + "\n"]), done.stderr
    assert done.stderr == ""


THROWN_AWAY = """
import asyncio, gc, sys
sys.path.insert(0, sys.argv[1])
import aiohttp
from omium_async.local import LocalOmium
local = LocalOmium()
@local.workflow("w")
async def w(run):
    await asyncio.Event().wait()
async def main():
    await local.start()
    async with aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
        await session.post(f"{local.url}/api/v1/executions", json={"workflow_id": "w"})
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
del local, w, loop
gc.collect()
print("end")
"""


def test_a_run_that_is_thrown_away_with_its_loop_awaits_nothing_more(root):
    done = subprocess.run(
        [sys.executable, "-c", THROWN_AWAY, root], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "end\n")
    assert "GeneratorExit" not in done.stderr


def test_three_loops_one_after_the_other(tmp_path):
    local = LocalOmium(tmp_path / "o.db")

    async def once():
        async with local, aiohttp.ClientSession() as session:
            async with session.post(
                f"{local.url}/api/v1/executions", json={"workflow_id": "w"}, headers={"X-API-Key": local.api_key}
            ) as response:
                assert response.status == 201
            async with session.get(f"{local.url}/api/v1/executions", headers={"X-API-Key": local.api_key}) as response:
                return (await response.json())["total"]

    assert [asyncio.run(once()) for _ in range(3)] == [1, 2, 3]


def test_a_start_that_is_cancelled(tmp_path):
    async def main():
        for turns in range(12):
            local = LocalOmium(tmp_path / "o.db")
            task = asyncio.create_task(local.start())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await local.stop()
        async with LocalOmium(tmp_path / "o.db"):
            pass

    asyncio.run(main())
    assert left_behind() == set()


SCRIPT = """
import asyncio, sys, time, threading
sys.path.insert(0, sys.argv[1])
import aiohttp
from omium_async.local import LocalOmium, Fault

async def main(path):
    local = LocalOmium(path)
    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        await run.step("two", time.sleep, 600)
    async with local, aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
        for _ in range(5):
            async with session.post(local.url + "/api/v1/executions", json={"workflow_id": "w"}) as response:
                assert response.status == 201
        local.inject(Fault(action="stall"))
        stalled = asyncio.create_task(session.get(local.url + "/api/v1/executions"))
        while len(local.requests) < 6:
            await asyncio.sleep(0.001)
    await asyncio.gather(stalled, return_exceptions=True)

asyncio.run(main(None))
asyncio.run(main(sys.argv[2]))
print("done")
"""


def test_development_mode_has_nothing_to_say(tmp_path, root):
    """Also: the interpreter ends although threads sleep for ten minutes."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, root, str(tmp_path / "o.db")],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, complaints(done.stderr)) == (0, "done\n", "")


def test_faults_may_be_injected_before_the_start():
    local = LocalOmium()
    fault = Fault(action="stall")
    assert local.inject(fault) is fault


def test_the_event_loop_is_never_blocked(tmp_path, connect):
    """With a file no call of SQLite is made on the loop. (In memory they are made there on purpose: they are short.)"""
    from blockbuster import blockbuster_ctx

    local = LocalOmium(tmp_path / "o.db")

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        raise ValueError

    async def main():
        async with connect(local) as wire:
            execution_id = await wire.create("w")
            detail = await wire.until(execution_id, "failed")
            await wire.move(execution_id, "rollback", detail["checkpoints"][0]["id"])
            await wire.get("/executions?status=failed")

    with blockbuster_ctx():
        asyncio.run(main())


@pytest.mark.parametrize("kind", ["turns", "seconds"])
async def test_a_start_in_a_cancelled_scope_leaves_neither_file_nor_port_in_use(tmp_path, kind):
    """A scope of anyio cancels anew at each turn of the loop, also what cleans up."""
    port = free_port()
    for moment in range(40):
        path = tmp_path / f"{moment}.db"
        with anyio.CancelScope() as scope:
            loop = asyncio.get_running_loop()
            if kind == "seconds":
                loop.call_later(moment * 0.0005, scope.cancel)
            else:
                loop.call_soon(cancel_after, moment, scope)
            async with LocalOmium(path, port=port):
                await asyncio.Event().wait()
        async with LocalOmium(path, port=port) as local:
            assert local.url
        assert scope.cancelled_caught


def cancel_after(turns, scope):
    if turns:
        asyncio.get_running_loop().call_soon(cancel_after, turns - 1, scope)
    else:
        scope.cancel()


def test_a_stop_after_the_end_of_its_loop_frees_the_port():
    local, loop = LocalOmium(), asyncio.new_event_loop()
    loop.run_until_complete(local.start())
    port = int(local.url.rpartition(":")[2])
    loop.close()  # as many programs do, without closing generators
    asyncio.run(local.stop())

    async def serve_again():
        async with LocalOmium(port=port):
            pass

    asyncio.run(serve_again())

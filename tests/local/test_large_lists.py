"""Lists of large rows are sent row by row: right to the last byte, and never whole in memory."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import tracemalloc

import pytest

from omium_async import AsyncOmium
from omium_async.local import Fault, LocalOmium, lists, store

MIB = 2**20


async def fill(local, count, size):
    new = [
        (f"exec_{n:012d}", store.Submission(f"w{n % 2}", b'"%s"' % (b"%d" % n * size), b'{"n":%d}' % n, None))
        for n in range(count)
    ]
    await local._running.database.write(
        functools.partial(
            store.fill,
            tenant=local._running.keyring.tenants()[0],
            new=new,
            status="completed",
            now="2026-01-01T00:00:00.000000Z",
        )
    )


async def drained(found):
    return [one async for one in found]


@pytest.mark.parametrize("at_once", [0, 1, 500, 2500, 10**9])
@pytest.mark.parametrize(
    "query", ["", "page_size=7", "page_size=7&page=2", "workflow_id=w1", "status=completed&page=9"]
)
async def test_large_and_small_lists_are_the_same(local, connect, monkeypatch, at_once, query):
    async with connect(local) as wire:
        await fill(local, 20, 100)
        whole = await wire.get(f"/executions?{query}")
        monkeypatch.setattr(lists, "_AT_ONCE", at_once)
        pieces = await wire.get(f"/executions?{query}")
        assert pieces.text == whole.text
        assert json.loads(pieces.text)["items"] or "page=9" in query


async def test_a_list_of_large_rows_is_never_whole_in_memory(tmp_path):
    """30 rows of 4 MiB: a fifth of them at most."""
    async with LocalOmium(tmp_path / "o.db") as local:
        await fill(local, 30, 4 * MIB)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(local.url.rpartition(":")[2]))
        tracemalloc.start()
        try:
            head = f"GET /api/v1/executions?page_size=100 HTTP/1.0\r\nX-API-Key: {local.api_key}\r\n\r\n"
            writer.write(head.encode())
            size = 0
            while piece := await reader.read(MIB):
                size += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            writer.close()
        assert size > 30 * 4 * MIB
        assert peak < 30 * 4 * MIB / 4


SERVING = """
import asyncio, sys
from omium_async.local import LocalOmium

def rss(name):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(name)]
    return int(line.split()[1]) // 1024

async def main():
    async with LocalOmium(sys.argv[1]) as local:
        print(local.url, local.api_key, flush=True)
        before = rss("VmRSS")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(rss("VmHWM") - before)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is asked for in /proc")
async def test_a_list_of_the_largest_rows_costs_the_process_a_few_of_them(tmp_path):
    """Rows of 16 MiB, the most that a create takes: 64 MiB, on a busy machine 97; 1.9 GB if 30 are whole."""
    async with LocalOmium(tmp_path / "o.db") as local:
        await fill(local, 10, 16 * MIB)
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVING, str(tmp_path / "o.db"), stdin=pipe, stdout=pipe
    )
    url, key = (await server.stdout.readline()).decode().split()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"GET /api/v1/executions?page_size=100 HTTP/1.0\r\nX-API-Key: {key}\r\n\r\n".encode())
    size = 0
    while piece := await reader.read(MIB):
        size += len(piece)
    writer.close()
    more, _ = await server.communicate(b"")
    assert size > 10 * 16 * MIB
    assert int(more) < 130


async def test_a_client_that_goes_away_in_the_middle(tmp_path, connect):
    async with connect(LocalOmium(tmp_path / "o.db")) as wire:
        await fill(wire.local, 10, 2 * MIB)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(wire.local.url.rpartition(":")[2]))
        writer.write(f"GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key: {wire.local.api_key}\r\n\r\n".encode())
        await reader.read(MIB)
        writer.transport.abort()
        assert (await wire.get("/executions?page_size=1")).status == 200


async def test_what_is_forgotten_meanwhile_is_left_out(local, connect, monkeypatch):
    monkeypatch.setattr(lists, "_AT_ONCE", 0)
    async with connect(local) as wire:
        await fill(local, 5, 10)
        monkeypatch.setattr(lists, "next_rows", lambda _, positions: positions.clear() or [])
        assert len((await wire.get("/executions")).json["items"]) == 1


@pytest.mark.parametrize(
    ("listed", "then"),
    [
        ("running", "completed"),
        ("completed", "paused"),
        ("failed", "running"),
        ("failed", "completed"),
        ("failed", "failed"),
    ],
)
async def test_rows_are_as_they_were_when_the_list_was_asked_for(local, connect, monkeypatch, listed, then):
    """Whatever becomes of them before their turn comes. Only an output that is gone cannot be shown."""
    go_on, asked, done, all_there = (asyncio.Event() for _ in range(4))
    begun = []
    real = lists.next_rows

    @local.workflow("work")
    async def work(run):
        await run.step("first", lambda: 1)
        begun.append(run)
        if len(begun) == 5:
            all_there.set()
        if "running" in (listed if len(begun) <= 5 else then):
            await go_on.wait()
        if (listed if len(begun) <= 5 else then) == "failed":
            raise RuntimeError(f"the error of run {len(begun)}")
        return "its output"

    async with connect(local) as wire, AsyncOmium(local.api_key, base_url=local.url) as omium:
        ids = [(await omium.executions.create("work")).id for _ in range(5)]
        await all_there.wait()
        await drained(omium.executions.wait_many(ids, until=listed))
        before = (await wire.get(f"/executions?status={listed}")).json["items"]

        async def change() -> None:
            await asked.wait()
            if listed == "running":
                go_on.set()
            for id in ids:
                if listed == "completed":
                    await omium.executions.rollback(id, checkpoint_name="first")
                if listed == "failed":
                    await omium.executions.replay(id, checkpoint_name="first")
            for id in ids:
                await omium.executions.wait(id, until=then)  # a wait for many would ask for lists
            done.set()

        loop = asyncio.get_running_loop()

        def after_the_change(connection, later):
            loop.call_soon_threadsafe(asked.set)
            return real(connection, later if done.is_set() else [])

        monkeypatch.setattr(lists, "_AT_ONCE", 0)
        monkeypatch.setattr(lists, "next_rows", after_the_change)
        changing = asyncio.create_task(change())
        rows = (await wire.get(f"/executions?status={listed}")).json["items"]
        await changing
        assert [row["status"] for row in rows] == [listed] * 5
        if listed == "completed":
            for row in before[1:]:  # the first had been read by then
                row["output_data"] = None
        assert rows == before
        go_on.set()


async def test_a_place_that_was_given_away_again_is_not_shown(local, connect, monkeypatch):
    monkeypatch.setattr(lists, "_AT_ONCE", 0)
    async with connect(local) as wire:
        await fill(local, 5, 10)
        later = lists.Later(local._running.keyring.tenants()[0].id * store.POSITIONS_PER_TENANT + 1, 0, ("exec_other",))
        assert await local._running.database.read(lambda c: lists.next_rows(c, [later])) == []
        assert (await wire.get("/executions")).status == 200


@pytest.mark.parametrize("action", ["drop", "status", "truncate", "garbage", "delay"])
async def test_faults_after_a_large_list(local, connect, monkeypatch, action):
    monkeypatch.setattr(lists, "_AT_ONCE", 0)
    async with connect(local) as wire:
        await fill(local, 5, 10)
        local.inject(Fault(action=action, when="after"))
        asked = asyncio.gather(wire.get("/executions"), return_exceptions=True)
        (answer,) = await asked
        assert isinstance(answer, Exception) == (action in {"drop", "truncate", "garbage"})
        if action == "delay":
            assert len(answer.json["items"]) == 5

"""Executions that wait are taken up: whenever their workflow comes, when the database works again, a few at a time."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
import tracemalloc

import pytest

from omium_async.local import LocalOmium, database, persistence, resuming, store


async def fill(path, count, workflow_id="w", status="pending"):
    """A database with many executions of one status."""
    async with LocalOmium(path) as local:
        new = [(f"exec_{n:012d}", store.Submission(workflow_id, b"{}", b"{}", None)) for n in range(count)]
        tenant = local._running.keyring.tenants()[0]
        now = "2026-01-01T00:00:00.000000Z"
        await local._running.database.write(
            functools.partial(store.fill, tenant=tenant, new=new, status=status, now=now)
        )


async def total(wire, status):
    return (await wire.get(f"/executions?page_size=1&status={status}")).json["total"]


@pytest.mark.parametrize("moment", range(0, 40, 4))
async def test_a_workflow_registered_while_the_start_resumes_others(tmp_path, connect, moment):
    path = tmp_path / "o.db"
    await fill(path, 30, "first")
    async with LocalOmium(path) as local:
        await local._running.database.write(
            lambda c: c.execute("UPDATE executions SET workflow_id = 'second' WHERE position % 2 = 0")
        )
        await local._running.database.write(lambda c: c.execute("DELETE FROM tallies"))
        await local._running.database.write(
            lambda c: c.execute(
                "INSERT INTO tallies SELECT tenant, workflow_id, status, count(*) FROM executions GROUP BY 1, 2, 3"
            )
        )
    local = LocalOmium(path)

    async def done(run):
        return 1

    local.workflow("first")(done)

    async def register():
        for _ in range(moment):
            await asyncio.sleep(0)
        local.workflow("second")(done)

    registering = asyncio.create_task(register())
    async with connect(local) as wire:
        await registering
        async with asyncio.timeout(30):
            while await total(wire, "completed") < 30:
                await asyncio.sleep(0.001)


async def test_a_workflow_registered_while_a_replay_is_written(tmp_path, connect):
    path = tmp_path / "o.db"
    local = LocalOmium(path)

    async def fails(run):
        await run.step("one", lambda: 1)
        raise ValueError

    async def works(run):
        return 1

    local.workflow("w")(fails)
    async with connect(local) as wire:
        ids = [await wire.create("w") for _ in range(40)]
        details = [await wire.until(one, "failed") for one in ids]
    local = LocalOmium(path)
    async with connect(local) as wire:
        for number, detail in enumerate(details):
            before = local.counts.get("POST /executions/*/replay", 0)
            replaying = asyncio.create_task(wire.move(detail["id"], "replay", detail["checkpoints"][0]["id"]))
            while local.counts.get("POST /executions/*/replay", 0) == before:
                await asyncio.sleep(0)
            for _ in range(number % 20):
                await asyncio.sleep(0)
            local.workflow("w")(works)
            assert (await replaying).status == 200
            await wire.until(detail["id"], "completed")
            del local._parts.workflows._workflows["w"]


async def test_what_a_lock_held_back_goes_on_by_itself(tmp_path, connect, monkeypatch, caplog):
    monkeypatch.setattr(database, "_PATIENCE", 0.05)
    monkeypatch.setattr(persistence, "_PAUSES", (0.01, 0.02))
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    reached, go_on = asyncio.Event(), asyncio.Event()
    ran = []

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        reached.set()
        await go_on.wait()
        return await run.step("two", lambda: ran.append(1) or "two")

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        await reached.wait()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        go_on.set()
        async with asyncio.timeout(30):
            while "the database refuses to write" not in caplog.text:
                await asyncio.sleep(0.005)
        assert (await wire.call("POST", "/executions", {"workflow_id": "w"})).status == 500
        assert (await wire.detail(execution_id))["status"] == "running"
        other.execute("COMMIT")
        other.close()
        detail = await wire.until(execution_id, "completed", "failed")
        assert (detail["output_data"], ran) == ("two", [1])
        said = [record for record in caplog.records if record.name == "omium_async.local.database"]
        assert [record.levelno for record in said] == [logging.WARNING] * 2


async def test_jobs_that_wait_for_a_lock_wait_together(tmp_path, connect, monkeypatch):
    """Each its own few seconds, not each those of all before it; and none once the server stops."""
    monkeypatch.setattr(database, "_PATIENCE", 1.0)
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    loop = asyncio.get_running_loop()
    async with connect(local) as wire:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        start = loop.time()
        answers = await asyncio.gather(*(wire.call("POST", "/executions", {"workflow_id": "w"}) for _ in range(8)))
        assert {answer.status for answer in answers} == {500}
        assert loop.time() - start < 6  # 8 for one after the other
        monkeypatch.setattr(database, "_PATIENCE", 60.0)
        held = [asyncio.create_task(wire.call("POST", "/executions", {"workflow_id": "w"})) for _ in range(8)]
        while len(local.requests) < 16:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            await local.stop()
        await asyncio.gather(*held, return_exceptions=True)
        other.execute("ROLLBACK")
        other.close()


async def test_no_more_than_a_bounded_number_is_taken_up_at_once(tmp_path, connect, monkeypatch):
    monkeypatch.setattr(resuming, "_AT_ONCE", 20)
    path = tmp_path / "o.db"
    await fill(path, 300)
    local = LocalOmium(path)
    alive = most = 0

    @local.workflow("w")
    async def w(run):
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        await asyncio.sleep(0.002)
        alive -= 1

    async with connect(local) as wire:
        while await total(wire, "completed") < 300:
            await asyncio.sleep(0.01)
        assert most == 20


async def test_thousands_that_wait_neither_hold_up_the_start_nor_fill_the_memory(tmp_path, connect, monkeypatch):
    """Answers come meanwhile. 100,000 took 51 s on a busy machine, 1,000 alive at once and 8 MiB more."""
    monkeypatch.setattr(resuming, "_LONG", 1000.0)
    path = tmp_path / "o.db"
    await fill(path, 5000)
    local = LocalOmium(path)
    alive = most = ended = answers = 0
    answered = asyncio.Event()

    @local.workflow("w")
    async def w(run):
        nonlocal alive, most, ended
        alive += 1
        most = max(most, alive)
        await answered.wait()
        alive -= 1
        ended += 1

    tracemalloc.start()
    try:
        async with connect(local) as wire:
            assert await total(wire, "completed") < 5000
            while ended < 5000:
                answers += (await wire.get("/executions?page_size=1")).status == 200
                if answers == 10:
                    answered.set()
                assert len(local._running.engine._runs) <= 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most <= 1000
    assert answers >= 10
    assert peak < 30 * 2**20


async def test_a_run_that_takes_long_makes_room_for_what_it_waits_for(tmp_path, connect, monkeypatch):
    monkeypatch.setattr(resuming, "_AT_ONCE", 2)
    monkeypatch.setattr(resuming, "_LONG", 0.05)
    path = tmp_path / "o.db"
    await fill(path, 9)
    local = LocalOmium(path)
    begun = 0
    all_begun = asyncio.Event()

    @local.workflow("w")
    async def w(run):
        nonlocal begun
        begun += 1
        if begun == 9:
            all_begun.set()
        await all_begun.wait()

    async with connect(local) as wire:
        async with asyncio.timeout(30):
            while await total(wire, "completed") < 9:
                await asyncio.sleep(0.01)

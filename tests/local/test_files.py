"""Files of a database: for their owner alone, locked whatever becomes of the lock, let go of, refused if foreign."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys

import pytest

from omium_async.local import LocalOmium, LocalOmiumError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights and locks")


async def made(path):
    async with LocalOmium(path):
        pass
    return path


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_files_that_others_could_read_are_closed_to_them(tmp_path):
    path = await made(tmp_path / "o.db")
    lock = tmp_path / "o.db-lock"
    for one in (path, lock):
        one.chmod(0o664)
    async with LocalOmium(path):
        assert [mode(tmp_path / name) for name in ("o.db", "o.db-lock", "o.db-wal")] == [0o600] * 3


async def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    path = await made(tmp_path / "o.db")
    (tmp_path / "o.db-lock").unlink()
    target = tmp_path / "of-somebody-else"
    target.write_text("dear")
    target.chmod(0o644)
    (tmp_path / "o.db-lock").symlink_to(target)
    with pytest.raises(LocalOmiumError, match="is a link"):
        await LocalOmium(path).start()
    assert (target.read_text(), mode(target)) == ("dear", 0o644)
    (tmp_path / "o.db-lock").unlink()
    await made(path)


HOLD = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from omium_async.local import LocalOmium
async def main():
    async with LocalOmium(sys.argv[1]):
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("where", ["this process", "another"])
async def test_a_lock_that_somebody_removed_lets_no_second_server_in(tmp_path, root, where):
    path = tmp_path / "o.db"
    if where == "this process":
        async with LocalOmium(path):
            (tmp_path / "o.db-lock").unlink()
            with pytest.raises(LocalOmiumError, match="in use by another LocalOmium"):
                await LocalOmium(path).start()
    else:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), root], stdout=subprocess.PIPE)  # noqa: ASYNC220
        try:
            assert await asyncio.to_thread(holder.stdout.readline) == b"ready\n"
            (tmp_path / "o.db-lock").unlink()
            with pytest.raises(LocalOmiumError, match="in use by another LocalOmium"):
                await LocalOmium(path).start()
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
    await made(path)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON executions BEGIN DELETE FROM executions; END", "trigger t"),
        ("CREATE VIEW v AS SELECT 1", "view v"),
        ("CREATE TABLE more (x)", "more"),
        ("DROP TABLE answers", "answers"),
        ("UPDATE tenants SET name = CAST(x'ff' AS TEXT)", "Could not decode"),
        ("ALTER TABLE tenants DROP COLUMN newest", "newest"),
    ],
)
async def test_a_database_of_somebody_else_s_making(tmp_path, statement, text):
    path = await made(tmp_path / "o.db")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()
    with pytest.raises(LocalOmiumError) as caught:
        await LocalOmium(path).start()
    assert str(path) in str(caught.value)
    assert text in str(caught.value)


async def test_a_table_that_is_damaged_is_told_in_words(tmp_path):
    path = tmp_path / "o.db"
    async with LocalOmium(path) as local:
        size = await local._running.database.read(lambda c: c.execute("PRAGMA page_size").fetchone()[0])
        roots = await local._running.database.read(
            lambda c: dict(c.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
        )
    with path.open("r+b") as file:
        file.seek((roots["api_keys"] - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(LocalOmiumError, match="damaged"):
        await LocalOmium(path).start()


async def test_a_cancelled_stop_lets_go_of_everything(tmp_path, connect):
    path = tmp_path / "o.db"
    for turns in range(6):
        local = LocalOmium(path)

        @local.workflow("w")
        async def w(run):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)

        async with connect(local) as wire:
            await wire.create("w")
            port = int(local.url.rpartition(":")[2])
            stopping = asyncio.create_task(local.stop())
            for _ in range(turns):
                await asyncio.sleep(0)
            stopping.cancel()
            await asyncio.wait([stopping])
            if turns == 0:  # it never began
                await local.stop()
        async with LocalOmium(path, port=port):
            pass


async def test_a_stop_in_a_cancelled_scope_of_anyio(tmp_path, connect):
    import anyio

    path = tmp_path / "o.db"
    local = LocalOmium(path)
    async with connect(local):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await local.stop()
        async with LocalOmium(path):
            pass


def test_a_loop_that_ends_without_a_stop_frees_file_and_port(tmp_path):
    path = tmp_path / "o.db"
    local = LocalOmium(path)

    async def start():
        await local.start()
        return int(local.url.rpartition(":")[2])

    port = asyncio.run(start())

    async def again(other):
        async with other:
            pass

    asyncio.run(again(LocalOmium(path, port=port)))
    asyncio.run(again(local))


@pytest.mark.parametrize("which", ["the same", "another"])
def test_a_loop_that_is_closed_without_any_ceremony(tmp_path, which):
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(local.start())
    loop.close()

    async def again():
        async with local if which == "the same" else LocalOmium(path):
            pass

    asyncio.run(again())
    if which == "another":
        asyncio.run(local.stop())


FORK = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from omium_async.local import LocalOmium, LocalOmiumError
from omium_sync import LocalOmium as SyncLocalOmium
local = SyncLocalOmium()
with local:
    child = os.fork()
    if child == 0:
        try:
            local.url
        except LocalOmiumError as error:
            print(error, flush=True)
        with SyncLocalOmium() as own:
            print(own.url.startswith("http://127.0.0.1:"), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_what_a_fork_is_advised_works(root):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, root],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[1:]) == (0, ["True"]), done.stderr
    assert "before the fork" in lines[0]
    assert "make a new LocalOmium here" in lines[0]


def test_nothing_that_blocks_on_the_loop(tmp_path, connect, monkeypatch):
    """In memory and on a file, from the construction to the stop."""
    from blockbuster import blockbuster_ctx

    async def main(path):
        local = LocalOmium(path)

        @local.workflow("w")
        async def w(run):
            await run.step("one", lambda: 1)
            raise ValueError

        async with connect(local) as wire:
            execution_id = await wire.create("w")
            detail = await wire.until(execution_id, "failed")
            await wire.move(execution_id, "rollback", detail["checkpoints"][0]["id"])
            assert (await wire.get("/executions?status=paused")).json["total"] == 1
            await local.reset()

    monkeypatch.chdir(tmp_path)
    with blockbuster_ctx():
        asyncio.run(main(None))
        asyncio.run(main("o.db"))

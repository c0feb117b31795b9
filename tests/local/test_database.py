"""Databases: what is kept, what is refused and why, and that refusing changes nothing."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import traceback
import zlib
from types import SimpleNamespace

import pytest

import omium_async.local
import omium_sync
from omium_async._data import sqlite as sqlite_files
from omium_async.local import LocalOmium, LocalOmiumError, tables
from omium_async.local.database import Database
from omium_async.local.file_lock import FileLock
from omium_async.local.persistence import Persistence

KEY = "omium_secret_0123456789"


async def refused(path) -> str:
    with pytest.raises(LocalOmiumError) as caught:
        await LocalOmium(path).start()
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_everything_is_there_after_a_restart(tmp_path, connect):
    path = tmp_path / "o.db"
    local = LocalOmium(path)

    @local.workflow("w")
    async def w(run):
        return await run.step("one", lambda: {"big": 10**100})

    async with connect(local) as wire:
        key = local.api_key
        done = await wire.create("w", {"a": 1}, metadata={"m": 1}, agent_id="x")
        await wire.until(done, "completed")
        waiting = await wire.create("other")
        before = [await wire.detail(one) for one in (done, waiting)]
        page = (await wire.get("/executions")).json
    with pytest.raises(LocalOmiumError, match="not started"):
        _ = local.url
    assert not (tmp_path / "o.db-wal").exists()
    async with connect(LocalOmium(str(path))) as wire:
        assert wire.local.api_key == key
        assert [await wire.detail(one) for one in (done, waiting)] == before
        assert (await wire.get("/executions")).json == page


async def test_the_same_object_may_start_again(local, connect):
    async with connect(local) as wire:
        await wire.create("w")
    async with connect(local) as wire:
        assert (await wire.get("/executions")).json["total"] == (0 if "memory" in repr(local) else 1)
        with pytest.raises(LocalOmiumError, match="started already"):
            await local.start()
    await local.stop()


async def test_keys_of_a_database(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path, api_keys={"key-a": "one"})) as wire:
        execution_id = await wire.create("w")
    async with connect(LocalOmium(path)) as wire:  # None: the keys of the last start
        assert wire.local.api_key == "key-a"
        await wire.detail(execution_id)
    async with connect(LocalOmium(path, api_keys={"key-b": "one", "key-c": "two"})) as wire:
        await wire.detail(execution_id)
        assert (await wire.as_tenant("key-c").get("/executions")).json["total"] == 0
        assert (await wire.as_tenant("key-a").get("/executions")).status == 401


async def test_keys_that_are_tenants_of_their_own_are_so_in_any_order(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path, api_keys=["key-a", "key-b"])) as wire:
        execution_id = await wire.create("w")
    async with connect(LocalOmium(path, api_keys=("key-b", "key-a"))) as wire:
        assert wire.local.api_key == "key-b"
        await wire.as_tenant("key-a").detail(execution_id)
        assert (await wire.get(f"/executions/{execution_id}")).status == 404


@pytest.mark.parametrize(
    "wrong", [5, [], {}, [""], ["a b\n"], ["é"], [5], {"k": ""}, {"k": 5}, {"k": "\ud800"}, [" k"]], ids=ascii
)
def test_keys_that_make_no_sense(wrong):
    with pytest.raises((TypeError, ValueError), match=r"api_keys|surrogates"):
        LocalOmium(api_keys=wrong)


def test_no_key_is_shown():
    local = LocalOmium(api_keys=KEY)
    assert local.api_key == KEY
    assert KEY not in repr(local) + repr(vars(local)) + repr(local._given_keys)
    with pytest.raises(ValueError) as caught:
        LocalOmium(api_keys=[KEY + "\n"])
    assert KEY not in str(caught.value)


def shown_with_locals(error: BaseException, package: str) -> str:
    """The traceback of an error as tools that show local variables show it, from the package's first frame on."""
    step = error.__traceback__
    while step is not None and package not in step.tb_frame.f_code.co_filename:
        step = step.tb_next
    assert step is not None
    found = traceback.TracebackException(type(error), error, step, capture_locals=True)
    return "".join(found.format())


@pytest.mark.parametrize(
    "package", [omium_async.local, omium_sync], ids=lambda package: package.__name__.partition(".")[0]
)
@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        (KEY, {"port": -1}),
        ([KEY], {"database": ":memory:"}),
        ({KEY: "t"}, {"clock": lambda: None}),
        (KEY + "\n", {}),
        ([KEY, 5], {}),
        ([[KEY]], {}),
        ({KEY: ""}, {}),
        (KEY.encode(), {}),
    ],
    ids=["text", "list", "mapping", "no header", "one that is wrong", "nested", "no tenant", "bytes"],
)
def test_no_traceback_shows_a_key(package, keys, wrong):
    with pytest.raises((TypeError, ValueError)) as caught:
        package.LocalOmium(api_keys=keys, **wrong)
    assert KEY not in shown_with_locals(caught.value, package.__name__.partition(".")[0])


@pytest.mark.parametrize("keys", [KEY, None], ids=["given", "kept"])
async def test_no_traceback_of_a_start_shows_a_key(tmp_path, monkeypatch, keys):
    path = tmp_path / "o.db"
    async with LocalOmium(path, api_keys=KEY):
        pass

    def failing(key: str) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("omium_async.local.keyring.Tenant", failing)
    with pytest.raises(Exception) as caught:
        await LocalOmium(path, api_keys=keys).start()
    assert "load_keys" in (shown := shown_with_locals(caught.value, "omium_async"))
    assert KEY not in shown


@pytest.mark.parametrize("keys", [KEY, [KEY], {KEY: "t"}, None], ids=["text", "list", "mapping", "made"])
async def test_a_key_that_is_asked_for_is_plain_text(keys):
    async with LocalOmium(api_keys=keys) as local:
        assert f"{local.api_key}" == local.api_key
        assert type(local.api_key) is str
        assert f"{local._running.keyring.first}" == local.api_key


async def test_no_key_is_shown_while_it_runs(local):
    async with local:
        shown = repr(local) + repr(vars(local)) + repr(vars(local._running)) + repr(local._running.keyring)
        assert local.api_key not in shown


async def test_a_file_that_is_not_sqlite(tmp_path):
    path = tmp_path / "o.db"
    content = b"this is no database, but a text that is long enough to be read as one" * 50
    path.write_bytes(content)
    assert "not a SQLite database" in await refused(path)
    assert path.read_bytes() == content


async def test_a_sqlite_file_of_another_program(tmp_path):
    path = tmp_path / "o.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    content = path.read_bytes()
    assert "of another program" in await refused(path)
    assert path.read_bytes() == content


async def test_a_database_of_a_newer_version(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path)) as wire:
        await wire.create("w")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = path.read_bytes()
    assert "newer omium-async" in await refused(path)
    assert path.read_bytes() == content


def test_other_tables_are_another_version():
    """Who changes them raises the version, says in `upgrades` how a file gets there, and writes down the new sum."""
    opened = tables.open_memory()
    shape = json.dumps(sorted(sqlite_files._shape(opened.writer)))
    opened.close()
    assert (tables._FORMAT.version, zlib.crc32(shape.encode())) == (2, 4045693771)
    assert len(tables._FORMAT.upgrades) == tables._FORMAT.version - 1


@pytest.fixture
def version_1(tmp_path, connect):
    """Makes a file of version 1: before resets remembered the latest id, or after, when it was still called 1."""

    async def make(*, remembers: bool = False, besides: str = ""):
        path = tmp_path / "o.db"
        async with connect(LocalOmium(path)) as wire:
            execution_id = await wire.create("w", {"a": 1})
        connection = sqlite3.connect(path)
        dropped = "" if remembers else "DROP TABLE forgotten;"
        connection.executescript(f"{dropped} PRAGMA user_version = 1; {besides}")
        connection.close()
        return path, execution_id

    return make


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_database_of_version_1_is_brought_up_to_date(version_1, connect, remembers):
    path, execution_id = await version_1(remembers=remembers)
    for _ in range(2):
        async with connect(LocalOmium(path)) as wire:
            assert (await wire.detail(execution_id))["input_data"] == {"a": 1}
    async with connect(LocalOmium(path)) as wire:
        await wire.local.reset()
    async with connect(LocalOmium(path)) as wire:
        assert await wire.create("w") > execution_id
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE TABLE theirs (x)",
        "CREATE TRIGGER theirs AFTER INSERT ON answers BEGIN SELECT 1; END",
        "CREATE TABLE forgotten (theirs)",
        "CREATE VIEW forgotten AS SELECT '' AS latest_id",
    ],
)
async def test_a_database_of_version_1_that_somebody_altered_is_left_as_it_is(version_1, theirs):
    path, _ = await version_1(besides=theirs)
    content = path.read_bytes()
    assert "not as omium-async made it" in await refused(path)
    assert path.read_bytes() == content


async def test_a_damaged_database(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path)) as wire:
        await wire.create("w")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert await refused(path)


async def test_a_file_that_is_read_only(tmp_path):
    path = tmp_path / "o.db"
    async with LocalOmium(path):
        pass
    path.chmod(0o444)
    assert "read-only" in await refused(path)


async def test_a_folder_that_is_not_there(tmp_path):
    assert "create it first" in await refused(tmp_path / "missing" / "o.db")
    assert "is not a file" in await refused(tmp_path)


async def test_an_empty_file_is_a_new_database(tmp_path, connect):
    path = tmp_path / "o.db"
    path.touch()
    async with connect(LocalOmium(path)) as wire:
        await wire.create("w")


async def test_a_key_opens_what_it_opened_before(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path)) as wire:  # a key is made, for the tenant `default`
        made = wire.local.api_key
        await wire.create("w")
    for keys in ([made], None, ["other"], [made], [made, "other"], None):
        async with connect(LocalOmium(path, api_keys=keys)) as wire:
            seen = (await wire.get("/executions")).json["total"]
            assert (wire.local.api_key, seen) == (("other", 0) if keys == ["other"] else (made, 1))
            old = await wire.as_tenant(made).get("/executions")
            assert old.status == (401 if keys == ["other"] else 200), "a key that is not given is not accepted"


async def test_a_key_keeps_the_tenant_that_it_was_given(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path, api_keys={"k1": "t1"})) as wire:
        execution_id = await wire.create("w")
    for keys in (["k1"], ["k2"], ["k2", "k1"], {"k3": "t1"}):
        async with connect(LocalOmium(path, api_keys=keys)) as wire:
            tenant = wire.as_tenant(list(keys)[-1])
            if keys != ["k2"]:
                assert (await tenant.detail(execution_id))["tenant_id"] == "t1"
            else:
                assert (await tenant.get("/executions")).json["total"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")
async def test_the_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "o.db"
    async with LocalOmium(path):
        for name in ("o.db", "o.db-wal", "o.db-lock"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_two_servers_on_one_file_in_one_process(tmp_path, connect):
    path = tmp_path / "o.db"
    async with connect(LocalOmium(path)) as wire:
        execution_id = await wire.create("w")
        assert "in use by another LocalOmium" in await refused(path)
        await wire.detail(execution_id)
        await wire.create("w")
    async with connect(LocalOmium(path)) as wire:
        assert (await wire.get("/executions")).json["total"] == 2


async def test_two_servers_on_one_file_by_way_of_a_link(tmp_path, connect):
    path, link, folder = tmp_path / "o.db", tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(path)
    folder.symlink_to(tmp_path, target_is_directory=True)
    async with connect(LocalOmium(link)) as wire:
        await wire.create("w")
        for way in (path, link, folder / "o.db"):
            with pytest.raises(LocalOmiumError, match="in use by another LocalOmium"):
                await LocalOmium(way).start()
    async with connect(LocalOmium(path)) as wire:
        assert (await wire.get("/executions")).json["total"] == 1


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


async def test_the_lock_of_a_killed_process_is_free(tmp_path, root):
    path = tmp_path / "o.db"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), root], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert await asyncio.to_thread(holder.stdout.readline) == b"ready\n"
    assert "in use by another LocalOmium" in await refused(path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    async with LocalOmium(path):
        pass


FORK = """
import asyncio, os, sys, time
sys.path.insert(0, sys.argv[2])
from omium_async.local import LocalOmium
async def main():
    local = LocalOmium(sys.argv[1])
    async with local:
        port = int(local.url.rpartition(":")[2])
        begun, begin = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(begin, b"x")
            time.sleep(100)
            os._exit(0)
        os.read(begun, 1)
        print(child, port, flush=True)
        if sys.argv[3] == "killed":
            await asyncio.Event().wait()
    async with LocalOmium(sys.argv[1], port=port):
        pass
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_child_keeps_neither_the_lock_nor_the_port(tmp_path, root, end):
    path = tmp_path / "o.db"
    arguments = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(path), root, end]
    server = subprocess.Popen(arguments, stdout=subprocess.PIPE)  # noqa: ASYNC220
    child, port = map(int, (await asyncio.to_thread(server.stdout.readline)).split())
    try:
        if end == "killed":
            server.kill()
        assert await asyncio.to_thread(server.wait) == (-signal.SIGKILL if end == "killed" else 0)
        async with LocalOmium(path, port=port):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        server.kill()
        server.stdout.close()


async def test_a_file_that_another_program_has_locked(tmp_path, monkeypatch):
    from omium_async.local import tables

    path = tmp_path / "o.db"
    async with LocalOmium(path):
        pass
    monkeypatch.setattr(tables, "_BUSY_TIMEOUT", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    assert "locked by another program" in await refused(path)
    other.execute("COMMIT")
    other.close()
    async with LocalOmium(path):
        pass


async def test_a_full_disk_loses_nothing_that_was_answered(tmp_path, connect):
    path = tmp_path / "o.db"
    local = LocalOmium(path)
    ran = []

    @local.workflow("w")
    async def w(run):
        await run.step("big", lambda: ran.append(1) or "x" * 200_000)

    async with connect(local) as wire:
        kept = [await wire.create("none") for _ in range(5)]
        await local._running.database.write(lambda c: c.execute("PRAGMA max_page_count = 60").fetchone())
        answer = await wire.call("POST", "/executions", {"workflow_id": "none", "input_data": "x" * 500_000})
        assert answer.status == 500
        assert "full" in answer.json["detail"]
        execution_id = await wire.create("w")
        while not ran:
            await asyncio.sleep(0.001)
        assert (await wire.detail(execution_id))["status"] == "running"  # it waits for room
        assert [row["id"] for row in (await wire.get("/executions?workflow_id=none")).json["items"]] == kept[::-1]
        await local._running.database.write(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
        await wire.create("none", "x" * 500_000)
        assert (await wire.until(execution_id, "completed", "failed"))["status"] == "completed"
        assert ran == [1]


async def test_a_write_that_breaks_a_commit_takes_no_other_with_it(tmp_path):
    """Writes that wait are committed together; if one of them fills the disk, the others are done all the same."""
    path = tmp_path / "o.db"
    together = threading.Event()
    async with LocalOmium(path) as local:
        database = local._running.database
        held = asyncio.create_task(database.write(lambda _: together.wait()))
        await asyncio.sleep(0)
        sizes = [10, 10_000_000, 20, 30]
        await_all = asyncio.gather(
            database.write(lambda c: c.execute("PRAGMA max_page_count = 100").fetchone()),
            database.write(lambda c: c.execute("CREATE TABLE extra (x)")),
            *(database.write(lambda c, n=n: c.execute("INSERT INTO extra VALUES (zeroblob(?))", (n,))) for n in sizes),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
        together.set()
        await held
        results = await await_all
        assert [isinstance(result, sqlite3.Error) for result in results] == [False, False, False, True, False, False]
        kept = await database.read(lambda c: c.execute("SELECT length(x) FROM extra ORDER BY 1").fetchall())
        assert kept == [(10,), (20,), (30,)]


async def test_a_taken_port(tmp_path):
    async with LocalOmium() as first:
        port = int(first.url.rpartition(":")[2])
        second = LocalOmium(tmp_path / "o.db", port=port)
        with pytest.raises(LocalOmiumError, match=f"port {port} .* is taken"):
            await second.start()
    async with second:  # nothing of the failed start is left
        assert second.url == f"http://127.0.0.1:{port}"


def test_the_name_that_sqlite_gives_to_memory():
    with pytest.raises(ValueError, match="in memory"):
        LocalOmium(":memory:")
    with pytest.raises(ValueError, match="the path of a file"):
        LocalOmium("")


@pytest.mark.parametrize("port", [-1, 65536, "8000", None, True])
def test_ports_that_make_no_sense(port):
    with pytest.raises(ValueError, match="port must be"):
        LocalOmium(port=port)


async def test_paths_are_taken_at_the_construction(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    local = LocalOmium("o.db")
    monkeypatch.chdir(os.sep)
    async with local:
        assert (tmp_path / "o.db").exists()


@pytest.mark.parametrize("read", [True, False], ids=["read", "write"])
async def test_a_database_that_was_closed_says_so(tmp_path, read):
    database = await Database.open(tmp_path / "o.db")
    await database.close()
    with pytest.raises(LocalOmiumError, match="stopped"):
        await asyncio.wait_for((database.read if read else database.write)(lambda connection: None), 30)
    await database.close()


async def test_who_lets_go_of_a_database_waits_for_no_program_that_has_locked_it(tmp_path, monkeypatch):
    """Its loop has ended: nobody waits for what would be written."""
    monkeypatch.setattr("omium_async.local.database._PATIENCE", 3600.0)
    database = await Database.open(tmp_path / "o.db")
    other = sqlite3.connect(tmp_path / "o.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(database.write(lambda connection: None))
    await asyncio.sleep(0)
    letting_go = threading.Thread(target=database.abandon, daemon=True)
    letting_go.start()
    await asyncio.to_thread(letting_go.join, 30)
    assert not letting_go.is_alive()
    other.close()
    writing.cancel()


async def test_a_file_that_is_refused_is_let_go_of(tmp_path, monkeypatch):
    opened = []
    connect = tables.connect
    monkeypatch.setattr(tables, "connect", lambda *a, **k: opened.append(connect(*a, **k)) or opened[-1])
    with sqlite3.connect(tmp_path / "o.db") as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    await refused(tmp_path / "o.db")
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_where_files_cannot_be_locked_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("omium_async.local.file_lock.sys", SimpleNamespace(platform="win32"))
    with pytest.raises(LocalOmiumError, match="use database=None here"):
        FileLock(tmp_path / "o.db", lambda: None)


async def test_a_database_in_use_is_not_even_opened_a_second_time(tmp_path, monkeypatch):
    """By the same process: to close it again would drop the locks that SQLite holds on it."""
    opened, really_open = [], os.open

    def noted(path, *more, **how):
        descriptor = really_open(path, *more, **how)
        opened.append(str(path))
        return descriptor

    async with LocalOmium(tmp_path / "o.db"):
        monkeypatch.setattr(os, "open", noted)
        assert "in use" in await refused(tmp_path / "o.db")
        monkeypatch.undo()
    assert not [path for path in opened if "o.db" in path]


async def test_a_refused_write_is_tried_again_more_and_more_rarely(monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    class Refusing:
        async def write(self, job):
            if len(pauses) < 9:
                error = sqlite3.OperationalError("disk full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return job(None)

    monkeypatch.setattr("omium_async.local.persistence.asyncio", SimpleNamespace(sleep=sleep))
    assert await Persistence(Refusing(), lambda: "now").insist(lambda connection: "written") == "written"
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]

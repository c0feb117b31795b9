"""A database file: it survives restarts, keeps its keys and tenants, and other files are refused unchanged."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import stat
import sys
import traceback
from pathlib import Path

import pytest

import omium_async.local
import omium_sync
from omium_async.local import DatabaseInUseError, LocalOmium, LocalOmiumError

from .conftest import names, serving

KEY = "omium_secret_0123456789"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and locks")


async def made(path: Path) -> Path:
    """A database with one execution."""
    async with serving(LocalOmium(path)) as http:
        await http.create("w", {"a": 1})
    return path


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def refusal(path: Path, error: type[LocalOmiumError] = LocalOmiumError) -> str:
    """The message with which a start on the file is refused."""
    with pytest.raises(error) as caught:
        await LocalOmium(path).start()
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_everything_is_there_after_a_restart(tmp_path):
    path = tmp_path / "o.db"
    local = LocalOmium(path, strict=False)

    @local.workflow("w")
    async def w(run):
        return await run.step("one", lambda: {"big": 10**100})

    async with serving(local) as http:
        key = local.api_key
        done = (await http.ended("w", {"a": 1}, metadata={"m": 1}, agent_id="x"))["id"]
        waiting = await http.create("other")
        before = [await http.page(), await http.detail(done), await http.detail(waiting)]
    assert not (tmp_path / "o.db-wal").exists()
    async with serving(LocalOmium(str(path))) as http:
        assert http.local.api_key == key
        assert [await http.page(), await http.detail(done), await http.detail(waiting)] == before


async def test_a_run_continues_from_its_last_checkpoint_at_the_next_start(tmp_path):
    path, ran, gate = tmp_path / "o.db", [], asyncio.Event()

    def server():
        local = LocalOmium(path)

        @local.workflow("w")
        async def w(run):
            await run.step("one", ran.append, 1)
            await gate.wait()
            return await run.step("two", lambda: "done")

        return local

    async with serving(server()) as http:
        execution_id = await http.create("w")
        await http.until(execution_id, "running", checkpoints=1)
    async with serving(LocalOmium(path)) as http:
        assert (await http.detail(execution_id))["status"] == "running", "its workflow is not registered here"
    gate.set()
    async with serving(server()) as http:
        detail = await http.until(execution_id, "completed")
        assert (detail["output_data"], names(detail), ran) == ("done", ["one", "two"], [1])


async def test_a_run_waits_while_another_program_has_locked_the_file(tmp_path):
    local, reached, gate, ran = LocalOmium(tmp_path / "o.db"), asyncio.Event(), asyncio.Event(), []

    @local.workflow("w")
    async def w(run):
        reached.set()
        await gate.wait()
        return await run.step("two", lambda: ran.append(1) or "two")

    async with serving(local) as http:
        execution_id = await http.create("w")
        await reached.wait()
        with contextlib.closing(sqlite3.connect(tmp_path / "o.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gate.set()
            while not ran:
                await asyncio.sleep(0.001)
            assert other.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)
            other.execute("COMMIT")
        assert ((await http.until(execution_id, "completed"))["output_data"], ran) == ("two", [1])


async def test_executions_of_a_workflow_that_is_registered_while_the_file_is_locked_run_later(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("omium_async.local.database._BUSY_TIMEOUT", 0)
    local = LocalOmium(tmp_path / "o.db")
    async with serving(local) as http:
        execution_id = await http.create("w")
        with contextlib.closing(sqlite3.connect(tmp_path / "o.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            @local.workflow("w")
            async def w(run):
                return 1

            while "runs wait" not in caplog.text:
                await asyncio.sleep(0.001)
            other.execute("COMMIT")
        assert (await http.until(execution_id, "completed"))["output_data"] == 1


async def test_a_full_disk_is_reported_and_loses_nothing_that_was_answered(tmp_path):
    """The largest size of a file simulates a full disk."""
    import resource

    local, ran = LocalOmium(tmp_path / "o.db", strict=False), []

    @local.workflow("w")
    async def w(run):
        await run.step("big", lambda: ran.append(1) or "x" * 400_000)

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving(local) as http:
        kept = [await http.create("none") for _ in range(5)]
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "o.db-wal").stat().st_size + 200_000, hard))
        try:
            assert (await http.post({"workflow_id": "none", "input_data": "x" * 500_000})).status == 500
            execution_id = await http.create("w")
            while not ran:
                await asyncio.sleep(0.001)
            assert (await http.detail(execution_id))["status"] == "running", "it waits for space"
            assert [row["id"] for row in (await http.page("workflow_id=none"))["items"]] == kept[::-1]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        assert (await http.until(execution_id, "completed", "failed"))["status"] == "completed"
        assert ran == [1]
        assert await http.create("none", "x" * 500_000)


async def test_a_key_opens_the_tenant_that_it_opened_before(tmp_path):
    path = tmp_path / "o.db"
    async with serving(LocalOmium(path)) as http:  # the first start makes a key, for the tenant `default`
        made_key = http.local.api_key
        await http.create("w")
    for keys in (None, ["other"], [made_key], ("other", made_key)):
        async with serving(LocalOmium(path, api_keys=keys)) as http:
            assert http.local.api_key == (made_key if keys is None else keys[0]), "None: the keys of the last start"
            accepted = keys is None or made_key in keys
            answer = await http.with_key(made_key).get()
            assert answer.status == (200 if accepted else 401)
            assert not accepted or answer.json["total"] == 1
            if keys is not None and "other" in keys:
                assert await http.with_key("other").total() == 0


@pytest.mark.parametrize("wrong", [5, [], [""], ["a b\n"], ["é"], [5], {"k": ""}, {"k": "\ud800"}], ids=ascii)
def test_keys_that_cannot_be_sent_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"api_keys|surrogates"):
        LocalOmium(api_keys=wrong)


def shown_with_locals(error: BaseException, package: str) -> str:
    """The traceback from the package's first frame on, with local variables."""
    step = error.__traceback__
    while step is not None and package not in step.tb_frame.f_code.co_filename:
        step = step.tb_next
    assert step is not None
    return "".join(traceback.TracebackException(type(error), error, step, capture_locals=True).format())


@pytest.mark.parametrize("package", [omium_async.local, omium_sync], ids=["async", "sync"])
@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        (KEY, {"port": -1}), ({KEY: "t"}, {"clock": 5}), (KEY + "\n", {}), ([KEY, 5], {}),
    ],
    ids=["text", "mapping", "line feed", "list with a wrong one"],
)  # fmt: skip
def test_no_traceback_shows_a_key(package, keys, wrong):
    with pytest.raises((TypeError, ValueError)) as caught:
        package.LocalOmium(api_keys=keys, **wrong)
    assert KEY not in shown_with_locals(caught.value, package.__name__.partition(".")[0])


@pytest.mark.parametrize("keys", [KEY, None], ids=["given", "kept"])
async def test_no_repr_and_no_traceback_of_a_start_shows_a_key(tmp_path, keys):
    path = tmp_path / "o.db"
    async with LocalOmium(path, api_keys=KEY) as local:
        assert KEY not in repr(local) + repr(vars(local))
        assert (type(local.api_key), local.api_key) == (str, KEY)
        assert f"{local.api_key}" == KEY
    execute(path, "CREATE TRIGGER t BEFORE INSERT ON api_keys BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(LocalOmiumError) as caught:
        await LocalOmium(path, api_keys=keys).start()
    assert KEY not in shown_with_locals(caught.value, "omium_async")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("PRAGMA user_version = 99", "newer"),
        ("CREATE TRIGGER t AFTER INSERT ON executions BEGIN DELETE FROM executions; END", "trigger t"),
        ("ALTER TABLE tenants RENAME COLUMN name TO other", "tenants"),
    ],
)
async def test_a_database_of_a_newer_version_or_with_foreign_changes_is_refused_unchanged(tmp_path, statement, text):
    path = await made(tmp_path / "o.db")
    execute(path, statement)
    content = path.read_bytes()
    assert text in await refusal(path)
    assert path.read_bytes() == content


async def test_a_damaged_read_only_foreign_or_missing_file_is_refused_in_words(tmp_path):
    path = await made(tmp_path / "o.db")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert await refusal(path)
    read_only = await made(tmp_path / "read-only.db")
    read_only.chmod(0o444)
    assert "read-only" in await refusal(read_only)
    execute(foreign := tmp_path / "foreign.db", "CREATE TABLE theirs (x)")
    content = foreign.read_bytes()
    assert "another program" in await refusal(foreign)
    assert foreign.read_bytes() == content
    assert "create it first" in await refusal(tmp_path / "missing" / "o.db")
    assert "is not a file" in await refusal(tmp_path)
    (tmp_path / "empty.db").touch()
    await made(tmp_path / "empty.db")


@posix
async def test_only_the_owner_may_read_the_files(tmp_path):
    def modes():
        return [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("o.db", "o.db-wal", "o.db-lock")]

    async with LocalOmium(tmp_path / "o.db"):
        assert modes() == [0o600] * 3
    (tmp_path / "o.db").chmod(0o664)
    async with LocalOmium(tmp_path / "o.db"):
        assert modes() == [0o600] * 3


@posix
async def test_a_second_server_on_the_file_is_refused_however_the_path_is_written(tmp_path):
    path, link, folder = tmp_path / "o.db", tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(path)
    folder.symlink_to(tmp_path, target_is_directory=True)
    async with serving(LocalOmium(link)) as http:
        execution_id = await http.create("w")
        for way in (path, link, folder / "o.db"):
            with pytest.raises(DatabaseInUseError):
                await LocalOmium(way).start()
        await http.create("w")  # the first server still works
    async with serving(LocalOmium(path)) as http:
        assert await http.total() == 2
        assert await http.detail(execution_id)

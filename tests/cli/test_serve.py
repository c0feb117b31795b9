"""`omiumctl serve`: an Omium of one's own in the foreground."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import stat

import pytest

WORKFLOWS = """
import asyncio

async def greet(run):
    name = await run.step("name", lambda: run.input_data["name"])
    return f"hello {name}"

async def slow(run):
    await run.step("before", lambda: None)
    await asyncio.sleep(run.input_data)
    return await run.step("after", lambda: "done")

workflows = {"greet": greet, "slow": slow}
"""


@pytest.fixture
def serve(omiumctl):
    """Starts a server, and connects `omiumctl` with it."""

    def start(*arguments):
        process = omiumctl.start("serve", *arguments, "--output", "json")
        first = process.stdout.readline()
        assert first, process.stderr.read().decode()
        said = json.loads(first)
        omiumctl.environment |= {"OMIUM_API_URL": said["url"], "OMIUM_API_KEY": said.get("api_key", "")}
        return process, said

    (omiumctl.home / "flows.py").write_text(WORKFLOWS)
    return start


def test_workflows_of_a_module_survive_a_kill(omiumctl, serve):
    process, said = serve("--database", "omium.db", "--workflows", "flows")
    assert said["workflows"] == ["greet", "slow"]
    settled = omiumctl("create", "greet", "--input", '{"name": "Ann"}', "--wait", "-o", "json")
    assert (settled.code, settled.json["output_data"]) == (0, "hello Ann")
    slow = omiumctl.here("create", "slow", "--input", "1", "-o", "json").json["id"]
    process.kill()
    process.communicate()

    process, again = serve("--database", "omium.db", "--workflows", "flows.py")
    assert again["api_key"] == said["api_key"]
    finished = omiumctl.here("wait", slow, "-o", "json").json
    assert (finished["status"], finished["output_data"]) == ("completed", "done")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_cleanly(omiumctl, serve, number, code):
    process, _ = serve("--workflows", "flows")
    omiumctl.here("create", "slow", "--input", "60")
    process.send_signal(number)
    ended = omiumctl.ended(process, timeout=60)
    assert (ended.code, ended.err) == (code, "")


def test_what_it_says_to_people(omiumctl):
    process = omiumctl.start("serve", "--workflows", "measure_nothing")
    assert omiumctl.ended(process).code == 2
    (omiumctl.home / "key").write_text("om_key_of_my_own_123\n")
    own_key = ("--database", "o.db", "--api-key-file", "key")
    for options, words in (
        ((), ("export OMIUM_API_KEY=omium_local_", "in memory", "none (executions stay pending")),
        (own_key, ("on o.db", "the key of your file")),
    ):
        process = omiumctl.start("serve", *options)
        lines = [process.stdout.readline().decode() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        said = "".join(lines) + omiumctl.ended(process).out
        assert "export OMIUM_API_URL=http://127.0.0.1:" in said
        assert "om_key_of_my_own" not in said
        assert "Ctrl-C" in said
        for word in words:
            assert word in said
    assert stat.S_IMODE((omiumctl.home / "o.db").stat().st_mode) == 0o600


def test_what_it_cannot_serve_is_one_line(omiumctl):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = omiumctl.here("serve", "--port", taken.getsockname()[1])
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "is taken" in refused.err

    (omiumctl.home / "text.db").write_text("no database")
    foreign = sqlite3.connect(omiumctl.home / "foreign.db")
    foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    for name, word in (
        ("text.db", "not a SQLite database"),
        ("foreign.db", "another program"),
        ("no/where.db", "no folder"),
    ):
        before = (omiumctl.home / name).read_bytes() if "/" not in name else b""
        refused = omiumctl.here("serve", "--database", name)
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
        assert word in refused.err
        assert not before or (omiumctl.home / name).read_bytes() == before


def test_a_database_in_use(omiumctl, serve):
    process, _ = serve("--database", "omium.db")
    refused = omiumctl.here("serve", "--database", "omium.db")
    assert refused.code == 1
    assert "in use by another LocalOmium" in refused.err
    assert omiumctl.here("list", "-o", "json").json == []
    assert process.poll() is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "No module named"),
        ("import nothing_like_it", "No module named 'nothing_like_it' (FOLDER/bad.py, line 1)"),
        ("def f(:", "SyntaxError"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero (FOLDER/bad.py, line 2)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("x = 1", "defines no workflows"),
        ("workflows = {}", "defines no workflows"),
        ("workflows = [1]", "defines no workflows"),
        ("workflows = {1: print}", "1 in workflows is no workflow id"),
        ("workflows = {'w': print}", "'w' in workflows is no async function"),
    ],
)
def test_a_module_that_does_not_do(omiumctl, monkeypatch, source, words):
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "bad", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    if source is not None:
        (omiumctl.home / "bad.py").write_text(source)
    refused = omiumctl.here("serve", "--workflows", "bad")
    sys.modules.pop("bad", None)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert words.replace("FOLDER", str(omiumctl.home)) in refused.err


def test_a_module_by_its_path(omiumctl, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (omiumctl.home / "deep").mkdir()
    for name in ("json", "flows_in_a_folder"):
        (omiumctl.home / "deep" / f"{name}.py").write_text("workflows = {'w': 1}")
    refused = omiumctl.here("serve", "--workflows", "deep/flows_in_a_folder.py")
    assert (refused.code, "no async function" in refused.err) == (2, True)
    for path, words in (("deep/json.py", "name of another module"), ("deep/none.py", "there is no file deep/none.py")):
        refused = omiumctl.here("serve", "--workflows", path)
        assert (refused.code, words in refused.err) == (2, True)


@pytest.mark.parametrize("package", ["omium_sync", "omium_async.local"])
def test_the_workflows_of_a_server_in_the_module(omiumctl, serve, package):
    (omiumctl.home / "mine.py").write_text(
        f"from {package} import LocalOmium\nlocal = LocalOmium()\n"
        "@local.workflow('double')\nasync def double(run):\n    return run.input_data * 2\n"
    )
    _, said = serve("--workflows", "mine.py")
    assert said["workflows"] == ["double"]
    settled = omiumctl.here("create", "double", "--input", "21", "--wait", "-o", "json")
    assert (settled.code, settled.json["output_data"]) == (0, 42)

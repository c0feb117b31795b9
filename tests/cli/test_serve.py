"""`omiumctl serve`: a local Omium in the foreground."""

from __future__ import annotations

import signal
import socket
import sqlite3
import stat
import sys

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
def flows(omiumctl):
    return omiumctl.write("flows.py", WORKFLOWS)


def test_executions_continue_after_a_kill(omiumctl, start_serve, flows):
    process, said = start_serve("--database", "omium.db", "--workflows", "flows")
    assert said["workflows"] == ["greet", "slow"]
    settled = omiumctl("create", "greet", "--input", '{"name": "Ann"}', "--wait", "-o", "json")
    assert (settled.code, settled.json["output_data"]) == (0, "hello Ann")
    slow = omiumctl("create", "slow", "--input", "0.5", "-o", "json").json["id"]
    process.kill()
    process.communicate()

    _, again = start_serve("--database", "omium.db", "--workflows", "flows.py")
    assert again["api_key"] == said["api_key"]
    finished = omiumctl("wait", slow, "-o", "json").json
    assert (finished["status"], finished["output_data"]) == ("completed", "done")
    in_use = omiumctl("serve", "--database", "omium.db")
    assert (in_use.code, "in use" in in_use.err) == (1, True)


def test_in_memory_port_and_key_are_the_same_after_a_restart(omiumctl, start_serve):
    first, said = start_serve()
    second, other = start_serve()
    assert (other["api_key"], other["url"] == said["url"]) == (said["api_key"], False)
    key_file = omiumctl.home / "state" / "omiumctl" / "serve.key"
    assert (key_file.read_text(), stat.S_IMODE(key_file.stat().st_mode)) == (said["api_key"], 0o600)
    for process, number, code in ((first, signal.SIGINT, 130), (second, signal.SIGTERM, 0)):
        process.send_signal(number)
        ended = omiumctl.ended(process)
        assert (ended.code, ended.err) == (code, "")


def test_the_usual_port_is_8700_if_it_is_free(monkeypatch):
    from omium_sync.cli.commands import serve

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(serve, "_USUAL_PORT", taken.getsockname()[1])
        assert serve._free_port() == 0
        port = taken.getsockname()[1]
    assert serve._free_port() == port


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("export OMIUM_API_KEY=omium_local_", "in memory", "none (executions stay pending")),
        pytest.param(
            ("--database", "o.db", "--api-key-file", "key"),
            ("on o.db", "the key in your file"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_serve_prints_for_people(omiumctl, options, words):
    omiumctl.write("key", "om_key_of_my_own_123\n")
    process = omiumctl.start("serve", "--port", "0", *options)
    lines = [process.stdout.readline().decode() for _ in range(5)]
    process.send_signal(signal.SIGINT)
    said = "".join(lines) + omiumctl.ended(process).out
    assert [word for word in (*words, "export OMIUM_API_URL=http://127.0.0.1:", "Ctrl-C") if word not in said] == []
    assert "om_key_of_my_own" not in said
    if options:
        assert stat.S_IMODE((omiumctl.home / "o.db").stat().st_mode) == 0o600


def test_a_port_that_is_taken_is_one_line(omiumctl):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = omiumctl("serve", "--port", taken.getsockname()[1])
    assert (refused.code, refused.out, refused.lines_of_errors) == (1, "", 1)


def test_a_database_that_cannot_be_used_stays_as_it_is(omiumctl):
    omiumctl.write("text.db", "no database")
    sqlite3.connect(omiumctl.home / "foreign.db").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text.db", "foreign.db", "no/where.db"):
        before = (omiumctl.home / name).read_bytes() if "/" not in name else b""
        refused = omiumctl("serve", "--database", name)
        assert (refused.code, refused.out, refused.lines_of_errors) == (1, "", 1)
        assert not before or (omiumctl.home / name).read_bytes() == before


@pytest.mark.parametrize("source", [None, "import nothing_like_it", "def f(:", "1 / 0", "workflows = {}", "x = 1"])
def test_a_module_without_workflows_is_wrong_usage(omiumctl, monkeypatch, source):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    if source is not None:
        omiumctl.write("bad.py", source)
    refused = omiumctl("serve", "--workflows", "bad")
    sys.modules.pop("bad", None)
    assert (refused.code, refused.out, refused.lines_of_errors) == (2, "", 1)


@pytest.mark.slow
def test_the_workflows_of_a_server_in_the_module_are_served(omiumctl, start_serve):
    omiumctl.write(
        "mine.py",
        "from omium_sync import LocalOmium\nlocal = LocalOmium()\n"
        "@local.workflow('double')\nasync def double(run):\n    return run.input_data * 2\n",
    )
    _, said = start_serve("--workflows", "mine.py")
    assert said["workflows"] == ["double"]
    settled = omiumctl("create", "double", "--input", "21", "--wait", "-o", "json")
    assert (settled.code, settled.json["output_data"]) == (0, 42)

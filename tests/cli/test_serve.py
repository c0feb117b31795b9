"""`omiumctl serve`: a local Omium in the foreground."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from omium_sync import Omium, UnprocessableEntityError

from ..ports import free_port

WORKFLOWS = """
import argparse, asyncio, pathlib, time

async def greet(run):
    name = await run.step("name", lambda: run.input_data["name"])
    return f"hello {name}"

async def parse(run):
    async def exits():
        argparse.ArgumentParser(exit_on_error=True).parse_args(["--unknown"])

    async def interrupts():
        raise KeyboardInterrupt("not of the terminal")

    await asyncio.create_task(interrupts() if run.input_data else exits())

async def block(run):
    await patient(run)
    pathlib.Path("blocks").touch()
    time.sleep(600)

async def patient(run):
    await run.step("before", lambda: None)
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    return "done"

workflows = {"greet": greet, "patient": patient, "parse": parse, "block": block}
"""


@pytest.fixture
def flows(omiumctl, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield omiumctl.write("flows.py", WORKFLOWS)
    sys.modules.pop("flows", None)


@pytest.fixture
def usual_port(monkeypatch):
    """A free port in the place of 8700, which other tests may use."""
    monkeypatch.setattr("omium_sync.cli.commands.serve._USUAL_PORT", found := free_port())
    return found


def client(said):
    return Omium(said["api_key"], base_url=said["url"], poll_interval=(0.01, 0.1))


def test_with_a_database_the_next_serve_continues_executions(omiumctl, flows, usual_port):
    started = []

    def use(said):
        with client(said) as omium:
            assert omium.executions.run("greet", {"name": "Ann"}).output_data == "hello Ann"
            with pytest.raises(UnprocessableEntityError, match="registered: 'greet', 'patient'"):
                omium.executions.create("gret")
            started.append(omium.executions.create("patient").id)
            while not omium.executions.get(started[0]).checkpoints:
                pass
        (omiumctl.home / "go").touch()

    said, ended = omiumctl.serve("--database", "omium.db", "--workflows", "flows", use=use)
    assert (said["workflows"], ended.code, ended.err) == (["greet", "patient", "parse", "block"], 0, "")
    outputs = []

    def continued(said):
        with client(said) as omium:
            outputs.append(omium.executions.wait(started[0]).output_data)

    again, _ = omiumctl.serve("--database", "omium.db", "--workflows", "flows.py", use=continued)
    assert (again["api_key"], outputs) == (said["api_key"], ["done"])


@pytest.fixture
def served(omiumctl, flows):
    """Start `omiumctl serve` as a process; give it, and what it announced."""

    def served(*arguments):
        process = omiumctl.start("serve", "--port", 0, "--workflows", flows, "--output", "json", *arguments)
        return process, json.loads(process.stdout.readline())

    return served


def test_an_exit_in_a_task_of_a_workflow_fails_the_execution_only(omiumctl, served):
    process, said = served("--database", "o.db")
    with client(said) as omium:
        assert omium.executions.run("parse").error == "SystemExit: 2"
        assert omium.executions.run("parse", {"interrupt": True}).error == "KeyboardInterrupt: not of the terminal"
        assert omium.executions.run("greet", {"name": "Ann"}).status == "completed"
    process.send_signal(signal.SIGTERM)
    ended = omiumctl.ended(process)
    assert (ended.code, "unrecognized arguments: --unknown" in ended.err) == (0, True)


def test_a_second_ctrl_c_ends_a_server_that_a_workflow_blocks(omiumctl, served):
    process, said = served()
    with client(said) as omium:
        omium.executions.create("block")
    (omiumctl.home / "go").touch()
    while not (omiumctl.home / "blocks").exists():
        pass
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):  # it waits for the workflow
        process.wait(0.2)
    process.send_signal(signal.SIGINT)
    ended = omiumctl.ended(process, timeout=4)  # at once, not after the time for a server that ends by itself
    assert (ended.code, ended.err) == (130, "omiumctl: interrupted\n")


def test_in_memory_port_and_key_are_the_same_after_a_restart(omiumctl, usual_port):
    said, ended = omiumctl.serve(number=signal.SIGINT)
    assert (said["url"], ended.code, ended.err) == (f"http://127.0.0.1:{usual_port}", 130, "")
    key_file = omiumctl.home / "state" / "omiumctl" / "serve.key"
    assert (key_file.read_text(), stat.S_IMODE(key_file.stat().st_mode)) == (said["api_key"], 0o600)
    assert omiumctl.serve()[0] == said


def test_it_listens_on_8700_or_any_port_if_that_is_taken(omiumctl, usual_port):
    assert "Default: 8700, or any free one" in " ".join(omiumctl("serve", "-h").out.split())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", usual_port))
        taken.listen()
        said, ended = omiumctl.serve()
        assert (ended.code, said["url"].endswith(f":{usual_port}")) == (0, False)
        refused = omiumctl("serve", "--port", usual_port)
    assert (refused.code, refused.out, refused.lines_of_errors) == (1, "", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("export OMIUM_API_KEY=omium_local_", "in memory", "none (executions stay pending")),
        (("--database", "o.db", "--api-key-file", "key", "--ui"), ("on o.db", "the key in your file", "Console: http")),
    ],
)
def test_what_serve_prints_for_people(omiumctl, options, words):
    omiumctl.write("key", "om_key_of_my_own_123\n")
    said = []
    when = lambda: said.append(omiumctl.written_until(b"Ctrl-C").decode())  # noqa: E731
    ended = omiumctl.interrupted(when, "serve", "--port", "0", *options)
    assert [word for word in (*words, "export OMIUM_API_URL=http://127.0.0.1:") if word not in said[0]] == []
    assert (ended.code, "om_key_of_my_own" in said[0]) == (130, False)
    if options:
        assert stat.S_IMODE((omiumctl.home / "o.db").stat().st_mode) == 0o600


def test_a_database_that_cannot_be_used_stays_as_it_is(omiumctl):
    omiumctl.write("text.db", "no database")
    sqlite3.connect(omiumctl.home / "foreign.db").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text.db", "foreign.db", "no/where.db"):
        before = (omiumctl.home / name).read_bytes() if "/" not in name else b""
        refused = omiumctl("serve", "--database", name)
        assert (refused.code, refused.out, refused.lines_of_errors) == (1, "", 1)
        assert not before or (omiumctl.home / name).read_bytes() == before


@pytest.mark.parametrize("source", [None, "def f(:", "1 / 0", "workflows = {}"])
def test_a_module_without_workflows_is_wrong_usage(omiumctl, monkeypatch, source):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    if source is not None:
        omiumctl.write("bad.py", source)
    refused = omiumctl("serve", "--workflows", "bad")
    sys.modules.pop("bad", None)
    assert (refused.code, refused.out, refused.lines_of_errors) == (2, "", 1)


def test_max_running_leaves_further_executions_pending(omiumctl, flows, usual_port):
    def use(said):
        with client(said) as omium:
            first, second = omium.executions.create("patient"), omium.executions.create("patient")
            assert (first.status, second.status) == ("running", "pending")
            omium.executions.cancel(first.id)
            assert omium.executions.get(second.id).status == "running"

    assert omiumctl.serve("--workflows", "flows", "--max-running", 1, use=use)[1].code == 0
    refused = omiumctl("serve", "--max-running", 0)
    assert (refused.code, refused.out, refused.lines_of_errors) == (2, "", 1)
    assert "1 or more" in refused.err


def status_of(url, host):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}new", headers={"Host": host})) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(("name", "reached"), [("omium.test", "omium.test:{port}"), ("omium.test:9", "omium.test:9")])
def test_on_another_host_the_console_is_reached_by_its_allowed_names(omiumctl, usual_port, monkeypatch, name, reached):
    pytest.importorskip("jinja2", reason="the extra ui is not installed")
    monkeypatch.setattr("omium_sync.cli.commands.ui._USUAL_PORT", console := free_port())
    reached, statuses = reached.format(port=console), []

    def use(said):
        assert said["url"] == f"http://127.0.0.1:{usual_port}"
        assert said["console"] == f"http://{reached}/"
        hosts = (reached, f"localhost:{console}", f"evil.test:{console}")
        statuses.extend(status_of(f"http://127.0.0.1:{console}/", host) for host in hosts)

    ended = omiumctl.serve("--host", "0.0.0.0", "--ui", "--allow-host", name, use=use)[1]
    assert (ended.code, statuses) == (0, [200, 200, 403])
    assert (ended.lines_of_errors, "requests need a key" in ended.err) == (1, True)


def test_on_the_name_of_this_machine_the_console_reaches_the_server(omiumctl, usual_port, monkeypatch):
    pytest.importorskip("jinja2", reason="the extra ui is not installed")
    monkeypatch.setattr("omium_sync.cli.commands.ui._USUAL_PORT", free_port())
    name = socket.gethostname()
    try:
        with socket.create_server((name, 0)):
            pass
    except OSError:
        pytest.skip("the name of this machine is none of its addresses")
    pages = []

    def use(said):
        assert said["url"] == f"http://{name}:{usual_port}"
        with urllib.request.urlopen(said["console"]) as page:
            pages.append(page.read().decode())

    ended = omiumctl.serve("--host", name, "--ui", "--allow-host", name, use=use)[1]
    assert (ended.code, "No executions yet" in pages[0]) == (0, True), pages


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--host", "0.0.0.0", "--ui"), "--allow-host"),
        (("--allow-host", "omium.test"), "--ui"),
        (("--ui", "--allow-host", "http://omium.test/"), "is no name of a host"),
        (("--ui", "--allow-host", "*"), "is no name of a host"),
        (("--uuids", "--workflows", "flows.py"), "'greet' is no UUID"),
    ],
)
def test_options_of_serve_that_do_not_fit_are_wrong_usage(omiumctl, flows, options, word):
    refused = omiumctl("serve", *options)
    assert (refused.code, refused.out, refused.lines_of_errors) == (2, "", 1)
    assert word in refused.err


def test_with_uuids_the_server_refuses_other_ids(omiumctl, usual_port):
    def use(said):
        with client(said) as omium, pytest.raises(UnprocessableEntityError, match="UUID"):
            omium.executions.create("greet")

    assert omiumctl.serve("--uuids", use=use)[1].code == 0

"""Where output goes, and what happens when it cannot go there."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omium_async.local import store
from omium_sync import Execution
from omium_sync._local import Fault
from omium_sync.cli.execution import to_row

#: Runs a command, and says on stderr how much memory it took at most.
MEASURED = (
    "import pathlib, sys; from omium_sync.cli import main; code = main(sys.argv[1:]);"
    "peak = pathlib.Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0];"
    "print(peak, file=sys.stderr); sys.exit(code)"
)


@pytest.fixture
def many(service):
    """A list of 30,000 executions."""
    started = service.local._core._started
    tenant = started.keyring.tenants()[0]
    rows = (
        (f"exec_{number:020d}", store.Submission("w", json.dumps({"text": "x" * 500}).encode(), b"{}", None))
        for number in range(30_000)
    )

    async def fill():
        await started.database.write(
            lambda c: store.fill(c, tenant, rows, status="completed", now="2026-01-01T00:00:00Z")
        )

    service.local._thread.portal().call(fill)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("output", ["jsonl", "json"])
def test_a_long_list_goes_through_in_flat_memory(connected, many, output):
    peaks: list[int] = []
    for limit in (10_000, 30_000):  # with the first, too, as many windows are under way as there may be
        command = [sys.executable, "-c", MEASURED, "list", "-o", output, "--limit", str(limit), "--page-size", "100"]
        process = subprocess.Popen(
            command, env=connected.environment, cwd=connected.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        ended = connected.ended(process)
        assert ended.code == 0
        found = ended.rows if output == "jsonl" else ended.json
        assert len({row["id"] for row in found}) == limit
        peaks.append(int(ended.err))
    # 20,000 more rows are 15 MB as text, three times that as executions; 8 bytes of each are kept.
    assert peaks[1] - peaks[0] < 12_000, peaks


@pytest.mark.parametrize("output", ["jsonl", "table"])
def test_a_reader_that_has_had_enough(connected, many, output):
    process = connected.start("list", "--output", output, "--limit", "20000")
    assert process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def test_an_output_that_is_closed_or_full(connected, service):
    service.pending(1)
    closed = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *connected.command("list")],
        env=connected.environment,
        stderr=subprocess.PIPE,
    )
    said = connected.ended(closed)
    assert (said.code, said.err) == (1, "omiumctl: stdout is closed: there is nowhere to write to\n")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            for output in ("table", "json", "jsonl"):
                ended = connected("list", "-o", output, stdout=full)
                assert ended.code == 1
                assert "No space left" in ended.err
                assert ended.err.count("\n") == 1


def test_an_ascii_terminal_gets_json_whole_and_tables_escaped(connected, service):
    with service.client() as omium:
        omium.executions.create("wörk", {"ü": "ü"})
    connected.environment |= {"PYTHONIOENCODING": "ascii"}
    assert connected("list", "-o", "jsonl").json["workflow_id"] == "wörk"
    table = connected("list")
    assert table.code == 0
    assert r"w\xf6rk" in table.out


def test_ctrl_c_is_one_line_and_130(connected, service):
    process = connected.start("wait", service_pending(service), "--poll-interval", "0.05")
    until_asked(service, "GET /executions/*")
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert (ended.code, ended.out, ended.err) == (130, "", "omiumctl: interrupted\n")


def test_ctrl_c_while_a_request_is_under_way(connected, service):
    service.local.inject(Fault(method="GET", action="stall", times=9))
    process = connected.start("list", "-o", "jsonl")
    until_asked(service, "GET /executions")
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert (ended.code, ended.err) == (130, "omiumctl: interrupted\n")


def service_pending(service) -> str:
    service.pending(1)
    with service.client() as omium:
        return next(omium.executions.list()).id


def until_asked(service, kind):
    before = service.local.counts.get(kind, 0)
    deadline = time.monotonic() + 30
    while service.local.counts.get(kind, 0) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)


def test_on_a_terminal_tables_are_coloured_and_ids_whole(connected, service):
    execution_id = service.create("fail")
    ours, theirs = pty.openpty()
    connected.environment |= {"TERM": "xterm-256color", "COLUMNS": "60"}
    process = connected.start("list", stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side has gone
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert process.wait(30) == 0
    text = shown.decode()
    assert execution_id in text
    assert "\x1b[31mfailed" in text
    assert "\x1b[31mcity" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it needs a full device")
def test_what_was_created_is_said_where_stdout_takes_nothing(connected, service):
    with Path("/dev/full").open("wb") as full:
        ended = connected("create", "nobody", stdout=full)
    with service.client() as omium:
        (created,) = omium.executions.list()
    assert (ended.code, ended.err.count("\n")) == (1, 2)
    assert f"execution {created.id} was created" in ended.err


def test_the_error_of_a_service_that_names_it_otherwise():
    execution = Execution.from_dict({"id": "x", "error": None, "error_message": "no city"})
    row = to_row(execution)
    assert (row["error"], row["error_message"]) == ("no city", "no city")

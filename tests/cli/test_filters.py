"""Which executions, and which of their fields: filters, columns, CSV, narrow terminals, looks that go on."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_sync.cli.filters import moment_or_age
from omium_sync.cli.tables import CSVRows


@pytest.fixture
def mixed(connected, service):
    """Two that failed, one that completed, one that is pending; newest last. Their ids."""
    ids = [service.create("fail", {"n": 1}), service.create("echo", {"n": 2}), service.create("fail", {"n": 3})]
    with service.client() as omium:
        ids.append(omium.executions.create("nobody", {"n": 4}, metadata={"team": "search"}).id)
    return ids


def ids_of(ended):
    assert ended.code == 0, ended.err
    return [row["id"] for row in ended.rows]


def test_several_statuses(connected, mixed):
    found = connected.here("list", "--status", "failed", "--status", "pending", "-o", "jsonl")
    assert ids_of(found) == [mixed[3], mixed[2], mixed[0]]
    assert connected.here("count", "--status", "failed", "--status", "pending").out == "3\n"
    assert connected.here("count", "--status", "failed").out == "2\n"


def test_times_and_metadata(connected, mixed):
    assert ids_of(connected.here("list", "--since", "1h", "-o", "jsonl")) == mixed[::-1]
    assert ids_of(connected.here("list", "--before", "1h", "-o", "jsonl")) == []
    assert ids_of(connected.here("list", "--metadata", "team=search", "-o", "jsonl")) == [mixed[3]]
    assert connected.here("count", "--metadata", "team=search", "--since", "1d").out == "1\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "'yesterday' is neither a time"),
        (["--since", "1h", "--before", "2h"], "--since is after --before"),
        (["--metadata", "team"], "'team' is not KEY=VALUE"),
        (["--metadata", "a=1", "--metadata", "a=2"], "--metadata names a key twice"),
        (["--columns", "id,stats"], "there is no column 'stats'"),
        (["--columns", "id.x"], "there is no column 'id.x'"),
        (["--columns", "id", "-o", "json"], "--columns is for a table or csv"),
        (["--watch", "-o", "csv"], "--watch goes with a table or --output jsonl"),
    ],
)
def test_wrong_usage(omiumctl, arguments, words):
    ended = omiumctl.here("list", *arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert words in ended.err


def test_a_time_without_a_zone_is_utc():
    assert moment_or_age("2026-11-27") == datetime(2026, 11, 27, tzinfo=UTC)
    assert moment_or_age("2026-11-27T08:30+02:00") == datetime(2026, 11, 27, 6, 30, tzinfo=UTC)
    assert abs(moment_or_age("90m") - (datetime.now(UTC) - timedelta(minutes=90))) < timedelta(minutes=1)


def test_columns(connected, mixed):
    ended = connected.here("list", "--columns", "input_data.n,status", "--limit", "2")
    assert [line.split() for line in ended.out.splitlines()[:3]] == [
        ["input_data.n", "status"],
        ["4", "pending"],
        ["3", "failed"],
    ]


def test_csv_has_times_as_they_are(connected, service, mixed):
    rows = list(csv.reader(io.StringIO(connected.here("list", "-o", "csv", "--columns", "created_at").out, newline="")))
    with service.client() as omium:
        assert [row[0] for row in rows[1:]] == [each.created_at.isoformat() for each in omium.executions.list()]


def test_a_count_for_programs(connected, mixed):
    for form in ("json", "jsonl"):
        assert connected.here("count", "--status", "failed", "-o", form).json == {"count": 2}


def test_csv_is_whole(connected, mixed):
    ended = connected.here("list", "-o", "csv", "--columns", "id,error")
    rows = list(csv.reader(io.StringIO(ended.out, newline="")))
    assert rows[0] == ["id", "error"]
    assert [row[0] for row in rows[1:]] == mixed[::-1]
    assert rows[2][1].startswith("ValueError: no such \\x1b[31mcity")


@given(st.lists(st.text(), min_size=1))
def test_no_cell_of_csv_is_a_formula_and_none_is_lost(cells):
    rows = CSVRows("a")
    for cell in cells:
        rows.add(cell)
    text = rows._text.getvalue()
    read = [row[0] for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
    assert not any(
        cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")) for cell in read
    )
    assert text.count("\r\n") == len(cells) + 1


def in_terminal(omiumctl, *arguments, columns=80, answer=b""):
    """What the command writes on a terminal, and its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(omiumctl.home)
        command = omiumctl.command(*arguments)
        os.execve(command[0], command, {**omiumctl.environment, "COLUMNS": str(columns), "TERM": "xterm"})
    written = b""
    os.write(terminal, answer)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        written += more
        if not more:
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return written.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_forty_columns_cut_no_id_and_no_status(connected, mixed):
    written, code = in_terminal(connected, "list", columns=40)
    assert code == 0
    assert all(execution_id in written for execution_id in mixed)
    assert written.count("failed") == 2
    assert written.count("pending") == 1


def test_no_colour_where_none_is_wanted(connected, mixed):
    connected.environment["NO_COLOR"] = "1"
    written, _ = in_terminal(connected, "list", columns=120)
    assert "\x1b[3" not in written


@pytest.mark.parametrize(("answer", "code", "replayed"), [(b"y\n", 0, 2), (b"n\n", 1, 0), (b"\n", 1, 0)])
def test_a_bulk_replay_asks_how_many(connected, service, mixed, answer, code, replayed):
    service.gate.set()
    written, ended = in_terminal(connected, "replay", "--status", "failed", answer=answer)
    assert "Replay 2 executions? [y/N]" in written
    assert ended == code, written
    assert service.local.counts.get("POST /executions/*/replay", 0) == replayed


def test_a_bulk_replay_without_a_terminal_needs_yes(connected, mixed):
    ended = connected.here("replay", "--status", "failed")
    assert (ended.code, "give --yes" in ended.err) == (2, True)
    assert connected.here("replay", "--status", "failed", "--dry-run").code == 0


def test_a_batch_asks_how_many(connected, service):
    (connected.home / "lines.jsonl").write_text('{"n": 1}\n\n  \r\n{"n": 2}')
    batch = ("batch", "lines.jsonl", "--workflow-id", "echo", "--journal", "j")
    written, code = in_terminal(connected, *batch, answer=b"n\n")
    assert "each of the 2 lines of lines.jsonl? [y/N]" in written
    assert (code, service.local.counts.get("POST /executions", 0)) == (1, 0)
    assert in_terminal(connected, *batch, "--yes")[1] == 0
    assert service.local.counts["POST /executions"] == 2


def test_watch_goes_on_line_by_line_where_no_terminal_is(connected, service, mixed):
    process = connected.start("list", "--watch", "-o", "jsonl")
    first = [json.loads(process.stdout.readline())["id"] for _ in mixed]
    assert first == mixed
    later = service.create("echo", {"n": 5})
    seen = json.loads(process.stdout.readline())
    assert seen["id"] == later
    process.send_signal(signal.SIGINT)
    assert connected.ended(process).code == 130


def test_request(connected, mixed):
    assert connected.here("request", "get", f"/executions/{mixed[1]}").json["output_data"] == {"n": 2}
    listed = connected.here("request", "GET", "/executions", "--param", "page_size=1")
    assert len(listed.json["items"]) == 1
    made = connected.here("request", "POST", "/executions", "--json", '{"workflow_id": "echo"}')
    assert made.json["workflow_id"] == "echo"
    refused = connected.here("request", "GET", "/nowhere")
    assert (refused.code, "404" in refused.err) == (1, True)


def test_replay_and_wait(connected, service, mixed):
    service.gate.set()
    ended = connected.here("replay", mixed[0], "--wait", "-o", "json")
    assert (ended.code, ended.json["status"]) == (0, "completed")

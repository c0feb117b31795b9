"""Terminals: questions, colours, narrow ones, and one that closes."""

from __future__ import annotations

import os
import re
import signal

import pytest

pty = pytest.importorskip("pty")

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize(
    ("answer", "code", "replayed"), [(b"y\n", 0, 2), pytest.param(b"\n", 1, 0, marks=pytest.mark.slow)]
)
def test_a_bulk_replay_asks_with_the_number_of_executions(connected, service, answer, code, replayed):
    for number in range(2):
        service.run("fail", {"n": number})
    service.repaired.set()
    ended, written = connected.in_terminal("replay", "--status", "failed", answer=answer)
    assert ("Replay 2 executions? [y/N]" in written, ended) == (True, code), written
    assert service.local.counts.get("POST /executions/*/replay", 0) == replayed


def test_a_batch_asks_with_the_number_of_lines(connected, service):
    connected.write("in.jsonl", '{"n": 1}\n\n  \r\n{"n": 2}')
    batch = ("batch", "in.jsonl", "--workflow-id", "echo", "--journal", "j")
    code, written = connected.in_terminal(*batch, answer=b"n\n")
    assert "each of the 2 lines of in.jsonl? [y/N]" in written
    assert (code, service.inputs()) == (1, [])


def test_a_rollback_asks(connected, service):
    execution_id = service.run("echo")
    rollback = ("rollback", execution_id, "--checkpoint-name", "look")
    code, written = connected.in_terminal(*rollback, answer=b"n\n")
    assert (code, "after checkpoint look? [y/N]" in written) == (1, True)
    assert service.local.counts.get("POST /executions/*/rollback", 0) == 0
    assert connected(*rollback, "--yes").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("list",), ("show", "ID"), ("wait", "ID"), ("replay", "ID", "--checkpoint-name", "first", "--wait"),
        ("rollback", "ID", "--checkpoint-name", "first", "--yes"), ("replay", "--status", "failed", "--yes"),
        ("replay", "--status", "failed", "--dry-run"),
    ],
)  # fmt: skip
def test_ids_and_statuses_stay_whole_at_40_columns(connected, service, arguments):
    failed = service.run("fail")
    arguments = [failed if each == "ID" else each for each in arguments]
    code, written = connected.in_terminal(*arguments, columns=40)
    assert code in (0, 1)
    plain = STYLE.sub("", written).replace("\r\n", "\n")
    assert not {"\x1b", "\x9b"} & set(plain)
    lines = plain.split("\n")
    assert f"  {failed}" in lines or failed in lines
    assert any(re.match(r"(status|outcome) +[a-z_]+ *$", line) for line in lines)


@pytest.mark.slow
def test_a_table_is_coloured_unless_no_color_is_set(connected, service):
    failed = service.run("fail")
    _, written = connected.in_terminal("list", columns=120)
    assert (failed in written, "\x1b[31mfailed" in written, "\x1b[31mcity" in written) == (True, True, False)
    connected.environment["NO_COLOR"] = "1"
    assert "\x1b[3" not in connected.in_terminal("list", columns=120)[1]


@pytest.mark.slow
def test_progress_is_a_bar_on_a_terminal_only(connected, service):
    connected.write("in.jsonl", *range(50))
    batch = ("batch", "in.jsonl", "--workflow-id", "echo", "--yes")
    assert "50/50" in connected.in_terminal(*batch, "--journal", "j")[1]
    connected.environment["TERM"] = "dumb"
    assert connected.ended(connected.start(*batch, "--journal", "k")).err == ""


@pytest.mark.slow
def test_a_terminal_that_closes_ends_a_wait(connected, service):
    (pending,) = service.pending()
    ours, theirs = pty.openpty()
    process = connected.start("wait", pending, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    service.until("GET /executions/*")
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) != 0

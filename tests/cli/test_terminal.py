"""Terminals: questions, colours, narrow ones, progress, and one that closes."""

from __future__ import annotations

import os
import re
import signal

import pytest

from omium_sync.cli.progress import ProgressBar

pty = pytest.importorskip("pty")

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize(
    ("command", "question", "request_kind"),
    [
        (("replay", "--status", "failed"), "Replay 1 execution? [y/N]", "POST"),
        (("cancel", "--status", "pending"), "Cancel 1 execution? [y/N]", "PATCH"),
        (("rollback", "DONE", "--checkpoint-name", "look"), "after checkpoint look? [y/N]", "POST"),
        (("delete", "DONE"), "permanently? [y/N]", "DELETE"),
        (("batch", "in.jsonl", "--workflow-id", "echo", "--journal", "j"), "the 2 lines of in.jsonl? [y/N]", "POST"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_that_changes_much_asks_and_sends_nothing_after_no(
    connected, service, command, question, request_kind
):
    connected.write("in.jsonl", '{"n": 1}\n\n  \r\n{"n": 2}')
    done, _, _ = service.run("echo"), service.run("fail"), service.pending()
    command = [done if word == "DONE" else word for word in command]
    before = service.writes(request_kind)
    refused = connected(*command, stdin=b"n\n", asks=True)
    assert (refused.code, question in refused.err, service.writes(request_kind)) == (1, True, before)
    agreed = connected(*command, stdin=b"y\n", asks=True)
    assert (agreed.code, service.writes(request_kind) > before) == (0, True), agreed.err


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "replayed"), [(b"y\n", 0, 2), (b"\n", 1, 0)])
def test_a_question_in_a_real_terminal(connected, service, answer, code, replayed):
    for number in range(2):
        service.run("fail", {"n": number})
    service.repaired.set()
    ended, written = connected.in_terminal("replay", "--status", "failed", answer=answer)
    assert ("Replay 2 executions? [y/N]" in written, ended) == (True, code), written
    assert service.local.counts.get("POST /executions/*/replay", 0) == replayed


@pytest.mark.parametrize("command", [("list",), ("show", "ID"), ("wait", "ID"), ("replay", "--status", "failed", "-y")])
def test_ids_and_statuses_stay_whole_at_40_columns(connected, service, monkeypatch, command):
    failed = service.run("fail")
    monkeypatch.setattr("omium_sync.cli.tables._UNCUT", 40)  # the width that a terminal would have
    plain = connected(*(failed if word == "ID" else word for word in command)).out
    lines = plain.split("\n")
    assert f"  {failed}" in lines or failed in lines
    assert any(re.match(r"(status|outcome) +[a-z_]+ *$", line) for line in lines)


@pytest.mark.slow
def test_a_real_terminal_of_40_columns_has_colours_unless_no_color_is_set(connected, service):
    failed = service.run("fail")
    code, written = connected.in_terminal("list", columns=40)
    assert (code, failed in written, "\x1b[31mfailed" in written, "\x1b[31mcity" in written) == (0, True, True, False)
    assert failed in STYLE.sub("", written).replace(" ", "").split("\r\n")
    connected.environment["NO_COLOR"] = "1"
    assert "\x1b[3" not in connected.in_terminal("list", columns=120)[1]


@pytest.mark.slow
def test_progress_is_a_bar_on_a_terminal_only(connected, service):
    connected.write("in.jsonl", *range(50))
    batch = ("batch", "in.jsonl", "--workflow-id", "echo", "--yes")
    assert "50/50" in connected.in_terminal(*batch, "--journal", "j")[1]
    connected.environment["TERM"] = "dumb"
    assert connected.ended(connected.start(*batch, "--journal", "k")).err == ""


def test_without_a_terminal_progress_is_a_line_every_few_seconds(capsys, monkeypatch):
    monkeypatch.setattr("omium_sync.cli.progress._SECONDS_BETWEEN_LINES", -1.0)
    with ProgressBar("sending", 2) as progress:
        progress.advance("9/s")
    assert capsys.readouterr().err == "omiumctl: sending: 1 of 2, 9/s\n"


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

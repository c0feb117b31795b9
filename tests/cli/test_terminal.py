"""Terminals: questions, colours, narrow ones, and progress."""

from __future__ import annotations

import functools
import re

import pytest

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize(
    ("command", "question", "method"),
    [
        (("replay", "--status", "failed"), "Replay 1 execution? [y/N]", "POST"),
        (("cancel", "--status", "pending"), "Cancel 1 execution? [y/N]", "PATCH"),
        (("rollback", "DONE", "--checkpoint-name", "look"), "after checkpoint look? [y/N]", "POST"),
        (("delete", "DONE"), "permanently? [y/N]", "DELETE"),
        (("batch", "in.jsonl", "--workflow-id", "echo", "--journal", "j"), "the 2 lines of in.jsonl? [y/N]", "POST"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_that_changes_much_asks_and_sends_nothing_after_no(connected, service, command, question, method):
    connected.write("in.jsonl", '{"n": 1}\n\n  \r\n{"n": 2}')
    done, _, _ = service.run("echo"), service.run("fail"), service.pending()
    command = [done if word == "DONE" else word for word in command]
    before = service.writes(method)
    refused = connected(*command, stdin=b"n\n", columns=80)
    assert (refused.code, question in refused.out, service.writes(method)) == (1, True, before)
    agreed = connected(*command, stdin=b"y\n", columns=80)
    assert (agreed.code, service.writes(method) > before) == (0, True), agreed.out


@pytest.mark.parametrize("command", [("list",), ("show", "ID"), ("wait", "ID"), ("replay", "--status", "failed", "-y")])
def test_ids_and_statuses_stay_whole_at_40_columns(connected, service, command):
    failed = service.run("fail")
    written = connected(*(failed if word == "ID" else word for word in command), columns=40).out
    lines = STYLE.sub("", written).split("\n")
    assert f"  {failed}" in lines or failed in lines
    assert any(re.match(r"(status|outcome) +[a-z_]+ *$", line) for line in lines)


def test_a_table_that_does_not_fit_cuts_its_last_columns_first(connected, service):
    service.run("fail")
    assert re.search(
        r"fail +.*failed.* 20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ +ValueError:", connected("list", columns=100).out
    )


def test_a_table_has_colours_unless_no_color_is_set(connected, service):
    failed = service.run("fail")
    written = connected("list", columns=120).out
    assert (failed in written, "\x1b[31mfailed" in written, "\x1b[31mcity" in written) == (True, True, False)
    connected.environment["NO_COLOR"] = "1"
    assert "\x1b[3" not in connected("list", columns=120).out


def test_a_watched_list_fits_the_screen_so_that_the_newest_rows_stay_in_sight(connected, service, monkeypatch):
    ids = service.pending(20)
    monkeypatch.setattr("omium_sync.cli.commands.list._PAUSES", (0.01, 15.0))
    connected.environment["LINES"] = "10"
    twice = functools.partial(service.until, "GET /executions", many=2)
    ended = connected.interrupted(twice, "list", "--watch", columns=120)
    first = ended.out.split("watching: ")[0]
    assert (ended.code, re.findall("exec_[0-9a-f]+", first)) == (130, ids[:-8:-1])


def test_progress_is_a_bar_on_a_terminal_and_otherwise_a_line_every_few_seconds(connected, monkeypatch):
    connected.write("in.jsonl", *range(50))
    batch = ("batch", "in.jsonl", "--workflow-id", "echo", "--yes", "--journal")
    assert "50/50" in connected(*batch, "j", columns=120).out
    connected.environment["TERM"] = "dumb"
    assert "50/50" not in connected(*batch, "k", columns=120).out
    monkeypatch.setattr("omium_sync.cli.progress._SECONDS_BETWEEN_LINES", -1.0)
    assert "omiumctl: sending: 1 of 50, " in connected(*batch, "l").err


def test_a_terminal_without_escape_sequences_gets_none(connected, service):
    connected.environment["TERM"] = "dumb"
    done = service.run("echo", {"n": 1})
    for command in (("list",), ("show", done)):
        ended = connected(*command, columns=100)
        assert (ended.code, done in ended.out, "\x1b" in ended.out) == (0, True, False)


@pytest.mark.parametrize("before", [True, False])
def test_a_shared_option_may_stand_before_or_after_the_command(connected, service, before):
    arguments = ("-v", "list") if before else ("list", "-v")
    assert "omiumctl: debug: " in connected(*arguments).err
    assert "debug" not in connected("list").err

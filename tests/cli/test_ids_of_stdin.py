"""Ids on stdin: `-` among the ids of a command."""

from __future__ import annotations

import pytest


def listed(connected, *filters):
    """The JSON lines of the list, as a pipe would hand them on."""
    return connected("list", *filters, "-o", "jsonl").out.encode()


def test_what_list_prints_is_replayed(connected, service):
    failed = [service.run("fail") for _ in range(3)]
    service.run("echo")
    service.repaired.set()
    ended = connected("replay", "-", "--yes", "-o", "jsonl", stdin=listed(connected, "--status", "failed"))
    assert (ended.code, {row["id"]: row["state"] for row in ended.rows}) == (0, dict.fromkeys(failed, "replayed"))
    waited = connected("wait", "-", "-o", "jsonl", stdin="\n".join(failed).encode())
    assert (waited.code, {row["id"] for row in waited.rows}) == (0, set(failed))


def test_stdin_has_one_id_a_line_in_between_other_ids_and_each_counts_once(connected, service):
    first, second, third = service.pending(3)
    lines = f"\ufeff{second}\r\n\n  {third}  \n{first}\n".encode()
    shown = connected("show", first, "-", "-o", "json", stdin=lines)
    assert [row["id"] for row in shown.json] == [first, second, third]
    cancelled = connected("cancel", "-", "-o", "jsonl", stdin=lines)
    assert (cancelled.code, {row["id"] for row in cancelled.rows}) == (0, {first, second, third})
    assert service.writes("PATCH") == 3
    deleted = connected("delete", "-", "--yes", "-o", "jsonl", stdin=lines)
    assert (deleted.code, service.inputs()) == (0, [])


@pytest.mark.parametrize("command", ["show", "wait", "replay", "cancel", "delete"])
def test_no_ids_on_stdin_are_no_work_and_no_error(connected, service, command):
    service.pending()
    yes = ("--yes",) if command in ("replay", "cancel", "delete") else ()
    ended = connected(command, "-", *yes, "-o", "json", stdin=b"\n")
    assert (ended.code, ended.json, ended.err) == (0, [], "")
    assert service.writes("PATCH") + service.writes("DELETE") == 0
    assert connected("count", "--status", "pending").out == "1\n"


@pytest.mark.parametrize("command", ["show", "wait", "replay", "cancel", "delete"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"..", "line 2 of stdin: "),
        (b'{"state": "failed"}', "the object has no id"),
        (b'{"id": 5}', "the object has no id"),
        (b'{"id": "live"}', "line 2 of stdin: "),
        (b"{broken", "line 2 of stdin: "),
        (b"\xff", "line 2 of stdin: "),
    ],
)
def test_a_line_that_is_no_id_is_wrong_usage_before_anything_is_sent(connected, service, command, line, words):
    (pending,) = service.pending()
    before = len(service.local.requests)
    yes = ("--yes",) if command in ("replay", "cancel", "delete") else ()
    refused = connected(command, "-", *yes, stdin=pending.encode() + b"\n" + line + b"\n")
    assert (refused.code, refused.out, refused.lines_of_errors, words in refused.err) == (2, "", 1, True)
    assert len(service.local.requests) == before


def test_one_id_on_stdin_is_a_list_of_one(connected, service):
    (pending,) = service.pending()
    assert [row["id"] for row in connected("show", "-", "-o", "json", stdin=pending.encode()).json] == [pending]
    assert connected("show", pending, "-o", "json").json["id"] == pending

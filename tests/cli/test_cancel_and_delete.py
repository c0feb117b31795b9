"""`cancel`, `delete`, `checkpoints` and `workflows`."""

from __future__ import annotations

import pytest

from omium_async.local import Fault


def states(ended):
    return {row["id"]: row["state"] for row in ended.rows}


def test_cancel_takes_ids_and_reports_executions_that_have_ended(connected, service):
    (pending,), done = service.pending(), service.run("echo")
    ended = connected("cancel", pending, done, "-o", "jsonl")
    assert (ended.code, states(ended)) == (0, {pending: "cancelled", done: "settled"})
    assert service.writes("PATCH") == 1
    table = connected("cancel", done)
    assert (table.code, "settled" in table.out) == (0, True)
    unknown = connected("cancel", "nope", "-o", "jsonl")
    assert (unknown.code, states(unknown)) == (1, {"nope": "rejected"})
    assert (unknown.lines_of_errors, "404 Execution not found [request id " in unknown.err) == (1, True)


def test_cancel_with_filters_cancels_what_is_pending_or_running(connected, service):
    pending, done = service.pending(3), service.run("echo")
    assert connected("cancel", "--workflow-id", "nobody", "--dry-run").out.count("planned") == 4  # and the summary
    ended = connected("cancel", "--since", "1h", "--limit", "2", "--yes", "-o", "jsonl")
    assert (ended.code, set(states(ended).values()), done in states(ended)) == (0, {"cancelled"}, False)
    assert connected("cancel", "--since", "1h", "--yes", "-o", "json").json[0]["id"] in pending
    assert connected("count", "--status", "cancelled").out == "3\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cancel",), "give EXECUTION_IDs, or a filter"),
        (("cancel", "x", "--status", "running"), "not both"),
        (("cancel", "--workflow-id", "w"), "give --yes"),
        (("delete",), "EXECUTION_ID"),
        (("delete", "x"), "give --yes"),
        (("checkpoints",), "EXECUTION_ID"),
    ],
)
def test_a_write_that_cannot_ask_or_has_no_target_is_wrong_usage(connected, service, arguments, words):
    refused = connected(*arguments)
    assert (refused.code, refused.lines_of_errors, words in refused.err) == (2, 1, True)
    assert service.local.requests == ()


def test_delete_removes_executions_and_reports_those_that_cannot_be_deleted(connected, service):
    done, (pending,) = service.run("echo"), service.pending()
    ended = connected("delete", done, "nope", pending, "--yes", "-o", "json")
    assert (ended.code, ended.json, ended.lines_of_errors) == (1, [{"id": done, "deleted": True}], 2)
    assert ("404" in ended.err, "409" in ended.err) == (True, True)
    assert connected("show", done).code == 1


def test_checkpoints_lists_them_and_shows_their_state(connected, service):
    done = service.run("echo")
    table = connected("checkpoints", done)
    assert (table.code, "look" in table.out) == (0, True)
    with_state = connected("checkpoints", done, "--state", "-o", "json")
    assert [row["state"]["result"] for row in with_state.json] == [1]
    assert '"result": 1' in connected("checkpoints", done, "--state").out
    (pending,) = service.pending()
    assert connected("checkpoints", pending).out == "no checkpoints\n"


def test_workflows_lists_them_and_shows_one(connected):
    assert {row["id"] for row in connected("workflows", "-o", "jsonl").rows} == {"echo", "fail"}
    assert "published" in connected("workflows").out
    assert connected("workflows", "echo", "-o", "json").json["workflow_type"] == "custom"
    assert "echo" in connected("workflows", "echo").out
    assert connected("workflows", "nope").code == 1


def test_a_service_without_the_endpoint_says_so_and_is_no_unknown_execution(connected, service):
    (pending,) = service.pending()
    missing = Fault(method="DELETE", action="status", status=405, times=1)
    service.local.inject(missing)
    ended = connected("delete", pending, "--yes")
    assert (ended.code, ended.lines_of_errors, "does not serve the call; the base URL is" in ended.err) == (1, 1, True)

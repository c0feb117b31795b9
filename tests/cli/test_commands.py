"""What each command does, run in this process."""

from __future__ import annotations

import csv
import io

import pytest

from omium_async.local import Fault


@pytest.fixture
def mixed(service):
    """Ids of executions that failed, completed, failed and are pending; newest last."""
    ids = [service.run("fail", {"n": 1}), service.run("echo", {"n": 2}), service.run("fail", {"n": 3})]
    return ids + service.pending(metadata={"team": "search"})


def ids_of(ended):
    assert ended.code == 0, ended.err
    return [row["id"] for row in ended.rows]


def test_the_life_of_an_execution_from_create_to_rollback(connected, service):
    created = connected("create", "fail", "--input", '{"city": "Ur"}', "--metadata", '{"by": "me"}', "-o", "json")
    execution_id = created.json["id"]
    waited = connected("wait", execution_id, "--poll-interval", "0.01")
    assert (waited.code, waited.lines_of_errors) == (1, 1)
    assert f"execution {execution_id} ended as failed: ValueError: no such \\x1b[31mcity" in waited.err
    shown = connected("show", execution_id).out
    assert all(text in shown for text in ('"city": "Ur"', '"by": "me"', "failed", "first"))

    service.repaired.set()
    replayed = connected("replay", execution_id, "--checkpoint-name", "first", "--wait", "-o", "json")
    assert (replayed.code, replayed.json["status"]) == (0, "completed")
    assert service.ran == [execution_id]

    rolled_back = connected("rollback", execution_id, "--checkpoint-name", "first", "-o", "json")
    assert rolled_back.json["status"] == "paused"
    detail = connected("show", execution_id, "-o", "json").json
    assert [checkpoint["name"] for checkpoint in detail["checkpoints"]] == ["first"]


def test_create_with_wait_ends_with_the_status_of_the_execution(connected):
    settled = connected("create", "echo", "--input", '{"n": 123456789012345678901234567890}', "--wait", "-o", "json")
    assert (settled.code, settled.json["output_data"]) == (0, {"n": 123456789012345678901234567890})
    failed = connected("create", "fail", "--wait")
    assert (failed.code, "ended as failed" in failed.err) == (1, True)
    late = connected("create", "nobody", "--wait", "--timeout", "0.2")
    assert (late.code, late.lines_of_errors) == (1, 1)
    with_id = connected("list", "--status", "pending", "-o", "json").json[0]["id"]
    assert with_id in late.err


@pytest.mark.parametrize("given", ['{"from": "line"}', "@input.json", "@-"])
def test_input_comes_from_the_line_a_file_or_stdin(connected, service, given):
    connected.write("input.json", '\ufeff{"from": "file"}')  # as some editors of Windows write it
    assert connected("create", "nobody", "--input", given, stdin=b'{"from": "stdin"}').code == 0
    wanted = {"@input.json": "file", "@-": "stdin"}.get(given, "line")
    assert service.inputs() == [{"from": wanted}]


def test_list_and_count_filter_executions(connected, mixed):
    for arguments, wanted in (
        ((), mixed[::-1]),
        (("--status", "failed", "--status", "pending"), [mixed[3], mixed[2], mixed[0]]),
        (("--status", "failed"), [mixed[2], mixed[0]]),
        (("--workflow-id", "echo"), [mixed[1]]),
        (("--since", "1h"), mixed[::-1]),
        (("--since", "0s"), []),
        (("--before", "1h"), []),
        (("--metadata", "team=search", "--since", "1d"), [mixed[3]]),
    ):
        assert ids_of(connected("list", *arguments, "-o", "jsonl")) == wanted
        assert connected("count", *arguments).out == f"{len(wanted)}\n"
        assert connected("count", *arguments, "-o", "json").json == {"count": len(wanted)}


def test_a_table_says_whether_there_is_more(connected, mixed):
    table = connected("list", "--limit", "2")
    assert table.out.splitlines()[0].split() == ["id", "workflow", "status", "created", "error"]
    assert (mixed[3] in table.out, "more than these 2" in table.out) == (True, True)
    assert "more" not in connected("list", "--limit", "4").out
    assert "no executions" in connected("list", "--workflow-id", "none").out


def test_columns_choose_the_fields_of_a_table_and_of_csv(connected, service, mixed):
    table = connected("list", "--columns", "input_data.n,status", "--limit", "2").out
    assert [line.split() for line in table.splitlines()[:3]] == [
        ["input_data.n", "status"],
        ["0", "pending"],
        ["3", "failed"],
    ]
    rows = list(
        csv.reader(io.StringIO(connected("list", "-o", "csv", "--columns", "id,created_at,error").out, newline=""))
    )
    assert [row[0] for row in rows] == ["id", *mixed[::-1]]
    assert rows[2][2].startswith("ValueError: no such \\x1b[31mcity")
    with service.client() as omium:
        assert rows[1][1] == omium.executions.get(mixed[3]).created_at.isoformat()


def test_show_takes_several_ids_and_reports_those_that_are_missing(connected, mixed):
    both = connected("show", mixed[0], "nope", mixed[1], "-o", "json")
    assert [row["id"] for row in both.json] == mixed[:2]
    assert (both.code, both.lines_of_errors, "404" in both.err) == (1, 1, True)
    assert connected("show", mixed[0], mixed[1]).out.count("workflow ") == 2


def test_several_executions_are_waited_for(connected, mixed):
    failed, completed, _, pending = mixed
    both = connected("wait", completed, failed, completed, "-o", "jsonl")
    assert {row["id"]: row["status"] for row in both.rows} == {completed: "completed", failed: "failed"}
    assert (both.code, f"execution {failed} ended as failed" in both.err) == (1, True)
    assert connected("wait", completed, failed, "--until", "failed", "--until", "completed").code == 0
    missing = connected("wait", completed, "nope", "-o", "json")
    assert (missing.code, [row["id"] for row in missing.json], "nope" in missing.err) == (1, [completed], True)
    late = connected("wait", pending, completed, "--timeout", "0.2")
    assert (late.code, late.lines_of_errors) == (1, 1)


def test_a_refusal_is_one_line_with_the_request_id(connected, mixed):
    completed = mixed[1]
    for arguments, words in (
        (("show", "nope"), "404 Execution not found [request id "),
        (("replay", completed), "409 Execution is completed"),
        (("rollback", completed, "--checkpoint-id", "none"), "404 Checkpoint not found"),
        (("rollback", completed, "--checkpoint-name", "none"), "look"),
        (("request", "GET", "/nowhere"), "404"),
    ):
        refused = connected(*arguments)
        assert (refused.code, refused.out, refused.lines_of_errors) == (1, "", 1)
        assert words in refused.err


def test_a_failing_service_is_one_line_and_verbose_shows_attempts(connected, service):
    service.local.inject(Fault(method="GET", action="status", status=503, headers={"Retry-After": "0"}, times=9))
    failed = connected("list", "--retries", "1")
    assert (failed.code, failed.lines_of_errors, "503" in failed.err) == (1, 1, True)
    verbose = connected("list", "--retries", "1", "--verbose")
    assert ("warning: " in verbose.err, "debug: " in verbose.err) == (True, True)


def test_a_write_that_may_have_been_applied_says_so_and_names_the_execution(connected, service):
    service.local.inject(Fault(method="POST", when="after", action="drop"))
    unknown = connected("create", "echo")
    assert (unknown.code, "unknown" in unknown.err) == (1, True)
    service.local.inject(Fault(method="GET", action="status", status=403, times=9))
    applied = connected("create", "nobody", "--wait")
    service.local.clear_faults()
    assert (applied.code, applied.out, applied.lines_of_errors) == (1, "", 1)
    assert connected("list", "-o", "json").json[0]["id"] in applied.err


@pytest.mark.parametrize("form", ["json", "jsonl", "table"])
def test_text_of_the_service_cannot_control_a_terminal(connected, service, form):
    execution_id = service.run("fail")
    for command in (("show", execution_id), ("list",)):
        out = connected(*command, "-o", form).out
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
        assert ("[bold]" in out, "city" in out) == (True, True)


def test_request_reaches_any_other_endpoint(connected, mixed):
    assert connected("request", "get", f"/executions/{mixed[1]}").json["output_data"] == {"n": 2}
    assert len(connected("request", "GET", "/executions", "--param", "page_size=1").json["items"]) == 1
    made = connected("request", "POST", "/executions", "--json", '{"workflow_id": "echo"}')
    assert made.json["workflow_id"] == "echo"


def test_check_says_where_key_and_url_come_from(connected, service):
    good = connected("check")
    assert good.code == 0
    assert "key        from OMIUM_API_KEY\n" in good.out
    assert f"url        {service.local.url}/api/v1, from OMIUM_API_URL\n" in good.out
    assert service.local.counts == {"GET /executions": 1}
    assert connected("check", "-o", "json").json["ok"] is True


def test_check_fails_with_one_line(connected):
    connected.write("key", "another-key-altogether")
    refused = connected("check", "--api-key-file", "key")
    assert (refused.code, refused.lines_of_errors) == (1, 1)
    assert ("key        from --api-key-file" in refused.out, "401" in refused.err) == (True, True)
    assert "another-key-altogether" not in refused.out + refused.err
    for url in ("nowhere", "http://example.com"):
        unusable = connected("check", "--url", url, "-o", "jsonl")
        assert (unusable.code, unusable.lines_of_errors, unusable.json["ok"]) == (1, 1, False)
        assert "--url: " in unusable.err
    away = connected("check", "--url", "http://127.0.0.1:9", "--retries", "0")
    assert (away.code, away.lines_of_errors) == (1, 1)
    assert "nothing listens at http://127.0.0.1:9; is the server running?" in away.err


def test_all_matching_executions_are_replayed_once(connected, service, mixed):
    unanswered = connected("replay", "--status", "failed")
    assert (unanswered.code, "give --yes" in unanswered.err) == (2, True)
    planned = connected("replay", "--status", "failed", "--dry-run", "-o", "json")
    assert (planned.code, {row["state"] for row in planned.json}) == (0, {"planned"})
    assert "reads the list only" in connected("replay", "--workflow-id", "fail", "--dry-run", "--limit", "1").out
    service.repaired.set()
    replayed = connected("replay", "--yes", "--since", "1h")
    assert (replayed.code, "2 replayed" in replayed.out) == (0, True)
    assert (mixed[0] in replayed.out, mixed[1] in replayed.out) == (True, False)
    assert connected("wait", mixed[0], mixed[2], "--poll-interval", "0.01").code == 0
    assert sorted(service.ran) == sorted([mixed[0], mixed[2]])
    assert "nothing to do" in connected("replay", "--yes", "--status", "failed").out


def test_a_replay_sends_more_fields_of_the_body(connected, service, mixed):
    replay = ("replay", mixed[0], "--extra-body")
    assert connected(*replay, '{"inputs": {"n": 4}}').code == 0
    for given, problem in (('{"checkpoint_id": "c"}', "'checkpoint_id' has an argument"), ("[1]", "not a mapping")):
        refused = connected(*replay, given)
        assert (refused.code, problem in refused.err) == (2, True), refused.err
    refused = connected("replay", *mixed[:2], "--extra-body", "{}")
    assert (refused.code, "--extra-body is for one execution" in refused.err) == (2, True), refused.err


def test_the_same_command_with_the_same_journal_continues_a_bulk_replay_also_with_an_age(connected, service, mixed):
    command = ("replay", "--yes", "--status", "failed", "--since", "1h", "--before", "0s", "--journal", "j")
    assert "2 replayed in" in connected(*command).out
    again = connected(*command)
    assert (again.code, "2 replayed (2 known from an earlier run)" in again.out) == (0, True), again.err
    assert "it belongs to another batch" in connected(*command, "--since", "2h").err


def test_executions_that_cannot_be_replayed_are_rejected(connected, mixed):
    replay = ("replay", "--yes", "--status", "failed", "--checkpoint-name", "none")
    refused = connected(*replay, "-o", "jsonl")
    assert (refused.code, {row["state"] for row in refused.rows}) == (1, {"rejected"})
    table = connected(*replay)
    assert ("2 x NoCheckpointError" in table.out, table.lines_of_errors) == (True, 1)
    assert table.err.endswith(" (and 1 more)\n")


def test_key_and_url_stand_before_or_after_the_command(omiumctl, service):
    omiumctl.write("key", service.local.api_key + "\n")
    options = ("--url", service.local.url, "--api-key-file", "key")
    assert omiumctl(*options, "list", "-o", "json").json == []
    assert omiumctl("list", *options, "--auth", "bearer", "-o", "json").json == []
    assert omiumctl("--url", "http://127.0.0.1:9", "list", *options, "-o", "json").json == []

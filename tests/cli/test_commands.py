"""Single executions and lists of them: what is printed, and with which status the process ends."""

from __future__ import annotations

import json

import pytest

from omium_sync._local import Fault


def test_the_life_of_an_execution(connected, service):
    created = connected("create", "fail", "--input", '{"city": "Ur"}', "--metadata", '{"by": "me"}', "-o", "json")
    assert (created.code, created.err) == (0, "")
    execution_id = created.json["id"]

    waited = connected("wait", execution_id, "--poll-interval", "0.01", "-o", "jsonl")
    assert waited.code == 1
    assert waited.json["status"] == "failed"
    assert waited.err.startswith(
        f"omiumctl: execution {execution_id} ended as failed: ValueError: no such \\x1b[31mcity"
    )
    assert waited.err.count("\n") == 1

    shown = connected("show", execution_id)
    assert shown.code == 0
    assert "failed" in shown.out
    assert '"city": "Ur"' in shown.out
    assert '"by": "me"' in shown.out
    assert "first" in shown.out

    service.gate.set()
    replayed = connected("replay", execution_id, "--checkpoint-name", "first")
    assert (replayed.code, replayed.err) == (0, "")
    assert execution_id in replayed.out
    assert "running" in replayed.out
    assert connected("wait", execution_id, "--until", "completed", "--poll-interval", "0.01").code == 0
    assert service.ran == [execution_id]

    rolled_back = connected("rollback", execution_id, "--checkpoint-name", "first", "--output", "json")
    assert rolled_back.json["status"] == "paused"
    detail = connected("show", execution_id, "--output", "json").json
    assert [checkpoint["name"] for checkpoint in detail["checkpoints"]] == ["first"]


def test_create_and_wait_at_once(connected):
    settled = connected.here(
        "create", "echo", "--input", '{"n": 123456789012345678901234567890}', "--wait", "-o", "json"
    )
    assert settled.code == 0
    assert settled.json["output_data"] == {"n": 123456789012345678901234567890}
    failed = connected.here("create", "fail", "--wait")
    assert failed.code == 1
    assert "ended as failed" in failed.err
    late = connected.here("create", "nobody", "--wait", "--timeout", "0.2")
    assert late.code == 1
    assert "within 0.2 s" in late.err


def test_a_wait_that_ends_too_late(connected, service):
    open_one, done = connected.here("create", "nobody", "-o", "json").json["id"], service.create("echo")
    typo = connected.here("wait", open_one, done, "--until", "complete", "--timeout", "0.1")
    assert (typo.code, "'complete' is not one of 'pending', " in typo.err) == (2, True)
    one = connected.here("wait", open_one, done, "--timeout", "2")
    assert (one.code, "1 execution did not come" in one.err) == (1, True)


def test_input_comes_from_the_line_a_file_or_stdin(connected, tmp_path):
    (tmp_path / "input.json").write_text('{"from": "file"}')
    assert connected.here("create", "echo", "--input", "@input.json", "--wait", "-o", "json").json["input_data"] == {
        "from": "file"
    }
    given = connected.here("create", "echo", "--input", "@-", "--wait", "-o", "json", stdin=b'{"from": "stdin"}')
    assert given.json["input_data"] == {"from": "stdin"}


def test_list(connected, service):
    service.pending(3)
    echo = service.create("echo")
    assert connected.here("list", "-o", "json").json[0]["id"] == echo
    assert [row["input_data"] for row in connected.here("list", "--status", "pending", "--output", "jsonl").rows] == [
        {"number": 2},
        {"number": 1},
        {"number": 0},
    ]
    assert connected.here("list", "--workflow-id", "nothing", "-o", "json").json == []
    assert connected.here("list", "--workflow-id", "nothing", "-o", "jsonl").out == ""
    assert "no executions" in connected.here("list", "--workflow-id", "nothing").out
    table = connected.here("list", "--limit", "2")
    assert table.out.splitlines()[0].split() == ["id", "workflow", "status", "created", "error"]
    assert echo in table.out
    assert "more than these 2" in table.out
    assert "more" not in connected.here("list", "--limit", "4").out


def test_several_executions_are_waited_for(connected, service):
    good, bad = service.create("echo"), service.create("fail")
    both = connected.here("wait", good, bad, good, "-o", "jsonl")
    assert both.code == 1
    assert {row["id"]: row["status"] for row in both.rows} == {good: "completed", bad: "failed"}
    assert f"execution {bad} ended as failed" in both.err
    assert connected.here("wait", good, bad, "--until", "failed", "--until", "completed").code == 0
    missing = connected.here("wait", good, "nope", "-o", "json")
    assert missing.code == 1
    assert [row["id"] for row in missing.json] == [good]
    assert "nope" in missing.err
    assert missing.err.count("\n") == 1


def test_a_refusal_is_one_line_with_the_request_id(connected, service):
    execution_id = service.create("echo")
    for arguments, words in (
        (("show", "nope"), "404 Execution not found [request id "),
        (("replay", execution_id), "409 Execution is completed"),
        (("rollback", execution_id, "--checkpoint-id", "none"), "404 Checkpoint not found"),
        (("rollback", execution_id, "--checkpoint-name", "none"), "there are: 'look'"),
        (("list", "--status", "odd"), "422"),
    ):
        refused = connected.here(*arguments)
        assert (refused.code, refused.out) == (1, "")
        assert words in refused.err
        assert refused.err.count("\n") == 1


def test_a_failing_service(connected, service):
    service.local.inject(Fault(method="GET", action="status", status=503, times=9))
    failed = connected.here("list", "--retries", "1")
    assert failed.code == 1
    assert "503" in failed.err
    assert "2 attempts" in failed.err
    assert failed.err.count("\n") == 1
    told = connected.here("list", "--retries", "1", "--verbose")
    assert "warning: " in told.err
    assert "debug: " in told.err


def test_a_write_whose_outcome_is_unknown_says_so(connected, service):
    service.local.inject(Fault(method="POST", when="after", action="drop"))
    unknown = connected.here("create", "echo")
    assert unknown.code == 1
    assert "outcome unknown" in unknown.err


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_json_is_exact_and_safe_to_look_at(connected, service, nasty, output):
    """What the server sends is data: no control character of it reaches a terminal, and none is lost for a program."""
    execution_id = service.create("fail")
    found = connected.here("show", execution_id, "-o", output)
    assert "\x1b" not in found.out
    assert "\x9b" not in found.out
    assert "\u202e" not in found.out

    assert json.loads(found.out)["error"] == f"ValueError: {nasty}"


def test_tables_neither_obey_the_server_nor_read_its_markup(connected, service):
    execution_id = service.create("fail")
    for arguments in (("show", execution_id), ("list",)):
        table = connected.here(*arguments).out
        assert r"ValueError: no such \x1b[31mcity\x1b[0m\n[bold]x[/bold] \u202e\x9b2J" in table
        assert "\x1b" not in table

"""`omiumctl batch`: one execution for each line, sent once."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from omium_async.local import Fault
from omium_sync.cli.json_lines import LineReader

FLAGS = ("--workflow-id", "echo", "--journal", "j.db")


def numbers(service):
    return sorted(data["n"] for data in service.inputs())


def test_every_line_is_sent_once_also_if_the_batch_is_run_again(connected, service):
    connected.write("in.jsonl", *({"n": number} for number in range(50)))
    first = connected("batch", "in.jsonl", *FLAGS)
    assert (first.code, first.err, "50 created" in first.out) == (0, "", True)
    again = connected("batch", "in.jsonl", *FLAGS, "--output", "jsonl")
    assert sorted(row["line"] for row in again.rows) == list(range(1, 51))
    assert {(row["state"], row["resumed"]) for row in again.rows} == {("created", True)}

    connected.write("in.jsonl", *({"n": number} for number in range(60)))
    longer = connected("batch", "in.jsonl", *FLAGS, "--output", "json")
    assert (longer.code, longer.json["states"], longer.json["resumed"]) == (0, {"created": 60}, 50)
    assert numbers(service) == list(range(60))


def test_a_rate_is_for_a_minute_or_for_minute_and_hour(connected, service):
    connected.write("in.jsonl", {"n": 1})
    for rate in ("200", "200,4000"):
        assert connected("batch", "in.jsonl", *FLAGS, "--rate", rate).code == 0
    for wrong in ("0", "x", "200,", "200,0", ",5", "1,2,3"):
        refused = connected("batch", "in.jsonl", *FLAGS, "--rate", wrong)
        assert (refused.code, "--rate" in refused.err, "is not a number above 0" in refused.err) == (2, True, True)


def test_a_malformed_line_stops_nothing_and_moves_no_other(connected, service):
    connected.write("in.jsonl", {"n": 1}, "{broken\n", "\n", {"n": 4}, "NaN\n", {"n": 6})
    first = connected("batch", "in.jsonl", *FLAGS, "-o", "jsonl")
    assert (first.code, "line 2 is malformed: " in first.err) == (1, True)
    assert "line 5 is malformed: it is not JSON: " in first.err
    assert {row["line"] for row in first.rows if row["state"] == "malformed"} == {2, 5}

    connected.write("in.jsonl", {"n": 1}, {"n": 2}, "\n", {"n": 4}, {"n": 5}, {"n": 6})
    second = connected("batch", "in.jsonl", *FLAGS, "-o", "json")
    assert (second.code, second.json["states"], second.json["resumed"]) == (0, {"created": 5}, 3)
    assert numbers(service) == [1, 2, 4, 5, 6]


def test_odd_lines_are_read_or_reported(connected, service):
    lines = (
        b"\xef\xbb\xbf1\n",  # with a byte order mark
        b'"\xff"\n',
        b"\r\n",
        b"  2  \r\n",
        b'{"x": 123456789012345678901234567890}\n',
        b"[" * 100_000 + b"\n",
        b"1e999\n",
        b'"' + b"x" * (16 * 2**20) + b'"\n',
        b"0.1000000000000000055511151231257827\n",
        b"4",  # without an end
    )
    (connected.home / "in.jsonl").write_bytes(b"".join(lines))
    ended = connected("batch", "in.jsonl", *FLAGS)
    assert ended.code == 1
    for number, why in (
        (2, "not UTF-8"),
        (6, "nested"),
        (7, "too large"),
        (8, "longer than"),
        (9, "would arrive as 0.1"),
    ):
        assert any(f"line {number} is malformed" in line and why in line for line in ended.err.splitlines())
    assert sorted(map(str, service.inputs())) == ["1", "2", "4", "{'x': 123456789012345678901234567890}"]


def test_stdin_may_be_a_file_of_which_a_part_was_read(tmp_path):
    (tmp_path / "in.jsonl").write_text("a heading\n1\n2\n")
    with (tmp_path / "in.jsonl").open("rb", buffering=0) as file:
        file.readline()
        reader = LineReader(file.fileno(), "echo", whole=False, stopping=lambda: False)
        assert (reader.count(), [line.request.input_data for line in reader.lines()]) == (2, [1, 2])


def test_lines_may_be_whole_requests(connected, service):
    connected.write(
        "in.jsonl",
        {"input_data": {"n": 1}, "metadata": {"by": "me"}, "agent_id": "a"},
        {"workflow_id": "nobody", "key": "my-own-key"},
        {"input": 1},
        [1],
        {"metadata": 5},
    )
    ended = connected("batch", "in.jsonl", "--requests", *FLAGS, "-o", "jsonl")
    assert ended.code == 1
    assert "line 3 is malformed: a request has no field 'input', only " in ended.err
    assert "line 4 is malformed: it is not an object" in ended.err
    assert [row["line"] for row in ended.rows if row["state"] == "rejected"] == [5]
    with service.client() as omium:
        found = {execution.workflow_id: execution for execution in omium.executions.list()}
    assert (set(found), found["echo"].metadata["by"], found["echo"].agent_id) == ({"echo", "nobody"}, "me", "a")
    without = connected("batch", "in.jsonl", "--requests", "--journal", "other.db")
    assert "line 1 is malformed: it has no workflow_id" in without.err


def test_refusals_have_their_reason_and_are_counted_by_it(connected, service):
    connected.write("in.jsonl", *range(20))
    service.local.inject(Fault(method="POST", action="status", status=400, times=5))
    ended = connected("batch", "in.jsonl", *FLAGS)
    assert (ended.code, "15 created, 5 rejected" in ended.out) == (1, True)
    assert "  5 x BadRequestError 400: " in ended.out
    rows = connected("batch", "in.jsonl", *FLAGS, "-o", "jsonl").rows
    assert [(row["state"], row["http_status"], bool(row["request_id"])) for row in rows if not row["resumed"]] == []
    (refused, *_) = [row for row in rows if row["state"] == "rejected"]
    assert (refused["http_status"], bool(refused["request_id"])) == (400, True)


def test_a_refused_key_ends_a_batch(connected):
    connected.write("in.jsonl", *range(20))
    connected.environment["OMIUM_API_KEY"] = "om_wrong_key_1234567"
    ended = connected("batch", "in.jsonl", *FLAGS)
    assert (ended.code, "401" in ended.err, "wrong_key" in ended.err + ended.out) == (1, True, False)


def test_wait_writes_the_result_of_each_line_with_its_details(connected, service):
    connected.write("in.jsonl", *({"n": number} for number in range(30)))
    batch = ("batch", "in.jsonl", *FLAGS, "--wait", "--max-running", "7", "-o", "jsonl")
    first = connected(*batch)
    assert first.code == 0, first.err
    assert sorted(row["line"] for row in first.rows) == list(range(1, 31))
    assert {(row["state"], row["resumed"]) for row in first.rows} == {("completed", False)}
    assert all(row["execution"]["output_data"] == row["execution"]["input_data"] for row in first.rows)
    again = connected(*batch)
    assert {(row["state"], row["resumed"]) for row in again.rows} == {("completed", True)}
    assert {row["line"]: row["execution"] for row in again.rows} == {
        row["line"]: row["execution"] for row in first.rows
    }
    assert numbers(service) == list(range(30))


def test_executions_that_fail_or_are_late_count_if_they_are_waited_for(connected):
    connected.write("in.jsonl", {"n": 1}, {"n": 2})
    failed = connected("batch", "in.jsonl", "--workflow-id", "fail", "--journal", "j.db", "--wait", "-o", "json")
    assert (failed.code, failed.json["states"]) == (1, {"failed": 2})
    assert "ended as failed" in failed.err
    late = connected(
        "batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "k.db", "--wait", "--timeout", "0.1", "-o", "json"
    )
    assert (late.code, late.json["states"]) == (1, {"timed_out": 2})


def test_a_journal_of_a_batch_that_did_not_wait_is_refused_with_wait(connected):
    connected.write("in.jsonl", {"n": 1})
    connected("batch", "in.jsonl", *FLAGS)
    refused = connected("batch", "in.jsonl", *FLAGS, "--wait")
    assert (refused.code, "create_many, not of run_many" in refused.err) == (1, True)


@pytest.mark.parametrize("flag", [("--max-running", "3"), ("--timeout", "3")])
def test_limits_of_executions_need_wait(connected, flag):
    connected.write("in.jsonl", {"n": 1})
    refused = connected("batch", "in.jsonl", *FLAGS, *flag)
    assert (refused.code, "are for --wait" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--journal", "j.db"), 2, "--workflow-id"),
        (("--workflow-id", "w", "--journal", "text.db"), 1, "text.db"),
        (("--workflow-id", "w", "--journal", "no/where.db"), 1, "no/where.db"),
    ],
)
def test_no_file_is_overwritten_by_mistake(connected, service, arguments, code, words):
    connected.write("in.jsonl", 1)
    connected.write("text.db", "not a journal")
    refused = connected("batch", "in.jsonl", *arguments)
    assert (refused.code, refused.out, refused.lines_of_errors, words in refused.err) == (code, "", 1, True)
    assert ((connected.home / "in.jsonl").read_text(), (connected.home / "text.db").read_text()) == (
        "1\n",
        "not a journal",
    )
    assert service.inputs() == []


def test_an_interrupted_batch_continues(connected, service):
    connected.write("in.jsonl", *({"n": number} for number in range(300)))
    batch = ("batch", "in.jsonl", *FLAGS, "--concurrency", "2")
    ended = connected.interrupted(lambda: service.until("POST /executions", many=10), *batch)
    assert (ended.code, "run the same command again to continue" in ended.err) == (130, True)
    sent = len(service.inputs())
    assert 10 <= sent < 300
    again = connected("batch", "in.jsonl", *FLAGS, "-o", "json")
    assert (again.code, again.json["states"], again.json["resumed"]) == (0, {"created": 300}, sent)
    assert numbers(service) == list(range(300))


def test_ctrl_c_while_executions_run_stops_at_once_and_the_next_run_waits_for_them(connected, service):
    connected.write("in.jsonl", *({"n": number} for number in range(9)))
    batch = ("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j", "--wait", "--max-running", "2")
    ended = connected.interrupted(lambda: service.until("GET /executions", "GET /executions/*"), *batch, "-o", "json")
    assert (ended.code, "run the same command again to continue" in ended.err) == (130, True)
    assert (ended.json["states"], ended.json["interrupted"]) == ({}, True)
    with service.client() as omium:
        (first, second) = omium.executions.list()
        for execution in (first, second):
            omium.executions.cancel(execution.id)
    again = connected(*batch, "--timeout", "0.1", "-o", "json")
    assert again.json["states"] == {"failed": 2, "timed_out": 7}


@pytest.mark.slow
def test_a_pipe_that_stays_open_can_be_interrupted(connected, service):
    ours, theirs = os.pipe()
    process = connected.start("batch", "-", *FLAGS, stdin=ours)
    os.close(ours)
    os.write(theirs, b'{"n": 1}\n{"n": 2}\n')
    service.until("POST /executions", many=2)
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process)
    os.close(theirs)
    assert (ended.code, "2 created" in ended.out) == (130, True)


@pytest.mark.parametrize(
    "command",
    [("batch", "in.jsonl", *FLAGS), ("replay", "--status", "failed", "--yes")],
    ids=lambda command: command[0],
)
def test_a_bulk_write_whose_stdout_is_closed_stops_and_says_so(connected, service, broken_pipe, monkeypatch, command):
    connected.write("in.jsonl", *({"n": number} for number in range(400)))
    for number in range(5):
        service.run("fail", {"n": number})
    before = service.writes("POST")
    monkeypatch.setattr(sys, "stdout", broken_pipe)
    ended = connected(*command, "--concurrency", "1", "-o", "jsonl")
    assert (ended.code, ended.lines_of_errors) == (1, 1)
    assert "stdout was closed before the end; run the same command again to continue" in ended.err
    assert service.writes("POST") - before < (400 if command[0] == "batch" else 5)


def test_a_batch_says_that_it_waits_and_why(connected, service):
    connected.write("in.jsonl", *range(3))
    service.local.inject(Fault(method="POST", action="status", status=429, times=3))
    ended = connected("--retries", "0", "batch", "in.jsonl", *FLAGS)
    assert (ended.code, "3 created" in ended.out) == (0, True)
    assert "omiumctl: warning: " in ended.err
    assert "429" in ended.err

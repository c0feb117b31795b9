"""`omiumctl batch`: an execution for each line, none twice, none lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from omium_sync._local import Fault


@pytest.fixture
def write(omiumctl):
    """Writes lines into a file: values as JSON, text as it is."""

    def write(name, *lines):
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        (omiumctl.home / name).write_text(text)
        return name

    return write


def report_of(omiumctl):
    return [json.loads(line) for line in (omiumctl.home / "report.jsonl").read_text().splitlines()]


def inputs(service):
    with service.client() as omium:
        return [execution.input_data for execution in omium.executions.list()]


FLAGS = ("--workflow-id", "echo", "--journal", "j.db", "--report", "report.jsonl")


def test_every_line_once_also_when_run_again(connected, service, write):
    write("in.jsonl", *({"number": number} for number in range(100)))
    first = connected("batch", "in.jsonl", *FLAGS, "--wait")
    assert (first.code, first.err) == (0, "")
    assert "100 created" in first.out
    assert "100 completed" in first.out
    assert "answered within" in first.out
    outcomes = [row for row in report_of(connected) if "line" in row]
    assert sorted(row["line"] for row in outcomes) == list(range(1, 101))
    assert {row["state"] for row in outcomes} == {"created"}
    by_line = {row["line"]: row["execution_id"] for row in outcomes}

    rows = [json.loads(line) for line in connected("batch", "in.jsonl", *FLAGS, "--output", "jsonl").out.splitlines()]
    assert rows == report_of(connected)
    assert {row["line"]: row["execution_id"] for row in rows} == by_line

    write("in.jsonl", *({"number": number} for number in range(120)))
    second = connected("batch", "in.jsonl", *FLAGS, "--output", "json")
    assert second.code == 0
    assert second.json["states"] == {"created": 120}
    assert second.json["resumed"] == 100
    again = {row["line"]: row["execution_id"] for row in report_of(connected)}
    assert {line: again[line] for line in by_line} == by_line
    assert sorted(data["number"] for data in inputs(service)) == list(range(120))


def test_a_malformed_line_stops_nothing_and_moves_no_other(connected, service, write):
    write("in.jsonl", {"n": 1}, "{broken\n", "\n", {"n": 4}, "NaN\n", {"n": 6})
    first = connected.here("batch", "in.jsonl", *FLAGS)
    assert first.code == 1
    assert "line 2 is malformed: " in first.err
    assert "line 5 is malformed: it is not JSON: there is no NaN in JSON" in first.err
    assert "3 created" in first.out
    assert "2 malformed" in first.out
    assert [row["line"] for row in report_of(connected) if row["state"] == "malformed"] == [2, 5]

    write("in.jsonl", {"n": 1}, {"n": 2}, "\n", {"n": 4}, {"n": 5}, {"n": 6})
    second = connected.here("batch", "in.jsonl", *FLAGS, "-o", "json")
    assert (second.code, second.json["states"], second.json["resumed"]) == (0, {"created": 5}, 3)
    assert sorted(data["n"] for data in inputs(service)) == [1, 2, 4, 5, 6]


def test_strict_sends_nothing_of_a_file_with_a_malformed_line(connected, service, write):
    write("in.jsonl", {"n": 1}, "{broken\n")
    refused = connected.here("batch", "in.jsonl", *FLAGS, "--strict")
    assert refused.code == 1
    assert "line 2 is malformed" in refused.err
    assert "nothing was sent" in refused.err
    assert inputs(service) == []


def test_strict_on_a_pipe_stops_at_the_line(connected, service):
    refused = connected("batch", "-", *FLAGS, "--strict", stdin=b'{"n": 1}\n{broken\n{"n": 3}\n')
    assert refused.code == 1
    assert "stopped at line 2" in refused.err
    assert inputs(service) == [{"n": 1}]


def test_stdin_may_be_a_file_that_others_have_begun_to_read(connected, service, write):
    write("in.jsonl", "a heading\n", 1, 2)
    with (connected.home / "in.jsonl").open("rb", buffering=0) as file:
        file.readline()
        ended = connected("batch", "-", *FLAGS, "--strict", stdin=file)
    assert (ended.code, ended.err) == (0, "")
    assert sorted(inputs(service)) == [1, 2]


def test_odd_lines(connected, service):
    lines = (
        b"\xef\xbb\xbf1\n",  # with a byte order mark
        b'"\xff"\n',
        b"\r\n",
        b"  2  \r\n",
        b'{"x": 123456789012345678901234567890}\n',
        b"[" * 100_000 + b"\n",
        b"1e999\n",
        b'"' + b"x" * (16 * 2**20) + b'"\n',
        b"4",  # without an end
    )
    ended = connected("batch", "-", *FLAGS, stdin=b"".join(lines))
    assert ended.code == 1
    for number, why in ((2, "not UTF-8"), (6, "nested"), (7, "too large"), (8, "longer than")):
        assert f"line {number} is malformed: it is {why}" in ended.err or why in ended.err
    assert sorted(map(str, inputs(service))) == ["1", "2", "4", "{'x': 123456789012345678901234567890}"]


def test_whole_requests(connected, service, write):
    write(
        "in.jsonl",
        {"input_data": {"n": 1}, "metadata": {"by": "me"}, "agent_id": "a"},
        {"workflow_id": "nobody", "key": "my-own-key"},
        {"input": 1},
        [1],
        {"metadata": 5},
    )
    ended = connected.here("batch", "in.jsonl", "--requests", *FLAGS)
    assert ended.code == 1
    assert "line 3 is malformed: a request has no 'input', only " in ended.err
    assert "line 4 is malformed: it is not an object" in ended.err
    rejected = [row for row in report_of(connected) if row["state"] == "rejected"]
    assert [row["line"] for row in rejected] == [5]
    assert "metadata must be an object" in rejected[0]["error"]
    with service.client() as omium:
        found = {execution.workflow_id: execution for execution in omium.executions.list()}
    assert found["echo"].metadata["by"] == "me"
    assert found["echo"].agent_id == "a"
    assert set(found) == {"echo", "nobody"}
    without = connected.here("batch", "in.jsonl", "--requests", "--journal", "other.db")
    assert "line 1 is malformed: it names no workflow_id" in without.err


def test_refusals_are_counted_by_their_reason(connected, service, write):
    write("in.jsonl", *range(20))
    service.local.inject(Fault(method="POST", action="status", status=400, times=5))
    ended = connected.here("batch", "in.jsonl", *FLAGS)
    assert ended.code == 1
    assert "15 created, 5 rejected" in ended.out
    assert "  5 x BadRequestError 400: " in ended.out
    rejected = [row for row in report_of(connected) if row["state"] == "rejected"]
    assert {row["http_status"] for row in rejected} == {400}
    assert all(row["request_id"] for row in rejected)


def test_a_refused_key_ends_it(connected, service, write):
    write("in.jsonl", *range(20))
    connected.environment["OMIUM_API_KEY"] = "om_wrong_key_1234567"
    ended = connected.here("batch", "in.jsonl", *FLAGS)
    assert ended.code == 1
    assert "401" in ended.err
    assert "wrong_key" not in ended.err + ended.out


def test_failed_executions_count_when_they_are_waited_for(connected, service, write):
    write("in.jsonl", {"n": 1}, {"n": 2})
    ended = connected.here("batch", "in.jsonl", "--workflow-id", "fail", "--journal", "j.db", "--wait", "-o", "json")
    assert ended.code == 1
    assert ended.json["states"] == {"created": 2, "failed": 2}


def test_nothing_overwrites_anything(connected, write):
    write("in.jsonl", 1)
    for report, journal in (("in.jsonl", "j.db"), ("r.jsonl", "in.jsonl"), ("same", "./same")):
        refused = connected.here("batch", "in.jsonl", "--workflow-id", "w", "--report", report, "--journal", journal)
        assert refused.code == 2
        assert "would overwrite" in refused.err
    assert (connected.home / "in.jsonl").read_text() == "1\n"
    refused = connected.here("batch", "in.jsonl", *FLAGS[:4], "--report", "no/where.jsonl")
    assert refused.code == 2
    refused = connected.here("batch", "in.jsonl", "--journal", "j.db")
    assert refused.code == 2
    assert "--workflow-id" in refused.err


def test_a_journal_that_does_not_do(connected, service, write):
    write("in.jsonl", 1)
    write("text.db", "no journal")
    for journal, words in (("text.db", "not a journal"), ("no/where.db", "there is no folder")):
        refused = connected.here("batch", "in.jsonl", "--workflow-id", "echo", "--journal", journal)
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
        assert words in refused.err
    assert inputs(service) == []


def test_a_closed_stdin_is_told(connected):
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *connected.command("batch", "-", *FLAGS)],
        env=connected.environment,
        cwd=connected.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    ended = connected.ended(process)
    assert (ended.code, ended.out) == (2, "")
    assert "stdin cannot be read" in ended.err


def test_an_interrupted_batch_goes_on(connected, service, write):
    write("in.jsonl", *({"number": number} for number in range(2000)))
    process = connected.start("batch", "in.jsonl", *FLAGS, "--concurrency", "4")
    started(service, process, 30)
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert ended.code == 130
    assert "run the same command again to go on" in ended.err
    sent = len(inputs(service))
    assert 30 <= sent < 2000
    again = connected("batch", "in.jsonl", *FLAGS, "-o", "json")
    assert (again.code, again.json["states"], again.json["resumed"]) == (0, {"created": 2000}, sent)
    assert sorted(data["number"] for data in inputs(service)) == list(range(2000))


def first_line_only(connected, *arguments):
    """A command whose reader goes away after one line, as `| head -1`."""
    ours, theirs = os.pipe()
    process = connected.start(*arguments, stdout=theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as reader:
        assert json.loads(reader.readline())
    return connected.ended(process)


def test_a_batch_that_nobody_reads_any_more_is_not_done(connected, service, write):
    write("in.jsonl", *({"number": number} for number in range(2000)))
    ended = first_line_only(connected, "batch", "in.jsonl", *FLAGS, "--concurrency", "4", "-o", "jsonl")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "stdout was closed before the end; run the same command again to go on" in ended.err
    sent = len(inputs(service))
    assert len(report_of(connected)) == sent < 2000
    again = connected("batch", "in.jsonl", *FLAGS, "-o", "json")
    assert (again.code, again.json["states"], again.json["resumed"]) == (0, {"created": 2000}, sent)


def test_a_bulk_replay_that_nobody_reads_any_more_is_not_done(connected, service):
    for number in range(40):
        service.create("fail", {"number": number})
    service.gate.set()
    replay = ("replay", "--status", "failed", "--yes", "--concurrency", "1", "-o", "jsonl")
    ended = first_line_only(connected, *replay)
    assert (ended.code, "stdout was closed before the end; run the same command again" in ended.err) == (1, True)
    assert first_line_only(connected, *replay, "--dry-run").code == 0


def test_a_killed_batch_goes_on(connected, service, write):
    write("in.jsonl", *({"number": number} for number in range(1000)))
    process = connected.start("batch", "in.jsonl", *FLAGS, "--concurrency", "8")
    started(service, process, 30)
    process.kill()
    connected.ended(process)
    again = connected("batch", "in.jsonl", *FLAGS, "--attempt-timeout", "1", "-o", "json")
    assert (again.code, again.json["states"]) == (0, {"created": 1000})
    assert sorted(data["number"] for data in inputs(service)) == list(range(1000))


def test_interrupted_while_it_only_waits(connected, service, write):
    write("in.jsonl", 1, 2)
    waiting = ("--workflow-id", "nobody", "--journal", "j.db", "--wait", "-o", "json")
    process = connected.start("batch", "in.jsonl", *waiting)
    deadline = time.monotonic() + 30
    started(service, process, 2)

    def looked() -> int:
        return service.local.counts.get("GET /executions/*", 0) + service.local.counts.get("GET /executions", 0)

    before = looked()
    while looked() < before + 3:  # it has sent all, then: one look more than any that belongs to the sending
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert (ended.code, ended.err.count("\n")) == (130, 1)
    assert "run the same command again to go on" in ended.err
    said = ended.json
    assert (said["states"], said["pending"], said["interrupted"]) == ({"created": 2}, 2, True)


def test_the_exit_status_counts_also_when_nobody_reads(connected, service, write):
    write("in.jsonl", "{broken\n")
    ours, theirs = os.pipe()
    os.close(ours)
    ended = connected("batch", "in.jsonl", *FLAGS, stdout=theirs)
    os.close(theirs)
    assert ended.code == 1


def test_a_slow_pipe_is_sent_as_it_comes_and_can_be_interrupted(connected, service):
    ours, theirs = os.pipe()
    process = connected.start("batch", "-", *FLAGS, stdin=ours)
    os.close(ours)
    os.write(theirs, b'{"n": 1}\n{"n": 2}\n')
    started(service, process, 2)
    deadline = time.monotonic() + 10
    while len(inputs(service)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    os.close(theirs)
    assert ended.code == 130
    assert "2 created" in ended.out


def started(service, process: subprocess.Popen[bytes], many: int) -> None:
    deadline = time.monotonic() + 30
    while service.local.counts.get("POST /executions", 0) < many:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)


# -- replay in bulk ----------------------------------------------------------------------------------------------------


def test_all_failed_executions_are_replayed(connected, service):
    ids = [service.create("fail", {"n": number}) for number in range(5)]
    other = service.create("echo")
    bulk = ("replay", "--yes", "--status", "failed", "--workflow-id", "fail")
    planned = connected.here(*bulk, "--dry-run", "-o", "json")
    assert planned.code == 0
    assert {row["state"] for row in planned.json} == {"planned"}
    assert connected.here(*bulk, "--dry-run", "--limit", "2", "-o", "jsonl").out.count("\n") == 2

    service.gate.set()
    replayed = connected(*bulk)
    assert (replayed.code, replayed.err) == (0, "")
    assert "5 replayed" in replayed.out
    for execution_id in ids:
        assert execution_id in replayed.out
    assert other not in replayed.out
    assert connected.here("wait", *ids, "--poll-interval", "0.01").code == 0
    assert sorted(service.ran) == sorted(ids)
    nothing = connected.here(*bulk)
    assert (nothing.code, nothing.out) == (0, nothing.out)
    assert "nothing to do" in nothing.out


def test_what_cannot_be_replayed_is_told(connected, service):
    service.create("fail")
    refused = connected.here("replay", "--yes", "--status", "failed", "--checkpoint-name", "none", "-o", "jsonl")
    assert refused.code == 1
    assert refused.json["state"] == "rejected"
    assert "no checkpoint 'none'" in refused.json["error"]


def test_bulk_replay_interrupted_says_how_to_go_on(connected, service):
    for number in range(3):
        service.create("fail", {"n": number})
    service.local.inject(Fault(method="POST", action="stall", times=9))
    process = connected.start("replay", "--yes", "--status", "failed", "--journal", "r.db")
    deadline = time.monotonic() + 30
    while service.local.counts.get("POST /executions/*/replay", 0) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert ended.code == 130
    assert ended.out == ""  # there was no outcome to sum up
    assert "run the same command again to go on: r.db remembers" in ended.err

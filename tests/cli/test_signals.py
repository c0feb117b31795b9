"""Ctrl-C ends a command with one line and 130; the line names the execution that was created."""

from __future__ import annotations

import functools
import signal

import pytest

from omium_async.local import Fault


@pytest.fixture
def interrupted(connected, service):
    """Run a command until a request has arrived, and interrupt it there."""

    def interrupted(request, *arguments, many=1):
        ended = connected.interrupted(functools.partial(service.until, request, many=many), *arguments)
        assert (ended.code, ended.out, ended.lines_of_errors) == (130, "", 1)
        return ended.err

    return interrupted


def test_ctrl_c_in_create_with_wait_names_the_execution(interrupted, service):
    said = interrupted("GET /executions/*", "create", "nobody", "--wait")
    with service.client() as omium:
        (created,) = omium.executions.list()
    assert said.startswith(f"omiumctl: interrupted: execution {created.id} was created")


@pytest.mark.parametrize("more", [(), ("--wait",)])
def test_ctrl_c_before_the_create_was_answered_says_that_the_outcome_is_unknown(interrupted, service, more):
    service.local.inject(Fault(method="POST", action="stall", times=9))
    said = interrupted("POST /executions", "create", "nobody", *more)
    assert said == "omiumctl: interrupted: it is not known whether an execution was created\n"


@pytest.mark.parametrize(
    ("command", "request_", "verb"),
    [
        (("replay", "ID"), "POST /executions/*/replay", "replayed"),
        (("rollback", "ID", "--checkpoint-name", "first"), "POST /executions/*/rollback", "rolled back"),
        (("delete", "ID", "--yes"), "DELETE /executions/*", "deleted"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_ctrl_c_in_a_write_says_that_its_outcome_is_unknown(interrupted, service, command, request_, verb):
    execution_id = service.run("fail")
    service.local.inject(Fault(method=request_.split()[0], action="stall", times=9))
    said = interrupted(request_, *(execution_id if word == "ID" else word for word in command))
    assert said == f"omiumctl: interrupted: it is not known whether execution {execution_id} was {verb}\n"


def test_ctrl_c_in_replay_with_wait_names_the_execution(interrupted, service):
    execution_id = service.run("fail")
    with service.client() as omium:
        (checkpoint,) = omium.executions.get(execution_id).checkpoints
    gets = service.local.counts["GET /executions/*"]
    service.local.inject(Fault(method="GET", action="stall", times=9))
    replay = ("replay", execution_id, "--checkpoint-id", checkpoint.id, "--wait")
    said = interrupted("GET /executions/*", *replay, many=gets + 1)
    assert said == f"omiumctl: interrupted: execution {execution_id} was replayed and continues\n"


def test_ctrl_c_in_a_bulk_replay_says_how_to_continue(interrupted, service):
    for number in range(3):
        service.run("fail", {"n": number})
    service.local.inject(Fault(method="POST", action="stall", times=9))
    replay = ("replay", "--yes", "--status", "failed", "--journal", "r.db")
    said = interrupted("POST /executions/*/replay", *replay, many=3)
    assert "run the same command again to continue: r.db records" in said


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own_is_one_line(connected, service):
    service.local.inject(Fault(method="GET", action="stall", times=9))
    process = connected.start("list", "-o", "jsonl")
    service.until("GET /executions")
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process)
    assert (ended.code, ended.out, ended.err) == (130, "", "omiumctl: interrupted\n")


@pytest.mark.slow
def test_a_watch_shows_new_rows_waits_out_an_outage_and_ends_at_ctrl_c(connected, service):
    process = connected.start("--retries", "0", "list", "--watch", "-o", "jsonl")
    service.pending()
    process.stdout.readline()
    service.local.inject(Fault(method="GET", action="status", status=503, times=2))
    assert process.stderr.readline().startswith(b"omiumctl: warning: list of executions")
    assert process.stderr.readline().startswith(b"omiumctl: warning: list of executions")
    service.pending()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process)
    assert (ended.code, ended.err) == (130, "omiumctl: interrupted\n")


def test_a_watch_ends_when_patience_is_over(connected, service):
    service.local.inject(Fault(method="GET", action="status", status=503, times=99))
    ended = connected("--retries", "0", "list", "--watch", "--patience", "0.1")
    assert (ended.code, "503" in ended.err) == (1, True)

"""Terminals that are narrow, and such as go away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest

from omium_sync._local import Fault

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal of 40 columns."""

    def __init__(self, cli) -> None:
        self._cli = cli
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 40, 0, 0))
        cli.environment["TERM"] = "xterm-256color"

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self.theirs)
        process = self._cli.start(*arguments, start_new_session=True, **streams)
        os.close(self.theirs)
        return process

    def read(self) -> str:
        """All that is shown, until the other side is closed."""
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side has gone
            while chunk := os.read(self.ours, 65536):
                shown += chunk
        os.close(self.ours)
        return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def failed(service):
    return service.create("fail")


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",), ("show", "ID"), ("wait", "ID"), ("replay", "ID", "--checkpoint-name", "first", "--wait"),
        ("rollback", "ID", "--checkpoint-name", "first"), ("replay", "--status", "failed", "--yes"),
        ("replay", "--status", "failed", "--dry-run"),
    ],
)  # fmt: skip
def test_ids_stay_whole_at_40_columns(connected, failed, arguments):
    terminal = Terminal(connected)
    process = terminal.start(*(failed if each == "ID" else each for each in arguments))
    shown = terminal.read()
    assert process.wait(30) in (0, 1)
    plain = STYLE.sub("", shown)
    assert "\x1b" not in plain
    assert "\x9b" not in plain
    lines = plain.split("\n")
    assert f"  {failed}" in lines or failed in lines
    assert any(re.match(r"(status|outcome) +[a-z_]+ *$", line) for line in lines)


@pytest.mark.parametrize("more", [("list", "--watch"), ("wait", "ID")])
def test_a_terminal_that_goes_away_ends_what_waits(connected, service, more):
    service.pending(1)
    with service.client() as omium:
        execution_id = next(omium.executions.list()).id
    terminal = Terminal(connected)
    process = terminal.start(*(execution_id if each == "ID" else each for each in more))
    assert os.read(terminal.ours, 1)
    os.close(terminal.ours)  # the next thing that is shown cannot be
    if more[0] == "wait":
        process.send_signal(signal.SIGHUP)
    else:
        service.pending(1)
    assert process.wait(20) != 0 or more[0] == "list"


def test_a_watch_sits_out_an_outage_and_says_so_in_two_lines(connected, service):
    process = connected.start("--retries", "0", "list", "--watch", "-o", "jsonl")
    service.pending(1)
    process.stdout.readline()
    service.local.inject(Fault(method="GET", action="status", status=503, times=3))
    assert "warning: the list of executions: no usable answer" in process.stderr.readline().decode()
    assert "answers come again" in process.stderr.readline().decode()
    service.pending(1)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process)
    assert (ended.code, ended.err) == (130, "omiumctl: interrupted\n")


def test_a_watch_ends_when_patience_is_over(connected, service):
    service.local.inject(Fault(method="GET", action="status", status=503, times=99))
    ended = connected("--retries", "0", "list", "--watch", "--patience", "4")
    assert (ended.code, ended.err.count("\n")) == (1, 2)
    assert ended.err.splitlines()[1].startswith("omiumctl: GET /api/v1/executions")

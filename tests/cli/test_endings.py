"""How a command ends that is interrupted, or meets what it should not have been given: in one line, nothing lost."""

from __future__ import annotations

import itertools
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from omium_sync._local import Fault
from omium_sync.cli.preview import preview, shortened


def until_asked(service, kind):
    deadline = time.monotonic() + 30
    while not service.local.counts.get(kind):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def only_one(service):
    with service.client() as omium:
        (execution,) = omium.executions.list()
    return execution.id


def test_ctrl_c_in_a_wait_says_what_was_created(connected, service):
    process = connected.start("create", "nobody", "--wait")
    until_asked(service, "GET /executions/*")
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    said = f"omiumctl: interrupted: execution {only_one(service)} was created, and runs on\n"
    assert (ended.code, ended.out, ended.err) == (130, "", said)


@pytest.mark.parametrize("more", [(), ("--wait",)])
def test_ctrl_c_before_the_create_was_answered(connected, service, more):
    service.local.inject(Fault(method="POST", action="stall", times=9))
    process = connected.start("create", "nobody", *more)
    until_asked(service, "POST /executions")
    process.send_signal(signal.SIGINT)
    ended = connected.ended(process, timeout=60)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "omiumctl: interrupted: whether an execution was created is not known\n"


def test_a_wait_that_fails_says_what_was_created(connected, service):
    service.local.inject(Fault(method="GET", action="status", status=403, times=9))
    ended = connected("create", "nobody", "--wait")
    service.local.clear_faults()
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert f"(execution {only_one(service)} was created, and runs on)" in ended.err


def test_a_wait_that_fails_says_what_was_replayed(connected, service):
    execution_id = service.create("fail")
    service.local.inject(Fault(method="GET", action="status", status=403, times=9))
    ended = connected.here("replay", execution_id, "--checkpoint-name", "first", "--wait")
    assert (ended.code, ended.err.count("\n")) == (1, 1)


def test_a_key_given_as_the_name_of_its_file_is_not_shown(omiumctl):
    key = "omium_live_0123456789abcdef"
    for name in (key, key * 50):
        ended = omiumctl.here("list", "--api-key-file", name)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert "omium_live" not in ended.err
        assert "--api-key-file" in ended.err
    (omiumctl.home / "large").write_bytes(b"x" * 70_000)
    assert "too large to be a key" in omiumctl.here("list", "--api-key-file", "large").err


def test_what_is_closed_on_stderr_goes_nowhere(connected, service):
    """Above all not into the journal, which would get the number of stderr."""
    Path(connected.home, "in.jsonl").write_text('{"n": 1}\n' * 5)
    command = connected.command("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j.db", "--yes")
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    connected.command = lambda *_: shell
    for _ in range(2):
        ended = connected.ended(connected.start())
        assert ended.code == 0
        assert "5 created" in ended.out


def test_reports_and_the_files_of_a_demo_are_private(connected):
    Path(connected.home, "in.jsonl").write_text('{"n": 1}\n')
    old = Path(connected.home, "old.jsonl")
    old.write_text("open to all")
    old.chmod(0o644)
    common = ("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j.db", "--report")
    for report in (old, Path(connected.home, "new.jsonl")):
        assert connected.here(*common, report).code == 0
        assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert connected.here(*common, os.devnull).code == 0

    source = Path(connected.home, "secrets")
    source.mkdir()
    (source / "notes.txt").write_text("private\n")
    (source / "notes.txt").chmod(0o600)
    assert connected("demo", source, "--database", "d.db", "--executions", "100").code == 0
    root = Path(connected.home, "d.db.files")
    copied = list(root.rglob("*"))
    assert sum(path.is_file() for path in copied) > 90
    for path in (root, *copied):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_deep_and_wide_values_are_shown_within_bounds():
    deep: list[object] = []
    inner = deep
    for _ in range(900):
        inner.append([])
        inner = inner[-1]  # type: ignore[assignment]
    inner.extend([1] * 300_000)
    for value in (deep, [deep] * 1000, ["x" * 3_000_000], {"k" * 3_000_000: 1}, [[]] * 300_000):
        started = time.process_time()
        lines = list(itertools.islice(preview(value), 60))
        assert sum(map(len, lines)) < 60 * 5_000
        assert time.process_time() - started < 1
    assert len(shortened("x" * 3_000_000)) < 3_000


def test_small_values_are_shown_as_json_has_them():
    value = {"a": [1, 2.5, None, True], "b": {}, "c": [], 'd"': {"e": "ü\x1b\u202e"}}
    assert "\n".join(preview(value)) == (
        '{\n  "a": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n  "b": {},\n  "c": [],\n  "d\\"": {\n'
        '    "e": "ü\\u001b\\u202e"\n  }\n}'
    )

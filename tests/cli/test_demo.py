"""`omiumctl demo`: the main job, on real files."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import sqlite3
import time

import pytest


def chapters(text):
    """The text under each heading."""
    parts = re.split(r"^(\d\. .+|And now)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_run_twice_on_the_standard_library(omiumctl):
    started = time.monotonic()
    first = omiumctl("demo")
    assert time.monotonic() - started < 60  # 20 where nothing else runs
    assert (first.code, first.err) == (0, "")
    story = chapters(first.out)
    assert "It is new" in story["1. An Omium of your own"]
    created = story["2. Executions: many at once"]
    assert "Created 120 executions" in created
    results = story["3. What came out"]
    assert "half_written.py: SyntaxError" in results
    assert "not_there_yet.py: FileNotFoundError" in results
    assert int(re.search(r"Of all \d+: ([\d,]+) lines", results)[1].replace(",", "")) > 10_000
    replayed = story["4. Checkpoints and replay: go on where it failed"]
    assert "identify 1x, read 1x, parse 2x, measure 1x" in replayed
    assert "identify 1x, read 2x, parse 1x, measure 1x" in replayed
    assert "So identify and read were not run again" in replayed
    assert "It is paused now, and keeps identify, read:" in story["5. Rollback: back to a checkpoint"]
    assert "1 paused" in story["And now"]

    go_on_by_hand(omiumctl, story["And now"])

    second = omiumctl("demo")
    assert second.code == 0
    assert "It remembers 120 executions of 1 earlier run: " in second.out
    assert "paused" not in second.out.partition("2. Executions")[0]  # it was replayed by hand
    assert (omiumctl.home / "state" / "omiumctl" / "demo.db").is_file()


def go_on_by_hand(omiumctl, farewell):
    """What the demo says at its end is true."""
    serve, listing, replay, show = (
        line.split()[1:] for line in farewell.splitlines() if line.startswith("  omiumctl ")
    )
    process = omiumctl.start(*serve)
    exports = [process.stdout.readline().decode() for _ in range(3)][1:]
    omiumctl.environment |= dict(line.split()[1].split("=") for line in exports)
    assert show[-1] in omiumctl.here(*listing).out
    assert omiumctl.here(*replay).code == 0
    assert omiumctl.here("wait", show[-1], "--until", "completed", "--timeout", "20").code == 0
    assert '"lines": ' in omiumctl.here(*show).out
    process.send_signal(signal.SIGTERM)
    assert omiumctl.ended(process, timeout=60).code == 0


def test_any_folder_is_measured_and_left_as_it_was(omiumctl, tmp_path):
    folder = tmp_path / "mine"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "good.py").write_text("def f():\n    return 1\n" * 200)
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "data.json").write_text('{"a": [1, 2, {"b": null}]}')
    (folder / "broken.json").write_text("{")
    (folder / "deep" / "er" / "conf.toml").write_text("[a]\nb = 1\n")
    (folder / "deep" / "prose [bold]x \x1b[31m.txt").write_text("some words\non two lines\n")
    (folder / "binary.bin").write_bytes(bytes(range(256)))
    (folder / "empty.py").touch()
    (folder / "huge.txt").write_bytes(b"x" * 600_000)
    (folder / "nowhere").symlink_to(folder / "not there")
    before = {path: path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}

    ended = omiumctl("demo", folder, "--database", tmp_path / "d.db", "--executions", "100")
    assert (ended.code, ended.err) == (0, "")
    assert {path: path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before
    assert "(7 files for 100 executions: each is measured several times)" in ended.out
    assert "1 larger than 512 KiB were left out" in ended.out
    assert "1 folders or files could not be looked at" in ended.out
    assert "broken.py: SyntaxError" in ended.out
    assert "broken.json: JSONDecodeError" in ended.out
    assert "values" in ended.out
    assert "\x1b" not in ended.out
    assert ended.out.count("not run again") == 2


def test_a_folder_without_python_files(omiumctl, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "prose.txt").write_text("some words\n")
    ended = omiumctl("demo", tmp_path / "mine", "--executions", "100")
    assert (ended.code, ended.err) == (0, "")
    assert "98 completed" in ended.out
    assert ended.out.count("not run again") == 2


def test_a_folder_without_files(omiumctl, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "empty.txt").touch()
    refused = omiumctl.here("demo", tmp_path / "mine")
    assert (refused.code, refused.out) == (2, "")
    assert "there is no file to measure" in refused.err


@pytest.mark.parametrize("database", ["nowhere/demo.db", "text.db"])
def test_a_database_that_does_not_do(omiumctl, database):
    (omiumctl.home / "text.db").write_text("no database")
    refused = omiumctl.here("demo", "--database", database)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert (omiumctl.home / "text.db").read_text() == "no database"


def test_without_a_home_it_still_runs_and_says_so(omiumctl, tmp_path):
    (tmp_path / "file").touch()
    omiumctl.environment |= {"XDG_STATE_HOME": str(tmp_path / "file" / "state"), "TMPDIR": str(tmp_path)}
    ended = omiumctl("demo", "--executions", "100")
    assert ended.code == 0
    assert "the next demo will not find it again" in ended.out
    assert "it will remember" not in ended.out


def test_progress_is_live_on_a_terminal_only(omiumctl):
    ours, theirs = pty.openpty()
    omiumctl.environment["TERM"] = "xterm"
    process = omiumctl.start("demo", "--executions", "100", stderr=theirs)
    os.close(theirs)
    bars = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has gone
        while chunk := os.read(ours, 65536):
            bars += chunk
    os.close(ours)
    ended = omiumctl.ended(process)
    assert ended.code == 0
    assert "\x1b" not in ended.out
    assert "have ended, " not in ended.out  # the lines that stand in for the bars
    for word in (b"creating", b"running", b"100/100", b"failed"):
        assert word in bars


def test_interrupted_it_ends_and_the_next_goes_on(omiumctl):
    process = omiumctl.start("demo", "--executions", "2000")
    while b"Two more are made" not in process.stdout.readline():
        pass
    with contextlib.closing(sqlite3.connect(omiumctl.home / "state" / "omiumctl" / "demo.db")) as database:
        while not database.execute("SELECT 1 FROM executions").fetchone():
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    ended = omiumctl.ended(process, timeout=60)
    assert (ended.code, ended.err) == (130, "omiumctl: interrupted\n")
    again = omiumctl("demo")
    assert again.code == 0
    assert "of 1 earlier run" in again.out

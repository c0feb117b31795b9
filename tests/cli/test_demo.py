"""`omiumctl demo`: real work, failures, replay, rollback and cancel."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from omium_sync import Omium


@pytest.fixture
def sources(omiumctl, monkeypatch):
    """A folder, and a demo of few executions."""
    monkeypatch.setattr("omium_sync.cli.commands.demo._EXECUTIONS", 12)
    folder = omiumctl.home / "mine"
    folder.mkdir()
    (folder / "good.py").write_text("def f():\n    return 1\n" * 200)
    (folder / "broken [bold]x \x1b[31m.py").write_text("def f(:\n")
    (folder / "empty.py").touch()
    (folder / "nowhere.py").symlink_to(folder / "not there")
    return folder


def test_the_demo_shows_failures_replay_rollback_and_cancel_and_only_reads_the_folder(omiumctl, sources):
    before = {path: path.lstat().st_mtime_ns for path in [sources, *sources.rglob("*")]}
    first = omiumctl("demo", sources)
    assert (first.code, first.err) == (0, "")
    assert {path: path.lstat().st_mtime_ns for path in [sources, *sources.rglob("*")]} == before
    for words in ("half_written.py: SyntaxError", "parse 2x, measure 1x", "It is paused now", "It is cancelled now"):
        assert words in first.out
    assert ("It is new" in first.out, "\x1b" in first.out) == (True, False)
    second = omiumctl("demo", sources)
    assert (second.code, "It remembers earlier runs: " in second.out) == (0, True)


def test_the_commands_that_the_demo_names_work(omiumctl, sources, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    out = omiumctl("demo", sources).out
    serve, replay = (shlex.split(line)[1:] for line in out.splitlines() if line.startswith("  omiumctl "))
    assert replay[0] == "replay"

    def use(said):
        with Omium(said["api_key"], base_url=said["url"], poll_interval=(0.01, 0.1)) as omium:
            omium.executions.replay(replay[1])
            assert omium.executions.wait(replay[1]).status == "completed"

    omiumctl.serve("--port", "0", *serve[1:], use=use)


@pytest.mark.slow
def test_the_demo_measures_the_standard_library(omiumctl):
    ended = omiumctl("demo")
    assert (ended.code, ended.err) == (0, "")
    assert int(re.search(r"one of the ([\d,]+) Python files", ended.out)[1].replace(",", "")) > 500


def test_a_folder_without_python_files_is_wrong_usage(omiumctl):
    (omiumctl.home / "text.txt").write_text("words\n")
    refused = omiumctl("demo", omiumctl.home)
    assert (refused.code, refused.out, "there is no Python file" in refused.err) == (2, "", True)


@pytest.mark.parametrize("database", ["nowhere/demo.db", "text.db"])
def test_a_database_that_cannot_be_used_is_one_line(omiumctl, sources, database):
    omiumctl.write("text.db", "no database")
    refused = omiumctl("demo", sources, "--database", database)
    assert (refused.code, refused.lines_of_errors) == (1, 1)
    assert (omiumctl.home / "text.db").read_text() == "no database"


def test_the_demo_works_without_a_home_folder(omiumctl, sources):
    (omiumctl.home / "file").touch()
    omiumctl.environment |= {"XDG_STATE_HOME": str(omiumctl.home / "file" / "state"), "TMPDIR": str(omiumctl.home)}
    assert omiumctl("demo", sources).code == 0

"""Wrong usage is one line on stderr and exit status 2, and nothing is sent. Help and version."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from omium_sync.cli import main
from omium_sync.cli.app import COMMANDS
from omium_sync.cli.options import time


def refused(ended, *words):
    assert (ended.code, ended.out, ended.lines_of_errors) == (2, "", 1), ended
    assert [word for word in words if word not in ended.err] == [], ended.err
    return ended


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["lst"], "No such command 'lst'. Did you mean list?"),
        (["nothing"], "No such command 'nothing'. (see"),
        (["list", "--lmit", "3"], "--lmit"),
        (["list", "--json"], "Did you mean --output json?"),
        (["list", "--limit", "x"], "'x' is not a whole number, 0 or more"),
        (["list", "--status", "faild"], "'faild' is not one of 'pending', "),
        (["list", "--timeout", "0"], "--timeout: 0.0 is not above 0"),
        (["list", "--url", "http://example.org"], "--allow-insecure-http"),
        (["list", "--api-key-file", "nowhere"], "the file of --api-key-file cannot be read"),
        (["list", "--since", "yesterday"], "'yesterday' is neither a time"),
        (["list", "--since", "999999w"], "'999999w' is before the first date"),
        (["list", "--since", "1h", "--before", "2h"], "--since is after --before"),
        (["list", "--metadata", "team"], "'team' is not KEY=VALUE"),
        (["list", "--columns", "id,stats"], "there is no column 'stats'"),
        (["list", "--columns", "id", "-o", "json"], "--columns is for tables and csv"),
        (["list", "--watch", "-o", "csv"], "--watch has no end"),
        (["show"], "EXECUTION_ID"),
        (["show", "live"], "EXECUTION_ID"),
        (["create", ""], "WORKFLOW_ID"),
        (["create", "w", '{"x": 1}'], "give the input as --input '...'"),
        (["create", "w", "--input", "{"], "not JSON"),
        (["create", "w", "--input", "NaN"], "not JSON"),
        (["create", "w", "--input", "@nowhere"], "nowhere cannot be read"),
        (["create", "w", "--metadata", "[1]"], "metadata: "),
        (["replay"], "--status"),
        (["replay", "x", "--checkpoint-id", "a", "--checkpoint-name", "b"], "not both"),
        (["replay", "x", "--status", "failed"], "not both"),
        (["replay", "x", "y", "--limit", "1", "--yes"], "not both"),
        (["replay", "x", "--dry-run"], "--dry-run is for many"),
        (["replay", "x", "y", "--wait", "--yes"], "--wait is for one"),
        (["replay", "x", "y"], "give --yes"),
        (["replay", "-"], "give --yes"),
        (["show", "-", "-"], "give it once"),
        (["replay", "--status", "failed", "--checkpoint-id", "x"], "--checkpoint-id is for one"),
        (["rollback", "x"], "--checkpoint-id or --checkpoint-name"),
        (["wait", "x", "--until", "complete"], "'complete' is not one of 'pending', "),
        (["serve", "--port", "65536"], "'65536' is not a whole number from 0 to 65535"),
        (["batch", "nowhere", "--workflow-id", "w", "--journal", "j"], "nowhere"),
        (["help", "lst"], "No such command 'lst'. Did you mean list?"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_an_argument_that_cannot_be_used_is_refused(omiumctl, arguments, word):
    omiumctl.environment |= {"OMIUM_API_KEY": "om_none_of_your_business", "OMIUM_API_URL": "http://127.0.0.1:9"}
    assert "none_of_your_business" not in refused(omiumctl(*arguments), word).err


def test_a_setting_that_cannot_be_used_is_wrong_usage_and_keys_are_not_shown(omiumctl):
    refused(omiumctl("list"), "no API key", "OMIUM_API_KEY", "--api-key-file")
    omiumctl.environment["OMIUM_API_KEY"] = "om_key\nwith a line break"
    assert "with a line" not in refused(omiumctl("list"), "OMIUM_API_KEY (environment)").err
    omiumctl.environment |= {"OMIUM_API_KEY": "om_key_1234567890", "OMIUM_TIMEOUT": "soon"}
    refused(omiumctl("list"), "OMIUM_TIMEOUT (environment)")
    omiumctl.environment = {k: v for k, v in omiumctl.environment.items() if not k.startswith("OMIUM")}
    (omiumctl.home / ".omium").mkdir()
    (omiumctl.home / ".omium" / "config.json").write_text('{"api_key": "om_key')
    assert "om_key" not in refused(omiumctl("list"), "config.json").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--api-key", "om_visible_in_ps", "list"),
        ("list", "--api-key=om_visible_in_ps"),
        ("list", "--api-key-file", "om_visible_in_ps"),
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(omiumctl, arguments):
    assert "visible_in_ps" not in refused(omiumctl(*arguments), "--api-key-file").err


def test_each_help_has_options_then_examples(omiumctl):
    overview = omiumctl("--help")
    assert (overview.code, overview.err, "Exit status: 0 done" in overview.out) == (0, "", True)
    assert omiumctl("help").out == overview.out
    for command in COMMANDS:
        text = omiumctl(command, "-h")
        assert (text.code, text.err) == (0, "")
        assert text.out.startswith(f"Usage: omiumctl {command}")
        assert 0 < text.out.index("Options:") < text.out.index("Examples:\n    ")
        assert f"  {command} " in overview.out
        assert omiumctl("help", command).out == text.out


def test_without_a_command_the_help_goes_to_stderr(omiumctl):
    ended = omiumctl()
    assert (ended.code, ended.out, "Commands:" in ended.err) == (2, "", True)


def test_the_version(omiumctl):
    from omium_sync import __version__

    assert omiumctl("--version").out == omiumctl("version").out == f"omiumctl {__version__}\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    assert main(["list"]) == 2
    assert capsys.readouterr().err == f"omiumctl: it needs {missing}: pip install 'omium-async[cli]'\n"


def test_the_package_imports_neither_click_nor_rich_nor_a_server(omiumctl):
    script = (
        "import sys, json, omium_sync.cli\n"
        "before = [name for name in ('click', 'rich') if name in sys.modules]\n"
        "import omium_sync.cli.app\n"
        "after = [name for name in ('rich', 'aiohttp.web', 'omium_async.local') if name in sys.modules]\n"
        "print(json.dumps([before, after]))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], env=omiumctl.environment, capture_output=True, check=True)
    assert json.loads(found.stdout) == [[], []]


def test_a_defect_is_one_line_too(omiumctl, monkeypatch):
    from omium_sync.cli import connection

    monkeypatch.setattr(connection.Connection, "client", lambda self: {}["nothing"])
    ended = omiumctl("list")
    assert (ended.code, ended.lines_of_errors) == (1, 1)
    assert ended.err.startswith("omiumctl: this is a defect: KeyError: 'nothing' (")


def test_a_time_without_a_zone_is_utc():
    assert time("2026-11-27") == datetime(2026, 11, 27, tzinfo=UTC)
    assert time("2026-11-27T08:30+02:00") == datetime(2026, 11, 27, 6, 30, tzinfo=UTC)
    assert (time("90m"), time("1.5h")) == (timedelta(minutes=90), timedelta(minutes=90))

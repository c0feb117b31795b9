"""Wrong usage: one line on stderr, exit status 2, and nothing is sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def refused(ended, *words):
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.count("\n") == 1, ended.err
    for word in words:
        assert word in ended.err
    return ended


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["lst"], "No such command 'lst'"),
        (["list", "--lmit", "3"], "--lmit"),
        (["list", "--limit", "x"], "--limit"),
        (["list", "--limit", "-1"], "--limit"),
        (["list", "--output", "xml"], "--output"),
        (["list", "--status", ""], "--status"),
        (["list", "--timeout", "0"], "--timeout: 0.0 is not above 0"),
        (["--timeout", "nan", "list"], "--timeout: nan is not a number"),
        (["list", "--retries", "-1"], "--retries: -1 is below 0"),
        (["list", "--url", "ftp://x"], "--url: it does not begin with https://"),
        (["list", "--url", "http://example.org"], "--allow-insecure-http"),
        (["list", "--api-key-file", "nowhere"], "the file of --api-key-file cannot be read"),
        (["show"], "EXECUTION_ID"),
        (["show", ""], "EXECUTION_ID"),
        (["show", ".."], "EXECUTION_ID"),
        (["show", "live"], "EXECUTION_ID"),
        (["create"], "WORKFLOW_ID"),
        (["create", ""], "WORKFLOW_ID"),
        (["create", "w", "--input", "{"], "not JSON"),
        (["create", "w", "--input", "NaN"], "not JSON"),
        (["create", "w", "--input", "1e999"], "too large"),
        (["create", "w", "--input", "[" * 100_000], "nested too deeply"),
        (["create", "w", "--input", "@nowhere"], "nowhere cannot be read"),
        (["create", "w", "--metadata", "[1]"], "metadata must be an object"),
        (["replay"], "--status"),
        (["replay", "x", "--checkpoint-id", "a", "--checkpoint-name", "b"], "not both"),
        (["replay", "x", "--status", "failed"], "leave EXECUTION_ID out"),
        (["replay", "--status", "failed", "--checkpoint-id", "x"], "--checkpoint-id belongs to one"),
        (["rollback", "x"], "--checkpoint-id or --checkpoint-name"),
        (["wait"], "EXECUTION_ID"),
        (["wait", "x", "--timeout", "-1"], "--timeout"),
        (["serve", "--port", "65536"], "--port"),
        (["demo", "nowhere"], "nowhere"),
        (["batch", "nowhere", "--workflow-id", "w", "--journal", "j"], "nowhere"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_makes_no_sense(omiumctl, arguments, word):
    omiumctl.environment |= {"OMIUM_API_KEY": "om_none_of_your_business", "OMIUM_API_URL": "http://127.0.0.1:9"}
    assert "none_of_your_business" not in refused(omiumctl.here(*arguments), word).err


def test_settings_that_make_no_sense_are_usage_too(omiumctl):
    refused(omiumctl.here("list"), "no API key", "OMIUM_API_KEY", "--api-key-file")
    omiumctl.environment["OMIUM_API_KEY"] = "om_key\nwith a line break"
    assert "with a line" not in refused(omiumctl.here("list"), "OMIUM_API_KEY (environment)").err
    omiumctl.environment |= {"OMIUM_API_KEY": "om_key_1234567890", "OMIUM_TIMEOUT": "soon"}
    refused(omiumctl.here("list"), "OMIUM_TIMEOUT (environment)")
    del omiumctl.environment["OMIUM_TIMEOUT"], omiumctl.environment["OMIUM_API_KEY"]
    (omiumctl.home / ".omium").mkdir()
    (omiumctl.home / ".omium" / "config.json").write_text('{"api_key": "om_key')
    assert "om_key" not in refused(omiumctl.here("list"), "config.json").err


def test_a_key_on_the_command_line_is_refused_and_not_repeated(omiumctl):
    for arguments in (("--api-key", "om_visible_in_ps", "list"), ("list", "--api-key=om_visible_in_ps")):
        assert "visible_in_ps" not in refused(omiumctl.here(*arguments), "OMIUM_API_KEY", "--api-key-file").err


def test_key_and_url_before_or_behind_the_command(omiumctl, service):
    (omiumctl.home / "key").write_text(service.local.api_key + "\n")
    options = ("--url", service.local.url, "--api-key-file", "key")
    assert omiumctl.here(*options, "list", "-o", "json").json == []
    assert omiumctl.here("list", *options, "--auth", "bearer", "-o", "json").json == []
    wrong = omiumctl.here("--url", "http://127.0.0.1:9", "list", *options, "-o", "json")
    assert wrong.json == []  # what is behind the command is closer to it


def test_help_and_version(omiumctl):
    from omium_sync import __version__

    assert omiumctl.here("--version").out == f"omiumctl {__version__}\n"
    assert omiumctl.here().code == 2
    overview = omiumctl.here("--help")
    assert (overview.code, overview.err) == (0, "")
    assert "Exit status: 0 done" in overview.out
    assert "Examples:\n    omiumctl " in overview.out
    for command in ("demo", "serve", "list", "show", "create", "replay", "rollback", "wait", "batch"):
        assert f"  {command} " in overview.out
        text = omiumctl.here(command, "-h")
        assert (text.code, text.err) == (0, "")
        assert "Usage: omiumctl" in text.out
        assert "Examples:\n    omiumctl " in text.out


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_what_to_install(omiumctl, missing):
    script = (
        "import sys, importlib.abc\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {missing!r}: raise ModuleNotFoundError(name)\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {missing!r} else found(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from omium_sync.cli import main\n"
        "sys.exit(main(['list']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=omiumctl.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    ended = omiumctl.ended(process)
    assert ended.code == 2
    assert ended.err == f"omiumctl: it needs {missing}: pip install 'omium-async[cli]'\n"


def test_the_package_imports_neither_click_nor_rich_nor_a_server(omiumctl):
    script = (
        "import sys, json, omium_sync.cli\n"
        "before = [name for name in ('click', 'rich') if name in sys.modules]\n"
        "import omium_sync.cli.entry\n"
        "after = [name for name in ('aiohttp.web', 'omium_async.local') if name in sys.modules]\n"
        "print(json.dumps([before, after]))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], env=omiumctl.environment, capture_output=True, check=True)
    before, after = json.loads(found.stdout)
    assert (before, after) == ([], [])


def test_a_defect_is_one_line_too(omiumctl, monkeypatch):
    from omium_sync.cli import connection

    monkeypatch.setattr(connection.Connection, "client", lambda self: {}["nothing"])
    ended = omiumctl.here("list")
    assert ended.code == 1
    assert ended.err.startswith("omiumctl: this is a defect: KeyError: 'nothing' (")
    assert ended.err.count("\n") == 1


def test_check_says_where_key_and_url_come_from(connected, service):
    good = connected.here("check")
    assert good.code == 0
    assert "key        from OMIUM_API_KEY\n" in good.out
    assert f"url        {service.local.url}/api/v1, from OMIUM_API_URL\n" in good.out
    assert "answers in" in good.out
    assert service.local.counts == {"GET /executions": 1}
    assert connected.here("check", "-o", "json").json["ok"] is True


def test_check_fails_with_one_line(connected, tmp_path):
    key = tmp_path / "key"
    key.write_text("another-key-altogether")
    refused = connected.here("check", "--api-key-file", key)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "the service refuses the key from --api-key-file" in refused.err
    assert "another-key-altogether" not in refused.out + refused.err
    for given in (["--url", "nowhere"], ["--url", "http://example.com", "-o", "jsonl"]):
        unusable = connected.here("check", *given)
        assert (unusable.code, unusable.err.count("\n"), "--url: " in unusable.err) == (1, 1, True)
        assert "-o" not in given or unusable.json == {"ok": False, "error": unusable.err.strip().partition(": ")[2]}
    away = connected.here("check", "--url", "http://127.0.0.1:9", "--retries", "0")
    assert (away.code, away.err.count("\n")) == (1, 1)

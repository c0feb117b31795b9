"""Silent by default; `OMIUM_LOG` shows what is said on stderr, once, whatever the application has set up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY = """
for name in ("omium_async.transport", "omium_sync"):
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger(name), level)("%s says %s", name, level)
"""


def said(value: str | None, before: str = "", after: str = "") -> list[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("OMIUM_")}
    if value is not None:
        environment["OMIUM_LOG"] = value
    script = f"import logging\n{before}\nimport omium_async\n{after}\n{SAY}"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stdout) == (0, "")
    return ran.stderr.splitlines()


def test_silent_by_default() -> None:
    assert said(None) == said("") == []


@pytest.mark.parametrize(("value", "levels"), [("debug", 3), ("INFO", 2), ("Warning", 1), (" warning ", 1)])
def test_shown_from_the_level_on_that_was_asked_for(value: str, levels: int) -> None:
    lines = said(value)
    assert len(lines) == 2 * levels
    assert lines[-1].endswith("WARNING omium_sync: omium_sync says warning")


@pytest.mark.parametrize("value", ["trace", "1", "omium_live_0123456789"])
def test_an_unknown_level_is_told(value: str) -> None:
    first, *others = said(value)
    assert "WARNING omium_async.settings: OMIUM_LOG (environment):" in first
    assert "give debug, info, warning" in first
    assert (value in first) is (len(value) < 8)
    assert len(others) == 2


@pytest.mark.parametrize(
    "own",
    [
        "logging.basicConfig(level='DEBUG')",
        "for name in ('omium_async', 'omium_sync'): logging.getLogger(name).addHandler(logging.StreamHandler())",
    ],
)
def test_no_line_comes_twice_where_the_application_logs_too(own: str) -> None:
    for lines in (said("debug", before=own), said("debug", after=own)):
        assert len(lines) == 6


def test_what_the_application_does_not_show_is_shown() -> None:
    own = "h = logging.StreamHandler(); h.setLevel('ERROR'); logging.getLogger().addHandler(h)"
    assert len(said("info", after=own)) == 4


def test_a_process_without_stderr_goes_on() -> None:
    assert said("debug", after="import sys; sys.stderr = None") == []

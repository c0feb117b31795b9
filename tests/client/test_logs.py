"""The loggers are silent by default; `OMIUM_LOG` prints each record once to stderr."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import omium_async
from omium_async import AsyncOmium
from omium_async.local import Fault, LocalOmium

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
    assert said("") == []


@pytest.mark.parametrize(("value", "levels"), [("debug", 3), (" Warning ", 1)])
def test_shown_from_the_level_on_that_was_asked_for(value: str, levels: int) -> None:
    lines = said(value)
    assert len(lines) == 2 * levels
    assert lines[-1].endswith("WARNING omium_sync: omium_sync says warning")


@pytest.mark.parametrize("value", ["trace", "omium_live_0123456789"])
def test_an_unknown_level_is_reported(value: str) -> None:
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
    assert len(said("debug", before=own)) == 6


def test_what_the_application_does_not_show_is_shown() -> None:
    own = "h = logging.StreamHandler(); h.setLevel('ERROR'); logging.getLogger().addHandler(h)"
    assert len(said("info", after=own)) == 4


def test_a_process_without_stderr_continues() -> None:
    assert said("debug", after="import sys; sys.stderr = None") == []


class JSONLines(logging.Formatter):
    """As formatters for JSON do it: whatever a record has beyond a usual one is a field."""

    usual = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        more = {name: value for name, value in vars(record).items() if name not in self.usual}
        return json.dumps({"logger": record.name, "level": record.levelname, "text": record.getMessage(), **more})


async def test_a_formatter_for_json_shows_the_fields() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONLines())
    logger = logging.getLogger("omium_async")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        async with (
            LocalOmium() as local,
            AsyncOmium(local.api_key, base_url=local.url, backoff=(0, 0), poll_interval=(0.01, 0.01)) as omium,
        ):
            local.inject(Fault(method="POST", status=429, headers={"Retry-After": "0"}))
            created = await omium.executions.create("nobody")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    calls = [line for line in lines if line["logger"] == "omium_async.transport"]
    assert [(line["level"], line["omium_status"], line["omium_attempt"]) for line in calls] == [
        ("DEBUG", 429, 1),
        ("WARNING", 429, 1),
        ("DEBUG", 201, 2),
    ]
    assert {(line["omium_method"], line["omium_path"]) for line in calls} == {("POST", "/api/v1/executions")}
    assert all(line["omium_request_id"] for line in calls)
    (pending,) = (line for line in lines if line["logger"] == "omium_async.local")
    assert (pending["omium_execution_id"], pending["omium_workflow_id"]) == (created.id, "nobody")


def test_what_a_warning_says_its_record_carries_as_fields() -> None:
    """Each that puts something into its words puts it into fields too."""
    bare = []
    for path in sorted(Path(omium_async.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "warning":
                fields = {keyword.arg for keyword in node.keywords}
                if len(node.args) > 1 and "extra" not in fields:
                    bare.append(f"{path.name}:{node.lineno}")
    assert bare == []

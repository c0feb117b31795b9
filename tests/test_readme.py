"""The commands of the README work on a fresh machine, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [code for language, code in BLOCKS if language == "sh"]

pytestmark = pytest.mark.timeout(300)


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM_", "PYTHON"))}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_DATA_HOME": str(home)}


def marked(what: str) -> str:
    """The shell block that follows a mark of the README."""
    found: str = re.findall(rf"<!-- the {what} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0]
    return found


def test_there_are_three_commands():
    assert [what for what in ("demo", "pytest", "sphinx") for code in SHELL if what in code] == [
        "demo",
        "pytest",
        "sphinx",
    ]
    assert len(SHELL) == 3


def test_the_demo_command_works_from_a_fresh_clone(tmp_path):
    (demo,) = [code for code in SHELL if "demo" in code]
    for name in ("pyproject.toml", "README.md", "LICENSE", "omium_async", "omium_sync"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", demo],
        cwd=tmp_path,
        env={**environment(tmp_path), "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replay" in done.stdout.lower()


@pytest.mark.parametrize(("what", "program"), [("tests", "pytest"), ("documentation", "sphinx")])
def test_continuous_integration_runs_the_marked_commands(what, program):
    assert program in marked(what)
    assert f"<!-- the {what} -->" in (ROOT / ".ci" / "run").read_text()


def test_the_documentation_command_builds_as_nox_does():
    nox = (ROOT / "noxfile.py").read_text()
    for option in ("--fail-on-warning", "--keep-going"):
        assert option in nox
        assert option in marked("documentation")
    assert marked("documentation").rstrip().endswith(" docs site")
    assert ".[docs]" in marked("documentation")

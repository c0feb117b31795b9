"""The README's commands work on a fresh machine as they are printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

README = (ROOT / "README.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def marked(name: str) -> str:
    """Return the shell block after a mark of the README."""
    found: str = re.findall(rf"<!-- the {name} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0]
    return found


def test_the_readme_has_a_demo_command_a_test_command_and_a_documentation_command():
    programs = [program for code in SHELL for program in ("demo", "pytest", "sphinx") if program in code]
    assert programs == ["demo", "pytest", "sphinx"]
    assert len(SHELL) == 3


def test_no_command_replaces_the_editable_install_of_another():
    assert [code for code in SHELL if "--editable" not in code] == []


@pytest.mark.parametrize(("name", "program"), [("tests", "pytest"), ("documentation", "sphinx")])
def test_continuous_integration_runs_the_marked_commands(name, program):
    assert program in marked(name)
    assert f"<!-- the {name} -->" in (ROOT / ".ci" / "run").read_text()


def test_the_documentation_command_fails_on_warnings():
    assert {"--fail-on-warning", "--keep-going", "'.[docs]'", "docs", "site"} <= set(marked("documentation").split())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_command_works_from_a_fresh_clone(tmp_path):
    (demo,) = [code for code in SHELL if "demo" in code]
    for name in ("pyproject.toml", "README.md", "LICENSE", "omium_async", "omium_sync"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM_", "PYTHON"))}
    homes = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"), str(tmp_path))
    kept.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", demo],
        cwd=tmp_path,
        env={**kept, **homes, "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replay" in done.stdout.lower()

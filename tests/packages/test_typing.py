"""Type checkers infer the types that the files beside this expect, and reject wrong calls."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHECKED = ("usage.py", "workflows.py")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_mypy_infers_the_types_that_users_expect(tmp_path):
    strict = ["--strict", "--warn-unused-ignores", "--cache-dir", str(tmp_path), "--config-file", ""]
    files = [str(HERE / name) for name in CHECKED]
    done = subprocess.run([sys.executable, "-m", "mypy", *strict, *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_infers_the_types_that_users_expect(tmp_path):
    for name in CHECKED:
        shutil.copy(HERE / name, tmp_path)
    rules = {
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportUnusedCoroutine": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(rules))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout

"""The public surface has the types that `usage.py` expects, wrong calls included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
def test_usage_type_checks(tmp_path):
    usage = Path(__file__).with_name("usage.py")
    strict = ["--strict", "--warn-unused-ignores", "--cache-dir", str(tmp_path), "--config-file", ""]
    done = subprocess.run([sys.executable, "-m", "mypy", *strict, str(usage)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""SIGKILL at random moments, of the batch and of its server: each request is applied once and has an outcome.

By default a few instants, to fit a test run. All of it, 50 instants of a batch of 3,000:

    OMIUM_TEST_KILLS=50 OMIUM_TEST_KILLED_ITEMS=3000 pytest tests/batch/test_killing.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..ports import free_port

KILLS = int(os.environ.get("OMIUM_TEST_KILLS", "6"))
ITEMS = int(os.environ.get("OMIUM_TEST_KILLED_ITEMS", "900"))


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the killer forks")
def test_killed_at_random_instants_everything_is_applied_once(tmp_path):
    seed = int(os.environ.get("OMIUM_TEST_SEED", "1"))
    killer = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(killer), str(tmp_path), str(free_port())]
    command += ["--items", str(ITEMS), "--kills", str(KILLS), "--seed", str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout)
    assert found["problems"] == [], f"seed {seed}: {ended.stderr[-3000:]}"
    assert found["twice"] == [], f"seed {seed}"
    assert (found["applied"], found["missing"]) == (ITEMS, 0), f"seed {seed}"
    assert found["last"] == {"created": ITEMS}, f"seed {seed}"

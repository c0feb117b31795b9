"""Memory and descriptors stay flat over thousands of calls; `soak.py` beside this makes 100,000."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_flat_memory_and_descriptors() -> None:
    soak = Path(__file__).with_name("soak.py")
    ran = subprocess.run([sys.executable, soak, "1500"], capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr

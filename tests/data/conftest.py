"""Helpers of the tests of data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def run_python() -> Callable[[str], None]:
    """Run a script in a new interpreter, which must succeed."""

    def run(script: str) -> None:
        subprocess.run([sys.executable, "-c", script], check=True)

    return run

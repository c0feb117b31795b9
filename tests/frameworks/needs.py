"""What a test needs that may not be installed."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def need(name: str) -> Any:
    """The module, or a skip of the file that asks; where all are wanted, a missing one is an error."""
    if os.environ.get("OMIUM_TEST_FRAMEWORKS") == "all":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: python -m nox -s frameworks has it")

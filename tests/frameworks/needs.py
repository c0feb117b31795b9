"""Optional packages of these tests."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def need(name: str) -> Any:
    """Return the module, or skip the calling test. `nox -s slow` sets a variable that makes a missing one an error."""
    if os.environ.get("OMIUM_TEST_FRAMEWORKS") == "all":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: python -m nox -s slow installs it")

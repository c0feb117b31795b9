"""The frameworks of the tests of agents."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needs(module: str) -> list[pytest.MarkDecorator]:
    """Return the marks of tests that import the module: skipped if it is missing, except where it must not be.

    `nox -s agents` names the modules that must not be missing.
    """
    if module in os.environ.get("OMIUM_TEST_AGENTS", "").split() or _is_installed(module):
        return []
    return [pytest.mark.skip(reason=f"{module} is not installed: python -m nox -s agents installs it")]


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False

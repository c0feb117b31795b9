"""A server that speaks bytes, and clients of it whose retries come at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..rawserver import Tools


@pytest.fixture
def raw() -> type[Tools]:
    return Tools


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty environment and home; returns the path of the config file."""
    for name in list(os.environ):
        if name.startswith("OMIUM_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".omium").mkdir()
    return tmp_path / ".omium" / "config.json"

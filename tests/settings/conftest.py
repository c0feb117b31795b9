"""Settings of the tests' own: nothing comes from the environment or the home of who runs them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("OMIUM_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".omium").mkdir()
    return tmp_path / ".omium" / "config.json"

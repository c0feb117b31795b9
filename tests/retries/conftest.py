"""A server that speaks bytes, and clients of it whose retries come at once."""

from __future__ import annotations

import pytest

from ..rawserver import Tools


@pytest.fixture
def raw() -> type[Tools]:
    return Tools


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMIUM_API_KEY", "OMIUM_API_URL", "OMIUM_TIMEOUT", "OMIUM_RETRY_ATTEMPTS", "OMIUM_PATIENCE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

"""A LocalOmium and a client of it, both for sync code."""

from __future__ import annotations

import asyncio

import pytest

from omium_sync import LocalOmium, Omium


@pytest.fixture(scope="module")
def local():
    server = LocalOmium(strict=False)

    @server.workflow("double")
    async def double(run):
        return await run.step("twice", lambda: run.input_data * 2)

    @server.workflow("fails once")
    async def fails_once(run):
        await run.step("first", lambda: 1)
        if not repaired:
            raise ValueError("not yet")
        return "repaired"

    @server.workflow("waits")
    async def waits(run):
        await asyncio.sleep(3600)

    repaired = []
    server.repaired = repaired
    with server:
        yield server


@pytest.fixture
def client(local):
    local.repaired.clear()
    with Omium(local.api_key, base_url=local.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _long_naps(monkeypatch):
    """A thread that waits for a call is woken by its end, and does not find out by itself after a while."""
    monkeypatch.setattr("omium_sync._portal._NAP", 1000.0)

"""Fixtures that run the examples of agent frameworks, which `nox -s agents` installs."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from omium_async import AsyncOmium
from omium_async.local import LocalOmium

EXAMPLES = Path(__file__).parents[2] / "examples"


class Server(LocalOmium):
    """A server of the examples' workflows.

    :ivar running: set when an execution of ``report`` for a day after the 31st begins, which never ends by itself.
    :ivar broken: whether the second step of ``report`` fails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = asyncio.Event()
        self.broken = False
        self.workflow("report")(self._report)
        self.workflow("research")(self._research)

    async def _report(self, run: Any) -> Any:
        day = await run.step("read", lambda: run.input_data["day"])
        if day > 31:
            self.running.set()
            await asyncio.Event().wait()
        return await run.step("write", lambda: self._write(day))

    def _write(self, day: int) -> dict[str, str]:
        if day < 1 or self.broken:
            raise ValueError("no such day")
        return {"title": f"day {day}"}

    async def _research(self, run: Any) -> Any:
        return {"answer": run.input_data["query"].upper()}


@pytest.fixture
async def local() -> AsyncIterator[Server]:
    async with Server() as local:
        yield local


@pytest.fixture
async def client(local: Server) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.02, 0.1)) as client:
        yield client


@pytest.fixture
def environment(local: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the examples, in this process and in processes that tests start. No framework reports home."""
    for name, value in {
        "OMIUM_API_KEY": local.api_key,
        "OMIUM_API_URL": local.url,
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_DISABLE_TELEMETRY": "true",
        "LANGSMITH_TRACING": "false",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return {**os.environ}


@pytest.fixture
async def example(environment: dict[str, str]) -> AsyncIterator[Callable[[str], ModuleType]]:
    """Return a function that imports an example again, so that its client uses this test's server."""
    loaded: list[ModuleType] = []

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        loaded.append(importlib.import_module(name))
        return loaded[-1]

    yield load
    for module in loaded:
        await module.omium.aclose()
        sys.modules.pop(module.__name__, None)

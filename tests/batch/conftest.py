"""Servers for batches, clients of them, and what was applied there."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from omium_async import AsyncOmium, ExecutionRequest, OmiumError
from omium_async._journal.file import _Commit
from omium_async.local import LocalOmium


@pytest.fixture
async def local() -> AsyncIterator[LocalOmium]:
    """A server that does not honour idempotency keys: what is sent twice is applied twice."""
    server = LocalOmium()
    server.honor_idempotency = False
    async with server:
        yield server


@pytest.fixture
async def omium(local, patient) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(local.api_key, base_url=local.url) as client:
        yield client


def break_the_journal(monkeypatch: pytest.MonkeyPatch, is_full: Callable[[], bool]) -> None:
    """Let the disk be full for the journal as soon as it says so."""
    run = _Commit.run

    def full(self: Any, connection: Any) -> Any:
        if is_full():
            raise sqlite3.OperationalError("database or disk is full")
        return run(self, connection)

    monkeypatch.setattr(_Commit, "run", full)


def numbered(count: int, start: int = 0) -> Iterator[ExecutionRequest]:
    for number in range(start, start + count):
        yield ExecutionRequest("work", {"number": number})


async def applied(omium: AsyncOmium, workflow_id: str = "work") -> Counter[int]:
    """How often each of the numbered requests was applied."""
    rows = omium.executions.list(workflow_id=workflow_id, page_size=1000)
    return Counter([row.input_data["number"] async for row in rows])


async def collect(outcomes: Any) -> list[Any]:
    return [outcome async for outcome in outcomes]


async def ended(outcomes: Any) -> tuple[list[Any], OmiumError]:
    """What was told before the error that ended it, and that error."""
    found: list[Any] = []

    async def note() -> None:
        async for outcome in outcomes:
            found.append(outcome)  # noqa: PERF401 - kept also when an error ends it

    with pytest.raises(OmiumError) as caught:
        await note()
    return found, caught.value


def states(outcomes: Any) -> Counter[Any]:
    """How many outcomes of each state, and whether they were resumed."""
    return Counter((outcome.state, outcome.resumed) for outcome in outcomes)


class ServerThread:
    """A server on a loop of its own, for tests that block."""

    def __init__(self, local: LocalOmium) -> None:
        self.local = local
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self.local:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> LocalOmium:
        self._thread.start()
        assert self._ready.wait(30)
        return self.local

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

"""`kill -9` at random moments: nothing that was answered is lost, and no recorded step runs again.

The server runs in a process of its own. Each step writes a line to a file when its function is called; after each kill
the database says which steps were recorded. No later line may name one of these.
"""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

SERVER = Path(__file__).parent / "killed_server.py"
STEPS = 4


class Servers:
    """Processes that serve one database, one after the other, each until it is killed."""

    def __init__(self, folder: Path, root: str) -> None:
        self.database, self.log = folder / "o.db", folder / "log"
        self.log.touch()
        command = [sys.executable, str(SERVER), str(self.database), str(self.log), str(STEPS)]
        environment = {**os.environ, "PYTHONPATH": root}
        self.parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.answered: list[str] = []

    @contextlib.asynccontextmanager
    async def one(self):
        """Start a server; kill it at the end of the block."""
        self.parent.stdin.write(b"another\n")
        self.parent.stdin.flush()
        started = json.loads(await self._line())
        headers = {"X-API-Key": started["key"]}
        async with aiohttp.ClientSession(f"{started['url']}/api/v1/", headers=headers) as session:
            try:
                yield session
            finally:
                os.kill(started["pid"], signal.SIGKILL)
                assert await self._line() == b"dead\n"

    async def _line(self) -> bytes:
        return await asyncio.to_thread(self.parent.stdout.readline)

    def called(self) -> list[tuple[str, ...]]:
        """The steps whose functions were called so far, in order."""
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]

    def recorded(self) -> set[tuple[str, str]]:
        """The steps that the database holds."""
        connection = sqlite3.connect(self.database)
        rows = connection.execute("SELECT e.id, c.name FROM checkpoints c JOIN executions e USING (position)")
        found = set(rows.fetchall())
        connection.close()
        return found

    async def create(self, session: aiohttp.ClientSession) -> None:
        """Create executions until the server is killed."""
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while not session.closed:
                async with session.post("executions", json={"workflow_id": "w"}) as response:
                    assert response.status == 201
                    self.answered.append((await response.json())["id"])
                await asyncio.sleep(0.002)

    async def killed_after(self, seconds: float, at_least: int) -> None:
        """Kill a server that creates and runs executions."""
        async with self.one() as session:
            creating = asyncio.gather(*(self.create(session) for _ in range(3)))
            await asyncio.sleep(seconds)
            while len(self.answered) < at_least:
                await asyncio.sleep(0.002)
        await creating


@pytest.fixture
def servers(tmp_path, root):
    servers = Servers(tmp_path, root)
    yield servers
    servers.parent.stdin.close()
    servers.parent.wait()
    servers.parent.stdout.close()


async def answer(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as response:
        return await response.json()


async def check_all_complete(session: aiohttp.ClientSession, created: list[str]) -> None:
    while [
        row for row in (await answer(session, "executions?page_size=1000"))["items"] if row["status"] != "completed"
    ]:
        await asyncio.sleep(0.02)
    for execution_id in created:
        detail = await answer(session, f"executions/{execution_id}")
        assert (detail["status"], detail["output_data"]) == ("completed", list(range(STEPS)))


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_killed_runs_continue_and_no_recorded_step_runs_again(servers, kills):
    chance = random.Random(20)
    recorded: set[tuple[str, str]] = set()
    read = 0
    for kill in range(kills):
        await servers.killed_after(chance.uniform(0.0, 0.15), at_least=3 * kill + 3)
        called, now = servers.called(), servers.recorded()
        assert not recorded.intersection(called[read:]), "a recorded step ran again"
        assert now >= recorded, "a checkpoint is lost"
        recorded, read = now, len(called)
    assert recorded
    async with servers.one() as session:
        await check_all_complete(session, servers.answered)
    assert not recorded.intersection(servers.called()[read:])
    assert servers.recorded() == {(one, f"s{n}") for one, _ in servers.recorded() for n in range(STEPS)}

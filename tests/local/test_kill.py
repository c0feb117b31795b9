"""SIGKILL in the middle of work, 20 times at random instants.

The server runs in a process of its own. Each step notes in a file, flushed to the disk, that its function was called;
after each kill the database says which steps were on record. No later line may name one of these.
"""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

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

import aiohttp
import pytest

SERVER = Path(__file__).parent / "killed_server.py"
KILLS = 20
STEPS = 4


class Servers:
    """Processes that serve a database, one after the other, each until it is killed."""

    def __init__(self, database: Path, notes: Path, root: str) -> None:
        self.mother = subprocess.Popen(
            [sys.executable, str(SERVER), str(database), str(notes), str(STEPS), root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @contextlib.asynccontextmanager
    async def one(self):
        self.mother.stdin.write(b"another\n")
        self.mother.stdin.flush()
        where = json.loads(await self._said())
        try:
            yield where
        finally:
            os.kill(where["pid"], signal.SIGKILL)
            assert await self._said() == b"dead\n"

    async def _said(self) -> bytes:
        return await asyncio.to_thread(self.mother.stdout.readline)

    def end(self) -> None:
        self.mother.stdin.close()
        self.mother.wait()
        self.mother.stdout.close()


async def create_until_killed(where: dict, answered: list[str], prefix: str) -> None:
    """Creates executions, several at once, as long as there is somebody to answer."""

    async def one(session: aiohttp.ClientSession, worker: int) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            for number in range(100_000):
                headers = {"Idempotency-Key": f"{prefix}-{worker}-{number}"}
                async with session.post("executions", json={"workflow_id": "w"}, headers=headers) as response:
                    assert response.status == 201
                    answered.append((await response.json())["id"])
                await asyncio.sleep(0.002)

    headers = {"X-API-Key": where["key"]}
    async with aiohttp.ClientSession(f"{where['url']}/api/v1/", headers=headers) as session:
        await asyncio.gather(*(one(session, worker) for worker in range(3)))


def on_record(database: Path) -> set[tuple[str, str]]:
    connection = sqlite3.connect(database)
    try:
        return set(
            connection.execute("SELECT e.id, c.name FROM checkpoints c JOIN executions e USING (position)").fetchall()
        )
    finally:
        connection.close()


@pytest.fixture
def servers(tmp_path, root):
    (tmp_path / "notes").touch()
    servers = Servers(tmp_path / "o.db", tmp_path / "notes", root)
    yield servers
    servers.end()


async def test_killed_20_times(tmp_path, servers):
    database, notes = tmp_path / "o.db", tmp_path / "notes"
    chance = random.Random(20)
    answered: list[str] = []
    recorded: set[tuple[str, str]] = set()
    read = 0
    keys = set()
    for kill in range(KILLS):
        async with servers.one() as where:
            keys.add(where["key"])
            load = asyncio.create_task(create_until_killed(where, answered, str(kill)))
            await asyncio.sleep(chance.uniform(0.0, 0.15))
            while len(answered) < kill and not load.done():  # which only a slow machine needs
                await asyncio.sleep(0.002)
        await load
        lines = [tuple(line.split()) for line in notes.read_text().splitlines()]
        again = recorded.intersection(lines[read:])
        assert not again, f"ran again although on record: {again}"
        read = len(lines)
        now = on_record(database)
        assert now >= recorded, "a checkpoint is lost"
        recorded = now
    assert len(keys) == 1
    assert len(answered) >= KILLS - 1
    assert recorded
    async with servers.one() as where:
        await everything_completes(where, answered)
    lines = [tuple(line.split()) for line in notes.read_text().splitlines()]
    assert not recorded.intersection(lines[read:])
    assert len(on_record(database)) == len({execution_id for execution_id, _ in on_record(database)}) * STEPS


async def everything_completes(where: dict, answered: list[str]) -> None:
    async with aiohttp.ClientSession(f"{where['url']}/api/v1/", headers={"X-API-Key": where["key"]}) as session:

        async def total(query: str) -> int:
            async with session.get(f"executions?page_size=1{query}") as response:
                return (await response.json())["total"]

        while await total("&status=running") + await total("&status=pending"):
            await asyncio.sleep(0.02)
        assert await total("&status=completed") == await total("") >= len(answered)
        for execution_id in answered:
            async with session.get(f"executions/{execution_id}") as response:
                detail = await response.json()
                assert detail["output_data"] == list(range(STEPS)), detail

"""`kill -9` at any moment: nothing that was answered is lost, no recorded step runs again, and a cancel is whole.

The servers run in processes of their own. Each step writes a line to a file when its function is called; after each
kill the database says which steps were recorded. No later line may name one of these.
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

from omium_async.local import DatabaseInUseError, LocalOmium

from .conftest import names
from .killed_server import STEPS

SERVER = Path(__file__).parent / "killed_server.py"


class Servers:
    """Processes that serve one database, one after the other, each until it is killed."""

    def __init__(self, parent: subprocess.Popen[bytes], folder: Path) -> None:
        self.parent, self.folder = parent, folder
        self.database, self.log = folder / "o.db", folder / "log"
        self.log.touch()
        self.answered: list[str] = []

    @contextlib.asynccontextmanager
    async def one(self):
        """Start a server; kill it at the end of the block."""
        self.parent.stdin.write(f"{self.folder}\n".encode())
        self.parent.stdin.flush()
        started = json.loads(await self._line())
        self.pid = started["pid"]
        headers = {"X-API-Key": started["key"]}
        async with aiohttp.ClientSession(f"{started['url']}/api/v1/", headers=headers) as session:
            session._retry_connection = False
            try:
                yield session
            finally:
                os.kill(self.pid, signal.SIGKILL)
                assert await self._line() == b"dead\n"

    async def _line(self) -> bytes:
        return await asyncio.to_thread(self.parent.stdout.readline)

    def called(self) -> list[tuple[str, ...]]:
        """The steps whose functions were called so far, in order."""
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]

    def recorded(self) -> set[tuple[str, str]]:
        """The steps that the database holds."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute("SELECT e.id, c.name FROM checkpoints c JOIN executions e USING (position)")
            return set(rows.fetchall())

    async def create(self, session: aiohttp.ClientSession) -> None:
        """Create executions until the server is killed."""
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while not session.closed:
                self.answered.append(await create(session, "w"))
                await asyncio.sleep(0.002)

    async def killed_after(self, seconds: float, at_least: int) -> None:
        """Kill a server that creates and runs executions."""
        async with self.one() as session:
            creating = asyncio.gather(*(self.create(session) for _ in range(3)))
            await asyncio.sleep(seconds)
            while len(self.answered) < at_least or not any(name == "s1" for _, name in self.called()):
                await asyncio.sleep(0.002)  # the call of s1 shows that s0 is recorded
        await creating


@pytest.fixture(scope="module")
def parent(root):
    environment = {**os.environ, "PYTHONPATH": root}
    parent = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    yield parent
    parent.stdin.close()
    parent.wait()
    parent.stdout.close()


@pytest.fixture
def servers(parent, tmp_path):
    return Servers(parent, tmp_path)


async def create(session: aiohttp.ClientSession, workflow_id: str, input_data: Any = None) -> str:
    async with session.post("executions", json={"workflow_id": workflow_id, "input_data": input_data}) as response:
        assert response.status == 201
        return (await response.json())["id"]


async def cancel(session: aiohttp.ClientSession, execution_id: str) -> tuple[int, str] | None:
    """Cancel with the key of this execution; None: the server was killed."""
    headers = {"Idempotency-Key": execution_id}
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with session.patch(f"executions/{execution_id}/status?status=cancelled", headers=headers) as response:
            return response.status, await response.text()
    return None


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as response:
        return await response.json()


async def until(session: aiohttp.ClientSession, execution_id: str, status: str, checkpoints: int = 0) -> Any:
    while True:
        detail = await get(session, f"executions/{execution_id}")
        if detail["status"] == status and len(detail["checkpoints"]) >= checkpoints:
            return detail
        await asyncio.sleep(0.005)


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
        for execution_id in servers.answered:
            assert (await until(session, execution_id, "completed"))["output_data"] == list(range(STEPS))
        while (await get(session, "executions?status=running"))["total"]:
            await asyncio.sleep(0.005)
    assert not recorded.intersection(servers.called()[read:])
    assert servers.recorded() == {(one, f"s{n}") for one, _ in servers.recorded() for n in range(STEPS)}


async def test_a_server_holds_its_database_until_it_is_killed(servers):
    async with servers.one():
        with pytest.raises(DatabaseInUseError, match=str(servers.database)):
            await LocalOmium(servers.database).start()
    async with LocalOmium(servers.database):
        pass


async def test_a_server_killed_in_a_cancel_has_cancelled_durably_or_continues_the_run(servers):
    moments = ("before", "within", "after")  # the commit
    async with servers.one() as session:
        created = {moment: await create(session, "endless", moment) for moment in moments}
        for moment, execution_id in created.items():
            await until(session, execution_id, "running", checkpoints=1 if moment == "within" else 2)
        in_flight = [asyncio.create_task(cancel(session, one)) for one in created.values()]
        before = [await until(session, created[moment], "cancelled") for moment in ("within", "after")]
        assert not any(task.done() for task in in_flight)
    assert await asyncio.gather(*in_flight) == [None, None, None]
    async with servers.one() as session:
        continued = await until(session, created["before"], "running", checkpoints=3)
        assert names(continued)[-1] == f"served by {servers.pid}"
        for detail in before:
            assert await get(session, f"executions/{detail['id']}") == detail
        for execution_id in created.values():
            status, text = await cancel(session, execution_id)
            assert (status, json.loads(text)["status"]) == (200, "cancelled")
            assert await cancel(session, execution_id) == (status, text)
            assert (await get(session, f"executions/{execution_id}"))["status"] == "cancelled"


@pytest.mark.slow
async def test_cancels_at_random_moments_of_a_kill_are_never_lost(servers):
    chance = random.Random(7)
    answers: dict[str, tuple[int, str] | None] = {}
    statuses = set()
    for _ in range(20):
        async with servers.one() as session:
            for execution_id, answer in answers.items():
                detail = await get(session, f"executions/{execution_id}")
                statuses.add(detail["status"])
                assert detail["status"] in ("cancelled", "running")
                assert answer is None or detail["status"] == "cancelled", "an answered cancel is lost"
                while detail["status"] == "running" and names(detail)[-1] != f"served by {servers.pid}":
                    detail = await get(session, f"executions/{execution_id}")
                repeated = await cancel(session, execution_id)
                assert repeated[0] == 200
                assert answer in (None, repeated), "the repeated request got another response"
            created = [await create(session, "endless", "never") for _ in range(10)]
            for execution_id in created:
                await until(session, execution_id, "running", checkpoints=1)
            tasks = [asyncio.create_task(cancel(session, one)) for one in created]
            await asyncio.sleep(chance.uniform(0, 0.02))
        answers = dict(zip(created, await asyncio.gather(*tasks), strict=True))
    assert statuses == {"cancelled", "running"}

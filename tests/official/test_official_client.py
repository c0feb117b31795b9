"""The official client, as installed from the registry, works with LocalOmium.

Runs where ``OMIUM_TEST_OFFICIAL`` names the interpreter of an environment that holds ``omium==0.4.3`` and ``mcp<2``.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from omium_async import AsyncOmium
from omium_async.local import LocalOmium

OFFICIAL = os.environ.get("OMIUM_TEST_OFFICIAL", "")

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(not OFFICIAL, reason="OMIUM_TEST_OFFICIAL names no interpreter with the official client"),
    pytest.mark.timeout(240),
]


@pytest.fixture
async def local():
    server = LocalOmium()

    @server.workflow("fails-late")
    async def fails_late(run):
        await run.step("first", lambda: {"n": 1})
        await run.step("second", lambda: {"n": 2})
        raise RuntimeError("always")

    async with server:
        yield server


@pytest.fixture
async def failed(local):
    async with AsyncOmium(local.api_key, base_url=local.url) as omium:
        yield await omium.executions.run("fails-late", {"query": "x"}, agent_id="agent", poll_interval=0.01)


async def official(local: LocalOmium, home: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "HOME": str(home),
        "OMIUM_API_KEY": local.api_key,
        "OMIUM_API_URL": local.url,
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "PYTHONIOENCODING": "utf-8",
    }
    process = await asyncio.create_subprocess_exec(
        *arguments, env=environment, cwd=home, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def command(*arguments: str) -> tuple[str, ...]:
    return (str(Path(OFFICIAL).parent / "omium"), *arguments)


async def test_lists(local, failed, tmp_path):
    output = await official(local, tmp_path, *command("list", "--output", "json"))
    assert failed.id in output
    assert '"status": "failed"' in output


async def test_shows(local, failed, tmp_path):
    output = await official(local, tmp_path, *command("show", failed.id))
    assert "FAILED" in output
    assert "RuntimeError: always" in output
    assert "Checkpoints (2)" in output
    assert "second" in output


async def test_replays(local, failed, tmp_path):
    first = failed.checkpoints[0]
    output = await official(local, tmp_path, *command("replay", failed.id, "--checkpoint-id", first.id))
    assert "Replay started successfully" in output
    assert "Replayed from checkpoint: first" in output


async def test_rolls_back(local, failed, tmp_path):
    script = (
        "import asyncio, json, sys\n"
        "from omium.remote_client import RemoteOmiumClient\n"
        "async def main():\n"
        "    async with RemoteOmiumClient() as client:\n"
        "        print('ANSWER ' + json.dumps(await client.rollback_to_checkpoint(sys.argv[1], sys.argv[2])))\n"
        "asyncio.run(main())\n"
    )
    output = await official(local, tmp_path, OFFICIAL, "-c", script, failed.checkpoints[0].id, failed.id)
    answer = json.loads(output.partition("ANSWER ")[2])
    assert answer["id"] == failed.id
    assert answer["status"] == "paused"
    async with AsyncOmium(local.api_key, base_url=local.url) as omium:
        detail = await omium.executions.get(failed.id)
    assert [checkpoint.name for checkpoint in detail.checkpoints] == ["first"]

"""The MCP server of the examples, called by mcp's client over stdio."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from omium_async.local import Fault

from .conftest import EXAMPLES
from .needs import needs

pytestmark = needs("mcp.server.mcpserver")

PROGRAM = ["-W", "error", str(EXAMPLES / "mcp_server.py")]


@pytest.fixture
def mcp(environment):
    """Return a context manager: a client that is connected to a new process of the server."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    return Client(stdio_client(StdioServerParameters(command=sys.executable, args=PROGRAM, env=environment)))


def day(number):
    return {"data": {"day": number}}


def texts(result):
    return [content.text for content in result.content]


async def test_run_failures_and_replay(mcp, local, client):
    async with mcp as model:
        tools = {tool.name: tool for tool in (await model.list_tools()).tools}
        assert tools.keys() == {"run", "failures", "replay"}
        assert tools["run"].description == "Write the report of a day of the month."
        (done,) = texts(await model.call_tool("run", day(3)))
        assert json.loads(done) == {"title": "day 3"}

        local.broken = True
        failed = await model.call_tool("run", day(4))
        assert failed.is_error
        assert "no such day" in texts(failed)[0]
        assert "do not send it again" in texts(failed)[0]
        (row,) = texts(await model.call_tool("failures", {"limit": 5}))
        assert json.loads(row)["error"] == "ValueError: no such day"

        local.broken = False
        (again,) = texts(await model.call_tool("replay", {"execution_id": json.loads(row)["id"]}))
        assert json.loads(again)["output_data"] == {"title": "day 4"}
        refused = await model.call_tool("replay", {"execution_id": json.loads(row)["id"]})
        assert refused.is_error
        assert "409" in texts(refused)[0]
    assert local.counts["POST /executions"] == 2


async def test_the_model_reads_why_the_service_refuses_and_nothing_runs_twice(mcp, local, client):
    async with mcp as model:
        local.inject(Fault(method="POST", path="/executions", status=402))
        refused = await model.call_tool("run", day(3))
        assert refused.is_error
        assert "out of credits" in texts(refused)[0]
        assert not (await model.call_tool("run", day(3))).is_error

        local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
        lost = await model.call_tool("run", day(3))
        assert "outcome unknown" in texts(lost)[0]
        wrong = await model.call_tool("run", day("third"))
        assert wrong.is_error
    assert await client.executions.count() == 2


async def test_a_cancelled_call_cancels_the_execution(mcp, local, client):
    async with mcp as model:
        call = asyncio.create_task(model.call_tool("run", day(40)))
        await local.running.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        (row,) = (await client.executions.page()).items
        assert (await client.executions.wait(row.id)).status == "cancelled"
    assert local.counts["POST /executions"] == 1

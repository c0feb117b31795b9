"""An MCP server: run a workflow, list its failures, replay one. Start it by ``python mcp_server.py``, over stdio."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from omium_async import AsyncOmium, ExecutionDetail, OmiumError


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


server = MCPServer("reports", instructions="If a tool fails, do what its message says about calling it again.")
omium = AsyncOmium()


def tool(function: Callable[..., Awaitable[Any]]) -> Any:
    """Register a function as a tool. The model reads the text of a `ToolError`, and of no other error."""

    @functools.wraps(function)
    async def call(*arguments: Any, **named: Any) -> Any:
        try:
            return await function(*arguments, **named)
        except OmiumError as error:
            raise ToolError(str(error)) from error

    server.add_tool(call, structured_output=False)
    return call


tool(omium.workflow("report", ReportInput).as_tool("run", timeout=600))


@tool
async def failures(limit: int = 10) -> list[ExecutionDetail]:
    """List the newest failed reports, with their ids and errors."""
    rows = omium.executions.list(workflow_id="report", status="failed", limit=limit)
    return [await omium.executions.get(row.id) async for row in rows]  # rows have no error


@tool
async def replay(execution_id: str) -> ExecutionDetail:
    """Continue a failed report from its latest checkpoint, and return it when it has ended."""
    replayed = await omium.executions.replay(execution_id)
    return await omium.executions.wait(replayed.execution_id, timeout=600)


if __name__ == "__main__":
    server.run()

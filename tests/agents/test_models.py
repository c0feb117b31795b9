"""What a model of a language reads of a response model that a tool returns."""

from __future__ import annotations

import json

import pytest

from omium_async import Execution, ExecutionDetail

from .needs import needs

pytestmark = [*needs("pydantic_ai"), *needs("mcp.server.mcpserver")]


@pytest.fixture
async def detail(client):
    return await client.executions.run("report", {"day": 3})


async def test_a_tool_of_pydantic_ai_returns_an_execution(detail):
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    async def show() -> ExecutionDetail:
        return detail

    async def pages() -> dict[str, list[Execution]]:
        return {"rows": [detail]}

    result = await Agent(TestModel(), tools=[show, pages]).run("Show it.")
    read = {
        part.tool_name: json.loads(part.model_response_str())
        for message in result.all_messages()
        for part in message.parts
        if part.part_kind == "tool-return"
    }
    assert read == {"show": detail.to_dict(), "pages": {"rows": [detail.to_dict()]}}


@pytest.mark.parametrize("structured", [None, False])
async def test_a_tool_of_mcp_returns_an_execution(detail, structured):
    from mcp import Client
    from mcp.server import MCPServer

    async def show() -> ExecutionDetail:
        return detail

    async def rows() -> list[Execution]:
        return [detail, detail]

    server = MCPServer("executions")
    for tool in (show, rows):
        server.add_tool(tool, structured_output=structured)
    async with Client(server) as client:
        (content,) = (await client.call_tool("show", {})).content
        assert json.loads(content.text) == detail.to_dict()
        result = await client.call_tool("rows", {})
        assert [json.loads(content.text) for content in result.content] == [detail.to_dict()] * 2

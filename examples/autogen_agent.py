"""AutoGen: an agent that runs a workflow as a tool, with any model client of AutoGen."""

from __future__ import annotations

from dataclasses import dataclass

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient

from omium_async import AsyncOmium


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


omium = AsyncOmium()
report = omium.workflow("report", ReportInput)


async def ask(model: ChatCompletionClient, task: str) -> TaskResult:
    agent = AssistantAgent(
        "reporter",
        model,
        tools=[report.as_tool(timeout=600)],  # a failure is a result with the text of the error
        system_message="If a tool fails, do what its message says about calling it again.",
        max_tool_iterations=5,
    )
    token = CancellationToken()
    try:
        return await agent.run(task=task, cancellation_token=token)
    finally:
        token.cancel()  # AutoGen runs tools in tasks of their own, which go on if only this task is cancelled

"""pydantic-ai: an agent that runs a workflow as a tool: ``python pydantic_ai_agent.py openai:gpt-5 "Report day 3"``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic_ai import Agent, ToolFailed
from pydantic_ai.capabilities import Hooks

from omium_async import AsyncOmium, OmiumError


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


omium = AsyncOmium()
report = omium.workflow("report", ReportInput)
hooks: Hooks[None] = Hooks()


@hooks.on.tool_execute_error
async def explain(context: Any, *, call: Any, tool_def: Any, args: Any, error: Exception) -> NoReturn:
    if isinstance(error, OmiumError):
        # Not ModelRetry: that asks the model to call the tool again, also if the execution exists.
        raise ToolFailed(str(error)) from error
    raise error


agent = Agent(
    instructions="If a tool fails, do what its message says about calling it again.",
    tools=[report.as_tool(timeout=600)],
    capabilities=[hooks],
)

if __name__ == "__main__":
    print(agent.run_sync(sys.argv[2], model=sys.argv[1]).output)

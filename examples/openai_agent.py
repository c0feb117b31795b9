"""OpenAI Agents: an agent that runs a workflow as a tool: ``python openai_agent.py "Report day 3"``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from agents import Agent, Runner, function_tool

from omium_async import AsyncOmium


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


omium = AsyncOmium()
report = omium.workflow("report", ReportInput)


def explain(context: Any, error: Exception) -> str:
    # The default text is "please try again", also if the execution exists.
    return str(error)


agent = Agent(
    "reporter",
    instructions="If a tool fails, do what its message says about calling it again.",
    tools=[function_tool(report.as_tool(timeout=600), failure_error_function=explain)],
)

if __name__ == "__main__":
    print(Runner.run_sync(agent, sys.argv[1]).final_output)

"""CrewAI: a crew that runs a workflow as a tool, with any model of CrewAI."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from crewai import Agent, Crew, Task
from crewai.tools import tool
from crewai.tools.tool_failure import ToolFailure

from omium_async import AsyncOmium, OmiumError


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


omium = AsyncOmium()
run = omium.workflow("report", ReportInput).as_tool(timeout=600)


async def ask(llm: Any, question: str) -> str:
    loop = asyncio.get_running_loop()
    calls: list[Future[Any]] = []

    @tool
    @functools.wraps(run)
    def report(data: Any) -> Any:
        # CrewAI calls it in a thread, which cannot be cancelled; a task of this loop can.
        call = asyncio.run_coroutine_threadsafe(run(data), loop)
        calls.append(call)
        try:
            return call.result()
        except (OmiumError, CancelledError) as error:  # CrewAI calls a tool that raises up to six times
            return ToolFailure(message=str(error) or "cancelled")

    rule = "If a tool fails, you do what its message says about calling it again."
    agent = Agent(role="reporter", goal="Answer questions", backstory=rule, tools=[report], llm=llm)
    task = Task(description=question, expected_output="The answer", agent=agent)
    try:
        return str(await Crew(agents=[agent], tasks=[task]).akickoff())
    finally:
        for call in calls:
            call.cancel()  # has no effect on one that has ended

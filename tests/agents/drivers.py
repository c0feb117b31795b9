"""Runs of the example of each framework with the framework's own offline model.

A driver lets the model call the tool ``report`` with each day in turn, and returns what the model read after each call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

Example = Callable[[str], ModuleType]


def arguments(day: Any) -> dict[str, Any]:
    return {"data": {"day": day}}


async def pydantic_ai(example: Example, days: list[Any]) -> list[str]:
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    left, read = iter(days), []

    def answer(messages: Any, info: Any) -> ModelResponse:
        read.extend(part.model_response_str() for part in messages[-1].parts if part.part_kind == "tool-return")
        nested = "data" in info.function_tools[0].parameters_json_schema["properties"]  # not if it is one object
        try:
            given = arguments(next(left))
        except StopIteration:
            return ModelResponse([TextPart("done")])
        return ModelResponse([ToolCallPart("report", given if nested else given["data"])])

    assert (await example("pydantic_ai_agent").agent.run("Report.", model=FunctionModel(answer))).output == "done"
    return read


async def openai_agents(example: Example, days: list[Any]) -> list[str]:
    from agents import RunConfig, Runner
    from agents.testing import ScriptedModel, assistant_message, function_call

    script = [[function_call("report", arguments(day), call_id=str(number))] for number, day in enumerate(days)]
    agent = example("openai_agent").agent.clone(model=ScriptedModel([*script, [assistant_message("done")]]))
    result = await Runner.run(agent, "Report.", run_config=RunConfig(tracing_disabled=True))
    assert result.final_output == "done"
    return [item["output"] for item in result.to_input_list() if item.get("type") == "function_call_output"]


async def langgraph(example: Example, days: list[Any]) -> list[str]:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage, ToolMessage

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **options: Any) -> Any:
            assert [tool.name for tool in tools] == ["report"]
            return self

    calls = [
        AIMessage("", tool_calls=[{"name": "report", "args": arguments(day), "id": str(number)}])
        for number, day in enumerate(days)
    ]
    graph = example("langgraph_agent").build(Model(messages=iter([*calls, AIMessage("done")])))
    messages = (await graph.ainvoke({"messages": [("user", "Report.")]}))["messages"]
    assert messages[-1].content == "done"
    return [message.content for message in messages if isinstance(message, ToolMessage)]


async def autogen(example: Example, days: list[Any]) -> list[str]:
    from autogen_core import FunctionCall
    from autogen_core.models import CreateResult, ModelInfo, RequestUsage
    from autogen_ext.models.replay import ReplayChatCompletionClient

    calls = [
        CreateResult(
            finish_reason="function_calls",
            content=[FunctionCall(str(number), json.dumps(arguments(day)), "report")],
            usage=RequestUsage(0, 0),
            cached=False,
        )
        for number, day in enumerate(days)
    ]
    can = ModelInfo(vision=False, function_calling=True, json_output=True, structured_output=True, family="unknown")
    result = await example("autogen_agent").ask(ReplayChatCompletionClient([*calls, "done"], model_info=can), "Report.")
    assert result.messages[-1].content == "done"
    return [
        result.content
        for message in result.messages
        if type(message).__name__ == "ToolCallExecutionEvent"
        for result in message.content
    ]


async def crewai(example: Example, days: list[Any], *, native: bool) -> list[str]:
    from crewai import BaseLLM

    left, read = iter(days), []

    class Model(BaseLLM):
        def supports_function_calling(self) -> bool:
            return native

        def call(self, messages: Any, *_: Any, **__: Any) -> Any:
            if native and messages[-1]["role"] == "tool":
                read.append(messages[-1]["content"])
            elif not native and messages[-2]["role"] == "assistant":
                read.append(messages[-2]["content"].partition("Observation:")[2])
            try:
                given = json.dumps(arguments(next(left)))
            except StopIteration:
                return "done" if native else "Thought: I now know the final answer\nFinal Answer: done"
            if native:
                return [{"id": "1", "type": "function", "function": {"name": "report", "arguments": given}}]
            return f"Thought: I should\nAction: report\nAction Input: {given}"

        async def acall(self, *arguments: Any, **named: Any) -> Any:
            return self.call(*arguments, **named)

    assert await example("crewai_crew").ask(Model(model="offline"), "Report.") == "done"
    return read


async def crewai_native(example: Example, days: list[Any]) -> list[str]:
    return await crewai(example, days, native=True)


async def crewai_text(example: Example, days: list[Any]) -> list[str]:
    return await crewai(example, days, native=False)


#: Each driver, with the module that it needs.
DRIVERS = {
    pydantic_ai: "pydantic_ai",
    openai_agents: "agents",
    langgraph: "langgraph",
    autogen: "autogen_agentchat",
    crewai_native: "crewai",
    crewai_text: "crewai",
}

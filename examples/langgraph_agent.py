"""LangGraph: an agent that runs a workflow as a tool, with any chat model of LangChain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from omium_async import AsyncOmium


@dataclass
class ReportInput:
    """Write the report of a day of the month."""  # the model reads this

    day: int


INSTRUCTIONS = SystemMessage("If a tool fails, do what its message says about calling it again.")

omium = AsyncOmium()
report = tool(omium.workflow("report", ReportInput).as_tool(timeout=600))


def explain(error: Exception) -> str:  # LangGraph reads the annotation: errors of another class end the graph
    return str(error)


def build(model: Any) -> Any:
    """Build the graph; for example with ``init_chat_model("openai:gpt-5")``."""
    knowing = model.bind_tools([report])

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": await knowing.ainvoke([INSTRUCTIONS, *state["messages"]])}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([report], handle_tool_errors=explain))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")
    return graph.compile()

"""LangGraph: nodes that run a workflow after an approval, with a retry policy that never creates an execution twice.

The policy checks the outcome of the error. The result is a plain dict in the state of the graph, which any checkpointer
can store.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, interrupt

from omium_async import AsyncOmium, OmiumError

omium = AsyncOmium()


class State(TypedDict, total=False):
    question: str
    approved: bool
    execution_id: str
    execution: dict[str, Any]


def nothing_was_written(error: Exception) -> bool:
    return isinstance(error, OmiumError) and error.outcome == "not_applied"


def approve(state: State) -> State:
    # LangGraph runs a node with an interrupt again from its first line, so this node writes nothing.
    return {"approved": interrupt(f"Research {state['question']!r}?")}


async def start(state: State) -> State:
    created = await omium.executions.create("research", {"query": state["question"]})
    return {"execution_id": created.id}


async def wait(state: State) -> State:
    # This is a separate node, so that the graph's checkpoint holds the id before the wait begins.
    done = await omium.executions.wait(state["execution_id"])
    return {"execution": done.to_dict()}


def build(checkpointer: Any = None) -> Any:
    retry = RetryPolicy(max_attempts=4, initial_interval=0.05, retry_on=nothing_was_written)
    graph = StateGraph(State)
    graph.add_node("approve", approve)
    graph.add_node("start", start, retry_policy=retry)
    graph.add_node("wait", wait, retry_policy=retry)
    graph.add_edge(START, "approve")
    graph.add_conditional_edges("approve", lambda state: "start" if state["approved"] else END)
    graph.add_edge("start", "wait")
    graph.add_edge("wait", END)
    return graph.compile(checkpointer=checkpointer or InMemorySaver())

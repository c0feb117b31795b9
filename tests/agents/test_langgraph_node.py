"""Nodes of LangGraph that run a workflow after an approval."""

from __future__ import annotations

import pytest

from omium_async import OmiumError
from omium_async.local import Fault

from .needs import needs

pytestmark = needs("langgraph")


@pytest.fixture
def module(example):
    return example("langgraph_node")


def thread(name):
    return {"configurable": {"thread_id": name}}


async def test_nothing_is_written_before_the_approval_and_one_execution_after_it(module, local):
    from langgraph.types import Command

    graph = module.build(module.InMemorySaver())
    asked = await graph.ainvoke({"question": "why"}, thread("yes"))
    assert "why" in asked["__interrupt__"][0].value
    assert local.counts == {}

    local.inject(Fault(method="POST", path="/executions", status=501, times=2))
    state = await graph.ainvoke(Command(resume=True), thread("yes"))
    assert state["execution"]["output_data"] == {"answer": "WHY"}
    stored = (await graph.aget_state(thread("yes"))).values
    assert stored["execution"]["id"] == stored["execution_id"]
    assert await module.omium.executions.count() == 1

    await graph.ainvoke({"question": "why not"}, thread("no"))
    assert "execution" not in await graph.ainvoke(Command(resume=False), thread("no"))
    assert await module.omium.executions.count() == 1


async def test_a_create_with_an_unknown_outcome_is_not_repeated(module, local):
    from langgraph.types import Command

    graph = module.build(module.InMemorySaver())
    await graph.ainvoke({"question": "again"}, thread("lost"))
    local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
    with pytest.raises(OmiumError) as lost:
        await graph.ainvoke(Command(resume=True), thread("lost"))
    assert lost.value.outcome == "unknown"
    assert await module.omium.executions.count() == 1

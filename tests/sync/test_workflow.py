"""Typed workflows of the sync client with a local server."""

from __future__ import annotations

import inspect
import pickle
import threading
import typing

import attrs
import pytest

import omium_async
from omium_sync import CreateOutcome, ExecutionFailedError, Omium, OutputError, WaitTimeoutError, Workflow


@attrs.frozen
class Numbers:
    values: list[int]


@attrs.frozen
class Sum:
    total: int


@pytest.fixture(scope="module", autouse=True)
def add(local):
    @local.workflow("add")
    async def add(run):
        return {"total": sum(run.input_data["values"])}


@pytest.fixture
def workflow(client):
    return client.with_options(poll_interval=(0.01, 0.05)).workflow("add", Numbers, Sum)


def test_the_life_of_a_run(workflow, client):
    run = workflow.start(Numbers([1, 2]), metadata={"by": "test"})
    assert run.result() == Sum(3)
    assert (run.get().id, run.wait().metadata["by"]) == (run.id, "test")
    assert [detail.id for detail in run.watch()] == [run.id]
    assert workflow.handle(run.id).result() == Sum(3)
    row = next(workflow.list(limit=1))
    assert (workflow.input(row), workflow.output(row)) == (Numbers([1, 2]), Sum(3))
    assert workflow.count() == client.executions.count(workflow_id="add")
    assert (repr(run), repr(workflow)) == (f"<run {run.id} of 'add'>", "<workflow 'add': Numbers -> Sum>")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(run)


def test_execute_tells_its_execution_in_the_callers_thread(workflow):
    seen = []
    result = workflow.execute(
        Numbers([4]), on_created=lambda execution: seen.append((execution.id, threading.current_thread()))
    )
    assert result == Sum(4)
    assert [thread for _, thread in seen] == [threading.current_thread()]


def test_what_fails_or_does_not_fit(workflow, client):
    with pytest.raises(ExecutionFailedError, match="KeyError"):
        client.workflow("add").start().result(poll_interval=0.01)
    with pytest.raises(TypeError):
        workflow.start(3)
    other = client.workflow("add", output_type=Numbers)
    with pytest.raises(OutputError) as error:
        other.execute({"values": [1]})
    assert error.value.execution.output_data == {"total": 1}


def test_many_taken_in_the_thread_that_reads(workflow):
    threads = set()

    def inputs():
        for number in range(50):
            threads.add(threading.current_thread())
            yield Numbers([number])

    outcomes = list(workflow.create_many(inputs()))
    assert {type(outcome) for outcome in outcomes} == {CreateOutcome}
    assert threads == {threading.current_thread()}
    ended = list(workflow.wait_many(outcome.execution.id for outcome in outcomes))
    assert sorted(workflow.output(row).total for row in ended) == list(range(50))
    assert list(workflow.replay_many(limit=0)) == []


@pytest.mark.parametrize("definition", [Workflow("add", Numbers, Sum), omium_async.Workflow("add", Numbers, Sum)])
async def test_a_definition_is_bound_by_either_package(local, definition):
    assert repr(definition) == "<definition 'add': Numbers -> Sum>"
    with Omium(local.api_key, base_url=local.url) as client:
        assert client.workflow(definition).execute(Numbers([5]), poll_interval=0.01) == Sum(5)
    async with omium_async.AsyncOmium(local.api_key, base_url=local.url) as client:
        assert await client.workflow(definition).execute(Numbers([6]), poll_interval=0.01) == Sum(6)


def test_a_definition_has_no_client():
    for use in (Workflow("add").start, Workflow("add").list, lambda: Workflow("add").handle("a")):
        with pytest.raises(RuntimeError, match="has no client"):
            use()


def test_a_tool_is_a_plain_function(workflow):
    tool = workflow.as_tool("sum_up", "Add numbers.")
    assert not inspect.iscoroutinefunction(tool)
    assert not hasattr(tool, "__wrapped__")
    assert (tool.__name__, tool.__doc__) == ("sum_up", "Add numbers.")
    assert typing.get_type_hints(tool) == {"data": Numbers, "return": Sum}
    assert str(inspect.signature(tool)) == str(inspect.signature(workflow._core.as_tool()))
    assert tool(Numbers([2, 3])) == tool(data={"values": [2, 3]}) == Sum(5)


def test_a_tool_that_ends_early_cancels_its_execution(client):
    tool = client.workflow("nobody serves this").as_tool(timeout=0)
    with pytest.raises(WaitTimeoutError) as late:
        tool({})
    assert client.executions.get(late.value.execution_id).status == "cancelled"

"""Typed workflows: inputs are checked before they are sent, outputs are read into their types."""

from __future__ import annotations

import asyncio
import pickle
from datetime import date
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from omium_async import (
    AsyncOmium,
    Execution,
    ExecutionFailedError,
    ExecutionRequest,
    NoCheckpointError,
    NotFoundError,
    OutputError,
    Workflow,
    make_converter,
)
from omium_async.local import Fault, LocalOmium


@attrs.frozen
class Line:
    text: str
    day: date


@attrs.frozen
class ReportInput:
    day: int
    names: tuple[str, ...] = ()


@attrs.frozen
class Report:
    lines: list[Line]
    note: str | None = None


class Opaque:
    def __init__(self, *args: Any) -> None:
        self.args = args


@pytest.fixture
async def local():
    async with LocalOmium(strict=False) as server:

        @server.workflow("report")
        async def report(run):
            day = run.input_data["day"]
            if day == 0:
                raise ValueError("no such day")
            if day < 0:
                return {"lines": [{"text": "x", "day": "no day"}]}
            return {"lines": [{"text": name, "day": f"2026-01-{day:02}"} for name in run.input_data["names"]]}

        @server.workflow("steps")
        async def steps(run):
            await run.step("first", lambda: 1)
            if run.input_data and not await run.step(
                "second", lambda: server.counts.get("POST /executions/*/replay", 0)
            ):
                raise ValueError("not yet")
            return "done"

        yield server


@pytest.fixture
async def omium(local):
    async with AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.005, 0.05)) as client:
        yield client


@pytest.fixture
def report(omium):
    return omium.workflow("report", ReportInput, Report)


async def test_inputs_and_outputs_have_the_types_of_the_workflow(report):
    assert await report.execute(ReportInput(3, ("a",))) == Report([Line("a", date(2026, 1, 3))])
    run = await report.start(ReportInput(4), metadata={"of": "a test"})
    assert await run.result() == Report([])
    detail = await run.get()
    assert (detail.id, detail.metadata["of"]) == (run.id, "a test")
    assert report.input(detail) == ReportInput(4)
    assert report.output(detail) == Report([])
    assert await report.handle(run.id).result() == Report([])
    assert [one.status async for one in run.watch()][-1] == "completed"
    assert (await run.wait()).id == run.id


async def test_an_input_of_another_type_is_rejected_before_anything_is_sent(report, local):
    for wrong in (None, {"day": 3}, Report([]), 3):
        with pytest.raises(TypeError, match="input_data"):
            await report.start(wrong)
        with pytest.raises(TypeError, match="input_data"):
            await report.execute(wrong)
    assert local.counts == {}


@pytest.mark.parametrize("kind", [Opaque, Opaque | None, list[Opaque], dict[str, tuple[Opaque, ...]]])
async def test_a_type_that_cannot_be_structured_is_rejected_at_once(omium, kind):
    with pytest.raises(TypeError, match="output_type"):
        omium.workflow("report", ReportInput, kind)
    with pytest.raises(TypeError, match="input_type"):
        omium.workflow("report", kind)
    with pytest.raises(TypeError, match="input_type"):
        omium.workflow(Workflow("report", kind))


async def test_an_output_that_does_not_fit_raises_with_its_place_and_the_execution(report):
    with pytest.raises(OutputError, match=r"output_data\.lines\[0\]\.day") as raised:
        await report.execute(ReportInput(-1))
    error = raised.value
    assert (error.path, error.outcome) == ("output_data.lines[0].day", "applied")
    assert error.execution.output_data == {"lines": [{"text": "x", "day": "no day"}]}
    assert error.execution_id == error.execution.id
    assert error.__cause__ is error.__context__ is None  # the groups of cattrs, which cannot be pickled, are left out
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.execution) == (str(error), error.execution)
    with pytest.raises(OutputError):
        report.output(error.execution)


def test_the_exception_of_a_hook_is_the_cause_of_the_error():
    converter = make_converter()
    converter.register_structure_hook(Opaque, lambda value, _: Opaque(1 / value))
    omium = AsyncOmium("omium_test_0123456789", base_url="http://127.0.0.1:9", converter=converter)
    report = omium.workflow("report", None, dict[str, list[Opaque]])
    with pytest.raises(OutputError, match=r"output_data\.a\[1\]: ZeroDivisionError") as raised:
        report.output(Execution("exec_1", status="completed", output_data={"a": [1, 0]}))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert raised.value.__context__ is None


async def test_an_execution_that_did_not_complete_has_no_result(report, omium):
    with pytest.raises(ExecutionFailedError, match="no such day") as raised:
        await report.execute(ReportInput(0))
    assert raised.value.outcome == "applied"
    handle = report.handle(raised.value.execution.id)
    with pytest.raises(ExecutionFailedError):
        await handle.result()
    run = await omium.workflow("steps").start(None)
    await run.wait()
    await run.rollback(checkpoint_name="first")
    with pytest.raises(ExecutionFailedError, match="paused"):
        await run.result()


async def test_errors_after_the_start_have_the_outcome_applied(report, local):
    run = await report.start(ReportInput(3))
    local.inject(Fault(method="GET", action="status", status=404, times=2))
    with pytest.raises(NotFoundError) as raised:
        await run.result()
    assert (raised.value.outcome, raised.value.execution_id) == ("applied", run.id)
    with pytest.raises(NotFoundError) as raised:
        await report.handle(run.id).result()
    assert raised.value.outcome == "not_applied"


async def test_an_interrupted_wait_for_a_result_names_the_execution(omium):
    run = await omium.workflow("nobody").start()
    for handle, noted in ((run, True), (omium.workflow("nobody").handle(run.id), False)):
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await waiting
        assert (run.id in "".join(getattr(raised.value, "__notes__", []))) is noted


async def test_a_run_follows_the_execution_that_a_replay_names(omium):
    run = await omium.workflow("steps", output_type=str).start({"wait": True})
    with pytest.raises(ExecutionFailedError):
        await run.result()
    result = await run.replay(checkpoint_name="first")
    assert run.id == result.execution_id


async def test_a_replay_or_rollback_without_a_fitting_checkpoint_writes_nothing(report, omium, local):
    run = await report.start(ReportInput(3))
    await run.result()
    written = local.counts
    errors = []
    for target in (lambda **name: omium.executions.replay(run.id, **name), run.replay):
        for name in ({}, {"checkpoint_name": "nowhere"}):
            with pytest.raises(NoCheckpointError) as raised:
                await target(**name)
            errors.append(raised.value)
    for target in (lambda **name: omium.executions.rollback(run.id, **name), run.rollback):
        with pytest.raises(NoCheckpointError) as raised:
            await target(checkpoint_name="nowhere")
        errors.append(raised.value)
    for many in (omium.executions.replay_many, report.replay_many):
        for name in ({}, {"checkpoint_name": "nowhere"}):
            errors += [outcome.error async for outcome in many([run.id], **name) if outcome.state == "rejected"]
    assert [(type(error), error.outcome, error.execution_id) for error in errors] == [
        (NoCheckpointError, "not_applied", run.id)
    ] * 10
    assert {name: count for name, count in local.counts.items() if "POST" in name} == {
        name: count for name, count in written.items() if "POST" in name
    }


async def test_calls_for_many_executions_are_bound_to_the_workflow(report, omium):
    given_inputs = [ReportInput(1), ExecutionRequest("report", ReportInput(2)), "wrong", ExecutionRequest("other")]
    outcomes = [one async for one in report.create_many(given_inputs)]
    states = {repr(one.request.input_data): one.state for one in outcomes}
    assert sorted(states.values()) == ["created", "created", "rejected", "rejected"]
    assert {id(request) for request in given_inputs if isinstance(request, ExecutionRequest)} <= {
        id(one.request) for one in outcomes
    }
    assert {type(one.error) for one in outcomes if one.state == "rejected"} == {TypeError, ValueError}

    async def later():
        for day in (4, 5):
            await asyncio.sleep(0)
            yield ReportInput(day)

    created = [one.execution.id async for one in report.create_many(later())]
    await omium.executions.create("steps")
    settled = [one async for one in report.wait_many(created)]
    assert {report.input(row).day for row in settled} == {4, 5}
    assert {report.input(row).day async for row in report.list()} == {1, 2, 4, 5}
    assert await report.count() == 4
    assert [one async for one in report.replay_many()] == []
    assert {one.state async for one in report.replay_many(created, dry_run=True)} == {"planned"}
    with pytest.raises(TypeError, match="inputs"):
        report.create_many(ReportInput(1))


async def test_a_definition_is_bound_by_a_client(local):
    definition = Workflow("report", ReportInput, Report)
    with pytest.raises(RuntimeError, match=r"omium\.workflow"):
        await definition.start(ReportInput(3))
    with pytest.raises(RuntimeError, match=r"omium\.workflow"):
        definition.list()
    with pytest.raises(ValueError, match="workflow_id"):
        Workflow("")
    async with AsyncOmium(local.api_key, base_url=local.url) as omium:
        assert repr(omium.workflow(definition)) == "<workflow 'report': ReportInput -> Report>"
        with pytest.raises(TypeError, match="types already"):
            omium.workflow(definition, ReportInput)  # type: ignore[call-overload]
        run = await omium.workflow(definition).start(ReportInput(3))
        with pytest.raises(TypeError, match="handle"):
            pickle.dumps(run)


async def test_hooks_of_the_clients_converter_are_used(local):
    converter = make_converter()
    converter.register_unstructure_hook(Opaque, lambda value: {"day": value.args[0], "names": []})
    converter.register_structure_hook(Opaque, lambda value, _: Opaque(value))
    async with AsyncOmium(local.api_key, base_url=local.url, converter=converter, poll_interval=(0.005, 0.05)) as omium:
        found = await omium.workflow("report", Opaque, Opaque).execute(Opaque(3))
        assert found.args == ({"lines": []},)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_untyped_data_is_returned_unchanged(value):
    async def run():
        async with LocalOmium() as local, AsyncOmium(local.api_key, base_url=local.url) as omium:

            @local.workflow("echo")
            async def echo(run):
                return {"echo": run.input_data}

            found = await omium.workflow("echo").execute({"given": value}, poll_interval=0.002)
            assert found == {"echo": {"given": value}}

    asyncio.run(run())

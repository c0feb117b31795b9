"""Never run, only type-checked: typed workflows are inferred without a cast, and wrong calls are rejected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

import attrs

from omium_async import (
    AsyncOmium,
    CancelOutcome,
    CancelResult,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionRequest,
    ReplayResult,
    Run,
    Workflow,
)
from omium_sync import Omium
from omium_sync import Run as SyncRun
from omium_sync import Workflow as SyncWorkflow


@attrs.frozen
class ReportInput:
    day: int


@attrs.frozen
class Report:
    lines: int


@attrs.frozen
class Refusal:
    reason: str


definition = Workflow("report", ReportInput, Report)
assert_type(definition, Workflow[ReportInput, Report])


async def typed(omium: AsyncOmium) -> None:
    report = omium.workflow("report", ReportInput, Report)
    assert_type(report, Workflow[ReportInput, Report])
    assert_type(omium.workflow(definition), Workflow[ReportInput, Report])
    assert_type(omium.workflow("report"), Workflow[Any, Any])
    assert_type(omium.workflow("report", ReportInput), Workflow[ReportInput, Any])
    assert_type(omium.workflow("report", output_type=Report), Workflow[Any, Report])
    assert_type(omium.workflow("report", None, Report), Workflow[Any, Report])
    assert_type(Workflow("report", None, Report), Workflow[Any, Report])
    assert_type(Workflow("report", output_type=Report), Workflow[Any, Report])
    assert_type(omium.workflow("report", dict[str, int], list[Report]), Workflow[dict[str, int], list[Report]])
    either: Workflow[ReportInput, Report | Refusal] = omium.workflow("report", ReportInput, Report | Refusal)
    assert_type(await either.execute(ReportInput(3)), Report | Refusal)
    alone: Workflow[ReportInput, Report | Refusal] = Workflow("report", ReportInput, Report | Refusal)
    assert_type(omium.workflow(alone), Workflow[ReportInput, Report | Refusal])

    run = await report.start(ReportInput(3), metadata={"a": 1})
    assert_type(run, Run[Report])
    assert_type(await run.result(timeout=3), Report)
    assert_type(await report.execute(ReportInput(3), on_created=print), Report)
    assert_type(report.as_tool("report", timeout=3), Callable[[ReportInput], Coroutine[Any, Any, Report]])
    assert_type(report.handle("exec_1"), Run[Report])
    assert_type(await run.get(), ExecutionDetail)
    assert_type(await run.wait(until="failed"), ExecutionDetail)
    assert_type(run.watch(), AsyncGenerator[ExecutionDetail])
    assert_type(await run.replay(), ReplayResult)
    assert_type(await run.cancel(), CancelResult)
    async for row in report.list(status=["failed", "paused"], limit=3):
        assert_type(row, Execution)
        assert_type(report.input(row), ReportInput)
        assert_type(report.output(row), Report)
    assert_type(report.create_many([ReportInput(3), ExecutionRequest("report")]), AsyncGenerator[CreateOutcome])
    assert_type(report.wait_many(["exec_1"]), AsyncGenerator[Execution])
    assert_type(report.wait_many(["exec_1"], details=True), AsyncGenerator[ExecutionDetail])
    assert_type(report.cancel_many(status="running", since=timedelta(hours=1)), AsyncGenerator[CancelOutcome])
    assert_type(await report.count(status="failed"), int)
    assert_type(await omium.workflow("report").execute({"day": 3}), Any)


def typed_in_a_thread(omium: Omium) -> None:
    report = omium.workflow("report", ReportInput, Report)
    assert_type(report, SyncWorkflow[ReportInput, Report])
    assert_type(omium.workflow(definition), SyncWorkflow[ReportInput, Report])
    assert_type(omium.workflow("report", output_type=Report), SyncWorkflow[Any, Report])
    assert_type(omium.workflow("report", None, Report), SyncWorkflow[Any, Report])
    assert_type(SyncWorkflow("report", None, Report), SyncWorkflow[Any, Report])
    assert_type(SyncWorkflow("report", output_type=Report), SyncWorkflow[Any, Report])
    assert_type(report.start(ReportInput(3), metadata={"a": 1}), SyncRun[Report])
    assert_type(report.execute(ReportInput(3), timeout=3), Report)
    assert_type(report.as_tool(cancel_on_exit=False), Callable[[ReportInput], Report])
    assert_type(next(report.create_many([ReportInput(3)], concurrency=3)), CreateOutcome)
    assert_type(next(report.cancel_many(["id"])), CancelOutcome)


def without_types(workflow: Workflow, run: Run, sync_workflow: SyncWorkflow, sync_run: SyncRun) -> None:
    assert_type(workflow, Workflow[Any, Any])
    assert_type(run, Run[Any])
    assert_type(sync_workflow, SyncWorkflow[Any, Any])
    assert_type(sync_run, SyncRun[Any])


async def wrong(omium: AsyncOmium) -> None:
    report = omium.workflow("report", ReportInput, Report)
    await report.start({"day": 3})  # type: ignore[arg-type]
    await report.execute(Report(3))  # type: ignore[arg-type]
    report.create_many([Report(3)])  # type: ignore[list-item]
    report.list(status="complete")  # type: ignore[arg-type]
    lines: str = await report.execute(ReportInput(3))  # type: ignore[assignment]
    print(lines)
    omium.workflow(3)  # type: ignore[call-overload]
    omium.workflow(definition, ReportInput)  # type: ignore[call-overload]

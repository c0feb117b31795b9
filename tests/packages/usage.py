"""Never run, only type-checked (by `test_typing.py`): what users write must have the types they expect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, assert_type

import omium_async
import omium_sync
from omium_async import (
    AsyncOmium,
    Attempt,
    CancelOutcome,
    CancelResult,
    Checkpoint,
    CheckpointDetail,
    DeleteOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    OmiumError,
    RateLimitError,
    RawResponse,
    ReplayResult,
    RollbackResult,
    WaitTimeoutError,
    WorkflowInfo,
    WriteOutcome,
)
from omium_sync import Omium


async def calls(omium: AsyncOmium) -> None:
    assert_type(await omium.executions.create("w", {"a": 1}), Execution)
    detail = await omium.executions.get("id")
    assert_type(detail, ExecutionDetail)
    assert_type(detail.status, ExecutionStatus | None)
    assert_type(detail.checkpoints, tuple[Checkpoint, ...])
    assert_type(detail.latest_checkpoint, Checkpoint | None)
    assert_type(await omium.executions.page(), ExecutionPage)
    assert_type(await omium.executions.count(), int)
    assert_type(omium.executions.list(), AsyncGenerator[Execution])
    assert_type(omium.executions.pages(), AsyncGenerator[ExecutionPage])
    assert_type(await omium.executions.replay("id"), ReplayResult)
    assert_type(await omium.executions.rollback("id", "checkpoint"), RollbackResult)
    assert_type(
        await omium.executions.wait("id", until={ExecutionStatus.PAUSED, ExecutionStatus("weird"), "failed"}),
        ExecutionDetail,
    )
    assert_type(await omium.executions.cancel("id"), CancelResult)
    assert_type(omium.executions.cancel_many(["id"]), AsyncGenerator[CancelOutcome])
    assert_type(omium.executions.delete_many(["id"]), AsyncGenerator[DeleteOutcome])
    assert_type(omium.checkpoints.list("id"), AsyncGenerator[CheckpointDetail])
    assert_type(await omium.checkpoints.get("id"), CheckpointDetail)
    assert_type(omium.workflows.list(status="draft"), AsyncGenerator[WorkflowInfo])
    assert_type(await omium.workflows.get("id"), WorkflowInfo)
    assert_type(omium.executions.watch("id"), AsyncGenerator[ExecutionDetail])
    assert_type(await omium.executions.run("w"), ExecutionDetail)
    assert_type(await omium.request("GET", "/x"), RawResponse)
    assert_type(omium.with_options(timeout=None, max_retries=0), AsyncOmium)
    assert_type(omium.executions.wait_many(["id"]), AsyncGenerator[Execution])
    assert_type(omium.executions.wait_many(["id"], details=True), AsyncGenerator[ExecutionDetail])
    assert_type(omium.executions.wait_many(["id"], details=bool(omium)), AsyncGenerator[Execution])
    assert_type(await omium.executions.run("w", on_created=print, until="failed"), ExecutionDetail)
    async for outcome in omium.executions.create_many([ExecutionRequest("w")], journal="j"):
        assert_type(outcome.request, ExecutionRequest)
        assert_type(outcome.execution, Execution | None)
        assert_type(outcome.resumed, bool)


def sync_calls(omium: Omium) -> None:
    assert_type(omium.executions.create("w", {"a": 1}), Execution)
    assert_type(omium.executions.get("id"), ExecutionDetail)
    rows: Iterator[Execution] = omium.executions.list(limit=3)
    assert_type(next(rows), Execution)
    assert_type(omium.executions.run("w"), ExecutionDetail)
    assert_type(omium.executions.wait_many(["id"]), Iterator[Execution])
    assert_type(omium.executions.wait_many(["id"], details=True, timeout=1), Iterator[ExecutionDetail])
    assert_type(omium.executions.cancel("id"), CancelResult)
    assert_type(next(omium.executions.cancel_many(["id"])), CancelOutcome)
    assert_type(next(omium.executions.delete_many(["id"])), DeleteOutcome)
    assert_type(next(omium.checkpoints.list("id")), CheckpointDetail)
    assert_type(omium.workflows.get("w"), WorkflowInfo)
    assert_type(omium.with_options(timeout=3), Omium)
    with omium as same:
        assert_type(same, Omium)


def keys(plain: Callable[[], str], awaited: Callable[[], Awaitable[str]]) -> None:
    assert_type(AsyncOmium(plain), AsyncOmium)
    assert_type(AsyncOmium(api_key=awaited), AsyncOmium)
    assert_type(Omium(plain), Omium)
    assert_type(Omium(api_key=awaited, headers={"X-Team": "red"}).with_options(headers={"X-Team": None}), Omium)


def errors(error: OmiumError, limited: RateLimitError) -> None:
    assert_type(error.attempts, tuple[Attempt, ...])
    assert_type(error.attempts[0].headers["X-Team"], str)
    assert_type(error.outcome_unknown, bool)
    assert_type(limited.retry_after, float | None)
    assert_type(limited.outcome, WriteOutcome)
    assert_type(limited.headers.get("Retry-After"), Any)
    made = RateLimitError("busy", status=429, retry_after=1.5, headers={"A": "b"}, outcome="not_applied")
    made.outcome = "applied"
    assert_type(type(made)(*made.args), RateLimitError)
    assert_type(WaitTimeoutError("late", {"outcome": "applied"}, pending=["id"]).pending, tuple[str, ...])
    assert_type(NotSettledError("late", pending=("id",), execution_id="id").execution_id, str | None)


class NotSettledError(WaitTimeoutError):
    """An error class of a user."""


def attributes_of_the_packages() -> None:
    assert_type(omium_async.Execution("id"), Execution)
    assert_type(omium_sync.Omium("key"), Omium)
    assert_type(omium_sync.LocalOmium().url, str)


def wrong(omium: Omium) -> None:
    omium.executions.get(3)  # type: ignore[arg-type]
    omium.executions.list(page_size="3")  # type: ignore[arg-type]
    omium.executions.list(status="complete")  # type: ignore[arg-type]
    omium.executions.wait("id", until="complete")  # type: ignore[arg-type]
    omium.executions.wait("id", until=["complete"])  # type: ignore[list-item]
    omium.with_options(base_url="https://x")  # type: ignore[call-arg]
    Omium(auth="basic")  # type: ignore[arg-type]
    RateLimitError("busy", retry_after="1")  # type: ignore[arg-type]
    RateLimitError("busy", pending=("id",))  # type: ignore[call-arg]
    Omium(lambda key: key)  # type: ignore[arg-type]
    omium.executions.rollback("id", checkpoint=3)  # type: ignore[call-arg]
    print(omium_async.Executoin)  # type: ignore[attr-defined]
    print(omium_sync.Executoin)  # type: ignore[attr-defined]

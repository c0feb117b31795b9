"""Prefect: a task is retried only if nothing was written. The id of the task run is the idempotency key."""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.runtime import task_run

from omium_async import OmiumError
from omium_sync import Omium


def nothing_was_written(_: Any, __: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, OmiumError) and error.outcome == "not_applied"


@task(retries=3, retry_delay_seconds=0, retry_condition_fn=nothing_was_written)
def start(day: int) -> str:
    with Omium() as omium:
        return omium.executions.create("report", {"day": day}, idempotency_key=str(task_run.id)).id


@flow
def reports(days: int) -> list[str]:
    return [start(day) for day in range(days)]


if __name__ == "__main__":
    print(len(reports(2)))

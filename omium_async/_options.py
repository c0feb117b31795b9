"""The keyword arguments that workflows and runs pass on to `Executions`, as types."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from ._arguments import Statuses
from ._journal.settings import Journal
from ._models.types import Execution


class CreateOptions(TypedDict, total=False):
    """Of `Executions.create`."""

    metadata: Mapping[str, Any] | None
    agent_id: str | None
    idempotency_key: str | None


class PollOptions(TypedDict, total=False):
    """Of a wait that ends when the execution has settled."""

    timeout: float | None
    poll_interval: float | None


class WaitOptions(PollOptions, total=False):
    """Of `Executions.wait`."""

    until: Statuses


class ExecuteOptions(CreateOptions, PollOptions, total=False):
    """The options of `Executions.run`, except ``until``."""

    on_created: Callable[[Execution], object] | None
    cancel_on_exit: bool


class ToolOptions(TypedDict, total=False):
    """Of `Workflow.as_tool`."""

    metadata: Mapping[str, Any] | None
    agent_id: str | None
    timeout: float | None
    cancel_on_exit: bool


class FilterOptions(TypedDict, total=False):
    """The filters of a list of one workflow."""

    status: Statuses | None
    since: datetime | timedelta | None
    before: datetime | timedelta | None
    metadata: Mapping[str, Any] | None


class ListOptions(FilterOptions, total=False):
    """Of `Executions.list`."""

    page_size: int
    limit: int | None
    prefetch: int | None


class CreateManyOptions(TypedDict, total=False):
    """Of `Executions.create_many`."""

    concurrency: int
    journal: str | os.PathLike[str] | Journal | None
    settle: float | None


class RunManyOptions(PollOptions, total=False):
    """Of `Executions.run_many`."""

    max_running: int
    journal: str | os.PathLike[str] | Journal | None
    settle: float | None
    cancel_on_exit: bool


class ChangeManyOptions(FilterOptions, total=False):
    """Of `Executions.cancel_many` and `Executions.delete_many`."""

    limit: int | None
    concurrency: int
    dry_run: bool


class ReplayManyOptions(ChangeManyOptions, total=False):
    """Of `Executions.replay_many`."""

    checkpoint_name: str | None
    journal: str | os.PathLike[str] | Journal | None

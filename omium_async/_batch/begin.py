"""How a batch begins: what was given is checked, and it runs with a journal or without one."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from .. import _arguments as check
from .. import _lists as lists
from .._caller import Caller
from .._journal.settings import DEFAULT_SETTLE, Journal, journal_of
from .._models.outcomes import CreateOutcome, ReplayOutcome
from .._models.types import ExecutionRequest
from .._streaming.filters import Filters
from .create import create_each
from .replay import Replaying, plan_each, replay_each

__all__ = ["create_many", "replay_many"]


def create_many(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    concurrency: int,
    journal: str | os.PathLike[str] | Journal | None,
    settle: float | None,
) -> AsyncGenerator[CreateOutcome]:
    """Create an execution for each request."""
    check.at_least(1, concurrency, "concurrency")
    kept = journal_of(journal)
    seconds = check.seconds(settle, "settle", zero=True)
    check.many(requests, "requests", "ExecutionRequest items")
    if kept is None:
        return create_each(caller, requests, concurrency)
    from .create_journalled import create_journalled  # noqa: PLC0415 - imports sqlite3

    if seconds is None:
        seconds = caller.options.attempt_timeout or DEFAULT_SETTLE
    return create_journalled(caller, requests, concurrency, kept, seconds)


def replay_many(
    caller: Caller,
    execution_ids: Iterable[str] | AsyncIterable[str] | None,
    filters: Filters,
    *,
    checkpoint_name: str | None,
    limit: int | None,
    concurrency: int,
    dry_run: bool,
    journal: str | os.PathLike[str] | Journal | None,
) -> AsyncGenerator[ReplayOutcome]:
    """Replay these executions, or all that pass the filters."""
    ids = None if execution_ids is None else check.ids_alone(execution_ids, filters)
    check.at_least(1, concurrency, "concurrency")
    kept = journal_of(journal)
    if dry_run and kept is not None and not kept.path.exists():
        kept = None  # nothing is written, not even an empty journal
    check.checkpoint_choice(None, checkpoint_name)
    check.reading(limit=limit)
    most = limit if kept is None else None  # what the journal holds counts, too
    replaying = Replaying.of(caller, concurrency, checkpoint_name, by_id=ids is not None)
    rows = replaying.rows(filters, most) if ids is None else lists.named(ids, most)
    if kept is None:
        return plan_each(replaying, rows) if dry_run else replay_each(replaying, rows)
    from .replay_journalled import plan_journalled, replay_journalled, scope_of  # noqa: PLC0415 - imports sqlite3

    scope = scope_of(filters if ids is None else None, checkpoint_name)
    start = plan_journalled if dry_run else replay_journalled
    return start(replaying, rows, scope, kept, limit)

"""Deleting many executions, each at most once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.base import OmiumError
from .._errors.calls import NotFoundError
from .._filters import Filters
from .._models.outcomes import DeleteOutcome
from .._models.types import Execution
from .._statuses import ENDED
from .selection import Selection
from .verdict import with_verdict


def delete_many(
    caller: Caller,
    execution_ids: Iterable[str] | AsyncIterable[str] | None,
    filters: Filters,
    *,
    limit: int | None,
    concurrency: int,
    dry_run: bool,
) -> AsyncGenerator[DeleteOutcome]:
    """Check the arguments, and delete these executions, or all that pass the filters."""
    selection = Selection.of(caller, "delete_many", execution_ids, filters, concurrency, ENDED)
    check.reading(limit=limit)
    delete = _Delete(selection)
    return with_verdict(selection.each(selection.rows(limit), delete.plan if dry_run else delete.delete))


@attrs.frozen
class _Delete:
    """Deletes the executions of one batch."""

    selection: Selection

    async def plan(self, _: int, row: Execution) -> DeleteOutcome:
        """Report an execution without deleting it; one that was named is read."""
        if not self.selection.by_id:
            return DeleteOutcome(row, "planned")
        try:
            return DeleteOutcome(await self.selection.detail(row.id), "planned")
        except OmiumError as error:
            return _failed(row, error)

    async def delete(self, _: int, row: Execution) -> DeleteOutcome:
        """Delete an execution."""
        key = os.urandom(16).hex()
        try:
            await self.selection.calls.write(lambda caller: endpoints.delete(caller, row.id, key))
        except OmiumError as error:
            return _failed(row, error)
        return DeleteOutcome(row, "deleted")


def _failed(row: Execution, error: OmiumError) -> DeleteOutcome:
    if error.outcome_unknown:
        return DeleteOutcome(row, "unknown", error)
    return DeleteOutcome(row, "absent" if isinstance(error, NotFoundError) else "rejected", error)

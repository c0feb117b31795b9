"""Cancelling many executions, each at most once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.base import OmiumError
from .._errors.calls import ConflictError
from .._filters import Filters
from .._models.outcomes import CancelOutcome
from .._models.types import CancelResult, Execution
from .._statuses import ACTIVE, ENDED
from .selection import Selection
from .verdict import with_verdict


def cancel_many(
    caller: Caller,
    execution_ids: Iterable[str] | AsyncIterable[str] | None,
    filters: Filters,
    *,
    limit: int | None,
    concurrency: int,
    dry_run: bool,
) -> AsyncGenerator[CancelOutcome]:
    """Check the arguments, and cancel these executions, or all that pass the filters."""
    selection = Selection.of(caller, "cancel_many", execution_ids, filters, concurrency, ACTIVE)
    check.reading(limit=limit)
    cancel = _Cancel(selection)
    return with_verdict(selection.each(selection.rows(limit), cancel.plan if dry_run else cancel.cancel))


@attrs.frozen
class _Cancel:
    """Cancels the executions of one batch."""

    selection: Selection

    async def plan(self, _: int, row: Execution) -> CancelOutcome:
        """Report an execution without cancelling it; one that was named is read."""
        if self.selection.by_id:
            try:
                row = await self.selection.detail(row.id)
            except OmiumError as error:
                return CancelOutcome(row, "rejected", None, error)
        return _settled(row, row) if row.status in ENDED else CancelOutcome(row, "planned")

    async def cancel(self, _: int, row: Execution) -> CancelOutcome:
        """Cancel an execution that has not ended."""
        shown = row
        key = os.urandom(16).hex()
        try:
            detail = await self.selection.detail(row.id)
            shown = self.selection.shown(row, detail)
            if detail.status in ENDED:
                return _settled(shown, detail)
            try:
                result = await self.selection.calls.write(lambda caller: endpoints.cancel(caller, row.id, key))
            except ConflictError:  # it may have ended since it was read
                detail = await self.selection.detail(row.id)
                if detail.status in ENDED:
                    return _settled(shown, detail)
                raise
        except OmiumError as error:
            return CancelOutcome(shown, "unknown" if error.outcome_unknown else "rejected", None, error)
        return CancelOutcome(shown, "cancelled", result)


def _settled(shown: Execution, now: Execution) -> CancelOutcome:
    return CancelOutcome(shown, "settled", CancelResult(id=now.id, status=now.status, cancelled=False))

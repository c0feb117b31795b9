"""The outcome of a whole batch, for the error that ends it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Final, TypeVar

from .._errors.attempts import WriteOutcome
from .._errors.base import OmiumError, set_batch_outcome
from .._models.outcomes import CancelOutcome, CreateOutcome, DeleteOutcome, ReplayOutcome, RunOutcome

O = TypeVar("O", bound=CreateOutcome | RunOutcome[Any] | ReplayOutcome | CancelOutcome | DeleteOutcome)  # noqa: E741

#: The states of items whose write was applied, in outcomes and journals.
_APPLIED: Final = frozenset(
    {"created", "ended", "completed", "failed", "timed_out", "replayed", "cancelled", "deleted"}
)


class BatchVerdict:
    """What is known of the items of a batch so far."""

    def __init__(self) -> None:
        self._unknown = False
        self._applied = False

    def count(self, state: str | None) -> None:
        """Count one item.

        :param state: of its outcome; ``None``: it was about to be sent, and has no outcome.
        """
        if state in ("unknown", None):
            self._unknown = True
        elif state in _APPLIED:
            self._applied = True

    def count_error(self, error: BaseException) -> None:
        """Count the error that ended a part of the batch. Other errors do not say how far it had come."""
        outcome = error.outcome if isinstance(error, OmiumError) else WriteOutcome.UNKNOWN
        self._unknown |= outcome == WriteOutcome.UNKNOWN
        self._applied |= outcome == WriteOutcome.APPLIED

    def set_on(self, error: OmiumError) -> None:
        """Set the outcome of the error: unknown if that of any item is, else applied if any was, else not applied."""
        outcome = WriteOutcome.APPLIED if self._applied else WriteOutcome.NOT_APPLIED
        if self._unknown or error.outcome == WriteOutcome.UNKNOWN:
            outcome = WriteOutcome.UNKNOWN
        set_batch_outcome(error, outcome)


async def with_verdict(
    outcomes: AsyncGenerator[O], others: Callable[[], Awaitable[Iterable[str | None]]] | None = None
) -> AsyncGenerator[O]:
    """Yield the outcomes; an error that ends them gets the outcome of the whole batch.

    :param others: returns the states of items without an outcome: those that earlier runs recorded and this one did
        not come to, and those in work.
    """
    verdict = BatchVerdict()
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                verdict.count(outcome.state)
                yield outcome
    except OmiumError as error:
        if others is not None:
            for state in await others():
                verdict.count(state)
        verdict.set_on(error)
        raise

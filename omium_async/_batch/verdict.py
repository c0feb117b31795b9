"""What an error that ends a batch says became of the whole of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from .._errors import OmiumError, WriteOutcome
from .._models.outcomes import CreateOutcome, ReplayOutcome

__all__ = ["Verdict", "judged"]

O = TypeVar("O", CreateOutcome, ReplayOutcome)  # noqa: E741 - an outcome


class Verdict:
    """What is known of the items of a batch so far."""

    def __init__(self) -> None:
        self._unknown = False
        self._applied = False

    def count(self, state: str) -> None:
        """One more item ended so."""
        if state == "unknown":
            self._unknown = True
        elif state in ("created", "replayed"):
            self._applied = True

    def pass_on(self, error: OmiumError) -> None:
        """Make the error say it: unknown if any item is, else applied if one was, else not applied."""
        if self._unknown or error.outcome is WriteOutcome.UNKNOWN:
            error.outcome = WriteOutcome.UNKNOWN
        else:
            error.outcome = WriteOutcome.APPLIED if self._applied else WriteOutcome.NOT_APPLIED


async def judged(outcomes: AsyncGenerator[O]) -> AsyncGenerator[O]:
    """These outcomes; an error that ends them says what became of all items, and not of the last request."""
    verdict = Verdict()
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                verdict.count(outcome.state)
                yield outcome
    except OmiumError as error:
        verdict.pass_on(error)
        raise

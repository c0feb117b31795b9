"""What an error that ends a batch says became of the whole of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import TypeVar

from .._errors import JournalError, OmiumError, WriteOutcome
from .._models.outcomes import CreateOutcome, ReplayOutcome

__all__ = ["Verdict", "judged"]

O = TypeVar("O", CreateOutcome, ReplayOutcome)  # noqa: E741 - an outcome


class Verdict:
    """What is known of the items of a batch so far."""

    def __init__(self) -> None:
        self._unknown = False
        self._applied = False

    def count(self, state: str | None) -> None:
        """One more item ended so.

        :param state: ``None``: it was sent, or about to be, and nothing is known of the end.
        """
        if state in ("unknown", None):
            self._unknown = True
        elif state in ("created", "replayed"):
            self._applied = True

    def count_part(self, error: BaseException) -> None:
        """A part of the batch ended with this; what is no error of ours does not say how far it had come."""
        outcome = error.outcome if isinstance(error, OmiumError) else WriteOutcome.UNKNOWN
        self._unknown |= outcome == WriteOutcome.UNKNOWN
        self._applied |= outcome == WriteOutcome.APPLIED

    def pass_on(self, error: OmiumError) -> None:
        """Make the error say it: unknown if any item is, else applied if one was, else not applied."""
        if self._unknown or error.outcome == WriteOutcome.UNKNOWN:
            error.outcome = WriteOutcome.UNKNOWN
        else:
            error.outcome = WriteOutcome.APPLIED if self._applied else WriteOutcome.NOT_APPLIED


async def judged(
    outcomes: AsyncGenerator[O], recorded: Callable[[], Awaitable[Iterable[str | None]]] | None = None
) -> AsyncGenerator[O]:
    """These outcomes; an error that ends them says what became of all items, and not of the last request.

    :param recorded: gives the states that a journal holds: of what earlier runs sent, and this one did not come to.
    """
    verdict = Verdict()
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                verdict.count(outcome.state)
                yield outcome
    except OmiumError as error:
        if recorded is not None and not isinstance(error, JournalError):  # it would not say, or is of another batch
            with suppress(JournalError):
                for state in await recorded():
                    verdict.count(state)
        verdict.pass_on(error)
        raise

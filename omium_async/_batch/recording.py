"""Writing to the journal of a batch: the mark before a request, and the outcome after it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from .._errors import JournalError
from .._journal.file import JournalFile, Mark
from .calls import Calls

__all__ = ["SentMark", "record"]

_FRESH: Final = 1.0  # seconds for which a mark need not be written again


class SentMark:
    """The record that an item is about to be sent, written before each of its requests.

    :param make: returns the mark for the current time.
    :ivar is_recorded: whether the journal holds the item.
    """

    def __init__(self, file: JournalFile, make: Callable[[], Mark], *, is_recorded: bool) -> None:
        self._file = file
        self._make = make
        self._written = -math.inf
        self.is_recorded = is_recorded

    @property
    def age(self) -> float:
        """Seconds since the mark was written."""
        return time.monotonic() - self._written

    async def refresh(self) -> None:
        """Write the mark, unless it was written just now."""
        if self.age > _FRESH:
            written = time.monotonic()
            await self._file.mark(self._make(), again=self.is_recorded)
            self._written = written
            self.is_recorded = True


async def record(
    file: JournalFile, calls: Calls, item_id: int, state: str, execution_id: str | None, answer: str | None
) -> None:
    """Record an outcome. If that fails, the batch ends, after this outcome too."""
    try:
        await file.record(item_id, state, execution_id, answer)
    except JournalError as error:
        calls.fail(error)

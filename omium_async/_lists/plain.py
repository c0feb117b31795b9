"""Reading a list page by page, as any client would: for servers that are outside the terms of the exact reading.

No row is yielded twice and the reading always ends. Rows may be missed while the list changes.
"""

from __future__ import annotations

from .._models.types import Execution, ExecutionPage
from .seen import Seen
from .windows import MOST_FRUITLESS, SERVICE_MAXIMUM, Window, unstable

_MOST_EQUAL = 3  # pages in a row that show the same rows
_TWICE_EVERY = 64  # requests


class PlainReading:
    """Reads one page after the other, from a given one on.

    From time to time it requests a page twice: if the second answer shows none of the rows of the first, the list moves
    by a page in the time of a request, and would never end.

    :ivar window: the next page to request.
    :ivar ended: the list has ended.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.ended = False
        self._requests = 0
        self._last: list[str] = []  # the ids of the page before
        self._last_total: int | None = None
        self._twice = False  # the next page is the one before
        self._equal = 1
        self._final = False  # the next page is the last, whatever it shows
        self._fruitless = 0
        self._changed = False  # the list changed during the fruitless requests

    def take(self, window: Window, answer: ExecutionPage, seen: Seen) -> list[Execution]:
        """The rows that an answer adds.

        :raises UnstableListError: the list changes faster than it can be read.
        """
        new = seen.add(answer.items)
        if window != self.window:
            return new  # requested before this reading began
        ids = [row.id for row in answer.items]
        if self._twice and ids and set(ids).isdisjoint(self._last):
            raise unstable()
        self._count(ids, new, answer.total)
        self._equal = self._equal + 1 if ids == self._last and not self._twice else 1
        self._last, self._last_total = ids, answer.total
        self._requests += 1
        if not ids or self._final:
            self.ended = True
        elif self._equal >= _MOST_EQUAL:
            # All pages show the same rows: request the first one, as large as the service gives it.
            self._final = True
            self.window = Window(1, SERVICE_MAXIMUM)
        else:
            self._twice = self._requests % _TWICE_EVERY == 0
            self.window = window if self._twice else Window(window.page + 1, window.size)
        return new

    def _count(self, ids: list[str], new: list[Execution], total: int | None) -> None:
        """Count the requests in a row whose last row was known already."""
        if new and new[-1].id == ids[-1]:
            self._fruitless, self._changed = 0, False
            return
        self._fruitless += 1
        moved = self._requests > 0 and total != self._last_total
        self._changed = self._changed or bool(new) or moved
        if self._fruitless >= MOST_FRUITLESS and self._changed:
            raise unstable()
        self.ended = self._fruitless >= MOST_FRUITLESS

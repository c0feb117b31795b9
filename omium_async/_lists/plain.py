"""Reading a list page by page, as any client would: for servers that are outside the terms of the exact reading.

No row is yielded twice and the reading always ends. Rows may be missed while the list changes.
"""

from __future__ import annotations

from .._errors.others import UnstableListError
from .._models.types import Execution, ExecutionPage
from .seen import Seen
from .windows import Window

_MOST_KNOWN = 5  # pages in a row that end with a known row: the server repeats itself
_TWICE_EVERY = 64  # pages


class PlainReading:
    """Reads one page after the other, from a given one on, up to an empty one.

    :ivar window: the next page to request.
    :ivar ended: the list has ended.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.ended = False
        self._pages = 0
        self._known = 0
        self._last: list[str] = []  # the ids of the page before
        self._twice = False  # `window` is the page before

    def take(self, window: Window, answer: ExecutionPage, seen: Seen) -> list[Execution]:
        """Return the rows that an answer adds.

        :raises UnstableListError: a page that was requested twice showed other rows: the list grows by a page in the
            time of a request, so its end is never reached.
        """
        if window != self.window:
            return []  # requested before this reading began; its rows come again
        ids, last, repeated = [row.id for row in answer.items], self._last, self._twice
        if repeated and ids and last and set(ids).isdisjoint(last):
            message = "the list changes faster than it can be read: a page that was requested twice showed other rows"
            raise UnstableListError(message, outcome="not_applied")
        new = seen.add(answer.items)
        self._pages += 1
        self._known = 0 if new and new[-1].id == ids[-1] else self._known + 1
        is_short = len(ids) < max(1, len(last)) and answer.total is not None and answer.total > len(seen)
        self._last, self._twice = ids, not repeated and (is_short or self._pages % _TWICE_EVERY == 0)
        if not self._twice:
            self.ended = not ids or self._known >= _MOST_KNOWN
            self.window = Window(window.page + 1, window.size)
        return new

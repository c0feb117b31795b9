"""Servers that break the terms, known by their answers."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

from .._models.types import Execution, ExecutionPage

_log = logging.getLogger("omium_async.streaming")

_SURE = 3
_COMPARED = 100


class Witness:
    """Compares what different pages show.

    A page that shows the list's first row at its own start is no proof yet: as many rows as lie before the page may
    have been inserted. The first page is asked for again, and if it still begins with that row they were removed again
    within a request. Three other pages in a row that would need this, each with another number, are proof enough.
    """

    def __init__(self) -> None:
        self._first: str | None = None
        self._repeats = 0
        self._suspicious = False
        self._last: list[str] = []  # ids, for the rows themselves are not to outlive their turn
        self._warned = False

    @property
    def wants_first(self) -> bool:
        """Whether the first page should be asked for again."""
        return self._suspicious

    def pages_repeat(self, start: int, answer: ExecutionPage, new: bool, likely: bool) -> bool:
        """Whether the server is now known to ignore ``page``.

        :param new: the answer brought something new. :param likely: the server is known to break other terms, so that
            one repetition will do.
        """
        head = answer.items[0].id
        if start == 0:
            self._suspicious = False
            if head != self._first:
                self._first, self._repeats = head, 0
            return False
        if new:
            self._repeats = 0
            return False
        if head == self._first and not self._suspicious:
            self._repeats += 1
            self._suspicious = True
        return self._repeats >= (1 if likely else _SURE)

    def look_at_order(self, answer: ExecutionPage, known: int) -> None:
        """Compare the order of rows with that in the answer before; ``known`` of them were known."""
        last, self._last = self._last, _ids(answer.items[-_COMPARED:])
        if known < 2 or _ids(answer.items[:known]) == last[-known:]:
            return  # nothing to compare, or the two overlap as they should
        place = {id: index for index, id in enumerate(last)}
        places = [place[id] for id in _ids(answer.items) if id in place]
        if any(a > b for a, b in itertools.pairwise(places)):
            self.warn("rows change their order between two requests")

    def warn(self, finding: str) -> None:
        """Say once that the guarantee is weakened."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: no execution is given twice, but some may be missed if the list changes while it is read",
                finding,
                extra={"omium_finding": finding},
            )


def _ids(rows: Sequence[Execution]) -> list[str]:
    return [row.id for row in rows]

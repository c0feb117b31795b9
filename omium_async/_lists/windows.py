"""The windows of a list that a server can show: page ``p`` of size ``s`` holds the offsets from ``(p-1)s`` to ``ps``.

A window over a reading point must begin before it, to show a row that is known, and should reach far beyond it. Any
size up to ``largest`` may be requested, and the best one reaches farther than any that starts at the point's own page:
at 100, some 86 rows beyond. Always taking the farthest is the cheapest way through a list: from a point farther on, all
windows are available that are from a point before it.
"""

from __future__ import annotations

from typing import NamedTuple

from .._models.types import ExecutionPage

#: The largest page that the service gives.
SERVICE_MAXIMUM = 1000
#: With at most 12 rows a window there are points that no window overlaps; with 20 the first is 232,792,560.
SAFE_MINIMUM = 20


class Window(NamedTuple):
    """One page of one size."""

    page: int
    size: int

    @property
    def start(self) -> int:
        """The offset of its first row."""
        return (self.page - 1) * self.size

    @property
    def end(self) -> int:
        """The offset behind the last row of a full window."""
        return self.page * self.size


class Sizes:
    """The page sizes to request.

    :ivar largest: no larger one is requested; the server's answers may lower it.
    :ivar smallest: the server raises smaller ones to it.
    :ivar delivered: the largest number of rows in a response.
    """

    def __init__(self, page_size: int) -> None:
        self.largest = max(SAFE_MINIMUM, min(page_size, SERVICE_MAXIMUM))
        self.smallest = 1
        self.delivered = 0

    def learn(self, asked: Window, answer: ExecutionPage) -> Window | None:
        """The window that the server has answered with; ``None`` if it does not honour page sizes."""
        rows, said = len(answer.items), answer.page_size
        self.delivered = max(self.delivered, rows)
        if said is None or said < max(1, rows):
            said = max(rows, asked.size)
        if said < asked.size:
            self.largest = min(self.largest, said)
        elif said > asked.size:
            if rows < asked.size and asked.page == 1:
                return asked  # the list ends in it, whichever size is right
            if asked.size >= SAFE_MINIMUM or said > SAFE_MINIMUM:
                self.largest = said
                return None
            self.smallest = max(self.smallest, said)
            self.largest = max(self.largest, 2 * said)  # one size alone gives no windows that overlap
        return None if 1 < self.smallest >= self.largest else Window(asked.page, said)

    def first(self, wanted: int) -> Window:
        """The window at the start of the list."""
        return Window(1, min(self.largest, wanted))

    def over(self, point: int, overlap: int, wanted: int) -> Window:
        """The window that begins at least ``overlap`` rows before ``point`` and reaches farthest beyond it.

        A smaller one if it reaches ``wanted`` rows beyond. If none overlaps by so much, one that overlaps by a row.
        """
        if point <= 0:
            return self.first(wanted)
        for depth in (min(overlap, point), 1):
            size, reach = self._best(point - depth, wanted + depth)
            if reach > depth:
                return Window((point - depth) // size + 1, size)
        return Window(point // self.largest + 1, self.largest)

    def _best(self, offset: int, wanted: int) -> tuple[int, int]:
        """The size, and how far beyond ``offset`` the page of that size that holds it reaches."""
        best = found = 0
        for size in range(self.largest, self.smallest - 1, -1):
            if size <= best:
                break  # smaller pages cannot reach as far
            reach = size - offset % size
            if reach > best:
                found, best = size, reach
        for size in range(max(min(SAFE_MINIMUM, found), wanted), found):
            reach = size - offset % size
            if reach >= wanted:
                return size, reach
        return found, best

"""The windows of a list that a server can show: page ``p`` of size ``s`` is what lies at offsets ``(p-1)s`` to ``ps``.

A window over a reading point must begin before it, to show a row that is known, and should reach far beyond it. Sizes
are free up to ``largest``, and the best one reaches farther than any that starts at the point's own page: at 100, some
86 rows beyond. Always taking the farthest is the cheapest way through a list: whoever stands farther on can take every
window that someone behind can, so never reaches less far.
"""

from __future__ import annotations

from typing import NamedTuple

from .._models.types import ExecutionPage

#: The largest page that the service gives.
SERVICE_MAXIMUM = 1000
#: With at most 12 rows a window some reading points can be passed by none; with 20 the first is 232,792,560.
SAFE_MINIMUM = 20


class Window(NamedTuple):
    """One page of one size.

    :ivar joined: it is to be taken as what follows on the rows read, although it overlaps none of them.
    """

    page: int
    size: int
    joined: bool = False

    @property
    def start(self) -> int:
        """The offset of its first row."""
        return (self.page - 1) * self.size

    @property
    def end(self) -> int:
        """The offset behind its last row, when it is full."""
        return self.page * self.size


class Trial(NamedTuple):
    """A short window may have shown the most that the server gives. One that small will tell; then back to this."""

    largest: int
    end: int


class Shown(NamedTuple):
    """An answered window, and what it is to be judged by.

    :ivar again: it was asked for a second time. :ivar trial: it was asked for to find out about this.
    """

    window: Window
    answer: ExecutionPage
    again: bool
    trial: Trial | None

    @property
    def end(self) -> int:
        """The offset behind the last row shown."""
        return self.window.start + len(self.answer.items)

    @property
    def full(self) -> bool:
        """Whether the list may go on behind it."""
        return len(self.answer.items) >= self.window.size

    @property
    def denied(self) -> bool:
        """Whether the server's own count says that the list does go on."""
        return self.answer.total is not None and self.answer.total > self.end


class Sizes:
    """Which page sizes this server gives: what was asked for first, narrowed down by what it answers.

    :ivar largest: no larger one is asked for. :ivar smallest: smaller ones are not honoured.
    :ivar delivered: the most rows that one answer held. :ivar broken: pages to do without where others serve.
    """

    def __init__(self, page_size: int) -> None:
        self.largest = max(SAFE_MINIMUM, min(page_size, SERVICE_MAXIMUM))
        self.smallest = 1
        self.delivered = 0
        self.broken: set[int] = set()
        self._capped = False
        self._tested = False

    @property
    def poor(self) -> bool:
        """Whether windows that overlap cannot be had everywhere."""
        return self.largest < SAFE_MINIMUM or self.smallest >= self.largest

    def cap(self, size: int) -> None:
        """Ask for no more than ``size`` rows from now on."""
        self.largest = min(self.largest, size)
        self.smallest = min(self.smallest, size)
        self._capped = True

    def first(self, wanted: int) -> Window:
        """The window at the start of the list."""
        return Window(1, max(min(self.largest, wanted), self.smallest))

    def test(self) -> Window | None:
        """The window that tells a server that ignores sizes by giving more; ``None`` once asked for, or no need."""
        if self._tested or self.delivered <= self.smallest:
            return None
        self._tested = True
        return Window(1, self.delivered - 1)

    def over(self, point: int, overlap: int, wanted: int) -> Window:
        """The window that begins at least ``overlap`` rows before ``point`` and reaches farthest beyond it.

        A smaller one if it reaches ``wanted`` rows beyond. If none does: the page that begins at ``point``, joined.
        """
        if point <= 0:
            return self.first(wanted)
        depth = min(overlap, point)
        size, reach = self._best(point - depth, wanted + depth)
        if reach <= depth:
            depth = 1
            size, reach = self._best(point - 1, wanted + 1)
        if reach <= depth and self.broken:
            self.broken.clear()
            return self.over(point, overlap, wanted)
        if reach <= depth:
            return Window(point // self.largest + 1, self.largest, joined=True)
        return Window((point - depth) // size + 1, size)

    def _best(self, offset: int, wanted: int) -> tuple[int, int]:
        """The size, and how far beyond ``offset`` the page of that size that holds it reaches."""
        best = found = 0
        broken = self.broken
        for size in range(self.largest, self.smallest - 1, -1):
            if size <= best:
                break  # smaller pages cannot reach as far
            reach = size - offset % size
            if reach > best and (not broken or offset // size + 1 not in broken):
                found, best = size, reach
        if best > wanted:
            for size in range(max(self.smallest, min(SAFE_MINIMUM, found), wanted), found):
                reach = size - offset % size
                if reach >= wanted:
                    return size, reach
        return found, best

    def read(self, window: Window, answer: ExecutionPage) -> Window:
        """The window that the server says, or shows, it has answered with; `largest` and `smallest` follow it."""
        page, asked, joined = window
        rows = len(answer.items)
        size = self._answered(asked, answer.page_size, rows)
        size = max(size, rows)
        if size < asked:
            self.cap(size)
        elif size > asked:
            self._raise(size)
        self.delivered = max(self.delivered, rows)
        return Window(page, size, joined)

    @staticmethod
    def _answered(asked: int, said: int | None, rows: int) -> int:
        if said is None or said < 1 or rows > said:
            return asked  # nothing said, or what was said is not so
        if said > asked and rows == asked:
            return asked
        return said

    def _raise(self, size: int) -> None:
        self.smallest = max(self.smallest, size)
        if self.smallest < self.largest:
            return
        # Either a smallest size, then larger ones overlap again, or the only size there is, then the cap will tell.
        self.largest = self.smallest if self._capped else max(self.smallest, min(2 * self.smallest, SERVICE_MAXIMUM))

"""A model of a server whose list changes, and a reader that is stepped by hand.

A test, or hypothesis, decides when the server counts for a request in flight, when it answers, how the list changes in
between, and when the consumer takes the oldest answer.
"""

from __future__ import annotations

import bisect
import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omium_async import Execution, ExecutionPage
from omium_async._lists.exact import Reading
from omium_async._lists.windows import Window


@functools.cache
def execution(id: str) -> Execution:
    """Return the row with this id, made once for all tests."""
    return Execution(id=id)


@dataclass
class ModelList:
    """Rows in one relative order: each has a place, which it keeps while it is removed."""

    rows: list[tuple[float, str]] = field(default_factory=list)
    away: list[tuple[float, str]] = field(default_factory=list)
    ever: int = 0
    stayed: set[str] | None = None  # the rows that were in the list from the first request to now

    @classmethod
    def of(cls, size: int) -> ModelList:
        made = cls()
        made.insert(0, size)
        return made

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        return [id for _, id in self.rows]

    def insert(self, index: int, count: int) -> None:
        """Insert new rows before the row at ``index``."""
        index = min(index, len(self.rows))
        low = self.rows[index - 1][0] if index else (self.rows[0][0] - 1 if self.rows else 0.0)
        high = self.rows[index][0] if index < len(self.rows) else low + 1
        made = []
        for step in range(count):
            self.ever += 1
            # If floats leave no room between two places, the ids decide the order.
            made.append((low + (high - low) * (step + 1) / (count + 1), f"row-{self.ever:07d}"))
        self.rows[index:index] = made
        self.rows.sort()

    def remove(self, index: int, count: int) -> None:
        gone = self.rows[index : index + count]
        del self.rows[index : index + count]
        self.away += gone
        if self.stayed is not None:
            self.stayed.difference_update(id for _, id in gone)

    def bring_back(self, count: int) -> None:
        """Put removed rows back to their old places, the last first."""
        for _ in range(min(count, len(self.away))):
            bisect.insort(self.rows, self.away.pop())

    def begin(self) -> None:
        self.stayed = set(self.ids)


@dataclass
class ModelServer:
    """Answers requests for windows of a `ModelList`, within the terms of the guarantee or outside."""

    list: ModelList
    cap: int = 1000
    fixed: int | None = None  # the only page size there is
    least: int = 1  # smaller sizes are raised to it
    says_size: bool = True
    echoes_size: bool = False  # says the requested size, whatever it sends
    says_total: bool = True
    total: int | None = None  # a wrong total that it says
    ignores_page: bool = False
    hole: range = range(0)  # offsets whose rows are not shown
    slips: tuple[int, ...] = ()  # numbers of the answers, from 1, that lack rows
    slip: Callable[[list[Any]], list[Any]] = staticmethod(lambda rows: [])
    answered: int = 0

    def size(self, asked: int) -> int:
        return self.fixed or max(self.least, min(asked, self.cap))

    def show(self, window: Window, counted: int | None = None) -> ExecutionPage:
        self.answered += 1
        size = self.size(window.size)
        start = 0 if self.ignores_page else (window.page - 1) * size
        ids = [
            id for offset, (_, id) in enumerate(self.list.rows[start : start + size], start) if offset not in self.hole
        ]
        if self.answered in self.slips:
            ids = self.slip(ids)
        total = (len(self.list) if counted is None else counted) if self.total is None else self.total
        return ExecutionPage(
            items=tuple(map(execution, ids)),
            total=total if self.says_total else None,
            page=window.page if self.says_size else None,
            page_size=(window.size if self.echoes_size else size) if self.says_size else None,
        )


@dataclass
class Flight:
    window: Window
    counted: int | None = None
    answer: ExecutionPage | None = None


class Reader:
    """Drives a `Reading` as `Prefetch` does, with up to ``depth`` windows in flight."""

    def __init__(self, server: ModelServer, page_size: int = 100, depth: int = 8, limit: int | None = None) -> None:
        self.server = server
        self.reading = Reading(page_size, limit)
        self.depth = depth
        self.flying: deque[Flight] = deque()
        self.asked: list[Window] = []
        self.got: list[str] = []
        self.fill()

    @property
    def requests(self) -> int:
        return len(self.asked)

    def fill(self) -> None:
        while not self.reading.ended and len(self.flying) < max(1, self.depth):
            window = self.reading.ahead() if self.flying else self.reading.needed()
            if window is None:
                break
            self.flying.append(Flight(window))
            self.asked.append(window)

    def count(self, index: int) -> None:
        """The server counts for this request; its query comes later."""
        if self.server.list.stayed is None:
            self.server.list.begin()
        flight = self.flying[index]
        if flight.answer is None and flight.counted is None:
            flight.counted = len(self.server.list)

    def answer(self, index: int) -> None:
        self.count(index)
        flight = self.flying[index]
        if flight.answer is None:
            flight.answer = self.server.show(flight.window, flight.counted)

    def step(self) -> None:
        """The consumer takes the oldest window, which is answered now at the latest."""
        self.answer(0)
        flight = self.flying.popleft()
        assert flight.answer is not None
        self.got += [row.id for row in self.reading.take(flight.window, flight.answer)]
        self.fill()

    def finish(self, most: int = 20_000) -> None:
        while not self.reading.ended:
            assert self.requests <= most, "it does not end"
            self.step()

    def check(self) -> None:
        assert len(set(self.got)) == len(self.got), "a row was given twice"
        missed = (self.server.list.stayed or set()) - set(self.got)
        assert not missed, f"{len(missed)} rows were missed, such as {min(missed)}"

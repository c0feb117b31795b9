"""How the rows of a view are read, look by look: all of them, or as little as tells that they are still the same.

A page of what the service filters is one request. What the client filters, and several statuses at once, may take many:
these are read whole at first, and anew when one request, at each look, has shown that something moved.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import attrs

from omium_async import Execution, ExecutionPage

from .meter import Told
from .questions import PAGE_SIZE, Questions, together
from .view import View

__all__ = ["Listing", "Rows", "newest_first"]

_FIRST_WINDOW: Final = 250  # rows that a search asks for at once, until it is known how far it reaches
_SEARCH: Final = 20  # requests after which a search stops, to go on when it is told to
_SPACED: Final = 4.0  # seconds between two searches for each request of one, while something moves
# At least so many seconds between two while nothing does, for time alone moves rows past `since` and `before`.
_ANEW: Final = 300.0

_OLDEST = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class Rows:
    """One page of a list.

    :ivar total: as the service says, ``None`` where it does not or the client filters.
    :ivar more: whether there are older ones.
    :ivar cut: requests after which the search stopped before it had found the page; 0: it did not.
    :ivar blind: the list shows no metadata at all, so that a filter by it finds nothing.
    :ivar looks: so many looks in turn see all of it; 1: each does.
    """

    items: tuple[Execution, ...]
    total: int | None = None
    more: bool = False
    cut: int = 0
    blind: bool = False
    looks: int = 1


class Listing:
    """The rows of one view, and what is known of them from look to look."""

    def __init__(self, questions: Questions, view: View) -> None:
        self._questions = questions
        self._view = view
        self._pages: dict[str, ExecutionPage] = {}  # of several statuses, the one asked for last at the end
        self._search = _Search(questions, view)

    async def read(self) -> Rows:
        """The rows as they are now."""
        view = self._view
        if view.by_client or (len(view.statuses) > 1 and view.page > 1):
            return await self._search.read()
        if len(view.statuses) > 1:
            return await self._of_several()
        page = await self._questions.page(view.workflow_id, view.status, view.page)
        shown = (view.page - 1) * PAGE_SIZE + len(page.items)
        more = len(page.items) >= PAGE_SIZE if page.total is None else shown < page.total and bool(page.items)
        return Rows(page.items, page.total, more)

    async def _of_several(self) -> Rows:
        """The first page of several statuses: the service filters one, so each is asked for, later one a look."""
        view = self._view
        whole = await self._questions.whole(view.workflow_id, lately=False)
        if whole is not None:
            items = [execution for execution in whole if execution.status in view.statuses]
            return Rows(tuple(items[:PAGE_SIZE]), len(items), len(items) > PAGE_SIZE)
        wanted = list(self._pages)[:1] or view.statuses
        for status, page in zip(wanted, await together(*map(self._page_of, wanted)), strict=True):
            self._pages.pop(status, None)
            self._pages[status] = page
        return _merged(self._pages.values(), len(view.statuses))

    def _page_of(self, status: str) -> Any:
        return self._questions.page(self._view.workflow_id, status)


class _Search:
    """A page of a list that the client filters: read until it is found, or until so many requests were spent.

    One that takes a single request is made anew at each look. Of others a look sees one window: of the start of the
    list, or of where rows were found, in turn; the rows that it shows are brought up to date, and where anything else
    has moved the search is made anew.
    """

    def __init__(self, questions: Questions, view: View) -> None:
        self._questions = questions
        self._view = view
        self._size = _FIRST_WINDOW
        self._rows: Rows | None = None
        self._cost = 0  # of the last search
        self._when = -math.inf
        self._moved = False
        self._told: Told = {}
        self._windows: dict[int, ExecutionPage] = {}  # by page number, as seen last
        self._next: list[int] = []

    async def read(self) -> Rows:
        if self._rows is None or self._cost == 1 or self._size > self._questions.largest:
            return await self._anew()
        self._next = self._next or self._worth_a_look(self._rows.items)
        number = self._next.pop(0)
        window = await self._questions.page(self._view.workflow_id, self._view.status, number, self._size)
        self._moved = self._moved or (number in self._windows and window != self._windows[number])
        self._windows[number] = window
        spaced = _SPACED * self._cost if self._moved else _ANEW
        if time.monotonic() - self._when >= spaced:
            return await self._anew()
        now = {execution.id: execution for execution in window.items}
        items = tuple(now.get(execution.id, execution) for execution in self._rows.items)
        self._rows = attrs.evolve(self._rows, items=items, looks=len(self._worth_a_look(items)))
        return self._rows

    async def _anew(self) -> Rows:
        questions, view = self._questions, self._view
        skipped = (view.page - 1) * PAGE_SIZE
        wanted = skipped + PAGE_SIZE + 1
        begun = time.monotonic()
        with questions.meter.counting() as cost, questions.meter.telling_once(self._told):
            read = partial(_until, stop=cost.spent_after(_SEARCH * view.reach))
            found, ended = await questions.listed(self._size, read, **view.arguments(), limit=wanted)
        self._when, self._cost, self._moved = begun, cost.requests, False
        items = tuple(found[skipped : skipped + PAGE_SIZE])
        self._size = min(self._size, questions.largest)
        reached = self._size * self._cost
        if self._cost > 1 and self._size < questions.largest:  # the next search is cheaper: it may be made at once
            self._size, self._windows = min(reached, questions.largest), {}
            self._when, self._cost = -math.inf, math.ceil(reached / self._size)
        self._next = self._worth_a_look(items)
        blind = any(hasattr(record, "omium_rows") for record in self._told.values()) and not found
        cut = 0 if ended else cost.requests
        self._rows = Rows(items, None, len(found) >= wanted, cut, blind, looks=len(self._next))
        return self._rows

    def _worth_a_look(self, items: tuple[Execution, ...]) -> list[int]:
        """The windows to look at: the first, those with rows that are shown, and those not seen yet."""
        shown = {execution.id for execution in items}
        return [
            number
            for number in range(1, self._cost + 1)
            if number == 1
            or number not in self._windows
            or any(execution.id in shown for execution in self._windows[number].items)
        ]


async def _until(rows: AsyncGenerator[Execution], stop: asyncio.Future[None]) -> tuple[list[Execution], bool]:
    """The rows found before ``stop``, and whether they are all."""
    found: list[Execution] = []
    while True:
        step = asyncio.ensure_future(anext(rows, None))
        either: set[asyncio.Future[Any]] = {step, stop}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait({step})
        if step.cancelled():
            return found, False
        row = step.result()
        if row is None:
            return found, True
        found.append(row)


def _merged(pages: Iterable[ExecutionPage], looks: int) -> Rows:
    """The newest of several lists; of a row that stands in two, what was read last."""
    known = list(pages)
    merged = {execution.id: execution for page in known for execution in page.items}
    totals = [page.total for page in known if page.total is not None]
    total = sum(totals) if len(totals) == len(known) else None
    full = any(len(page.items) >= PAGE_SIZE for page in known)
    items = tuple(newest_first(merged.values())[:PAGE_SIZE])
    return Rows(items, total, len(merged) > PAGE_SIZE or full, looks=looks)


def newest_first(executions: Iterable[Execution]) -> list[Execution]:
    """In descending order of creation, those of which it is not known at the end."""

    def created(execution: Execution) -> datetime:
        return execution.created_at or _OLDEST

    return sorted(executions, key=created, reverse=True)

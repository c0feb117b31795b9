"""How the rows of a view are read, look by look: all of them, or as little as tells that they are still the same.

A page of what the service filters is one request. What the client filters, and several statuses at once, may take many:
these are read whole at first, and anew when one request, at each look, has shown that something moved.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Collection, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import attrs

from omium_async import Execution, ExecutionPage

from .meter import Told
from .questions import HONOURED, PAGE_SIZE, Questions, anew_after, together
from .view import View

__all__ = ["Listing", "Rows", "newest_first"]

_FIRST_WINDOW: Final = 250  # rows that a search asks for at once, until it is known how far it reaches
_SEARCH: Final = 20  # requests after which a search stops, to go on when it is told to

_OLDEST = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class Rows:
    """One page of a list.

    :ivar total: as the service says, ``None`` where it does not or the client filters.
    :ivar more: whether there are older ones.
    :ivar first: the number of the first of them in the list, from 1.
    :ivar cut: requests after which the search stopped before it had found the page; 0: it did not.
    :ivar blind: the list shows no metadata at all, so that a filter by it finds nothing.
    :ivar looks: so many looks in turn see all of it; 1: each does.
    :ivar as_of: when that of the rows was seen that was seen longest ago.
    """

    items: tuple[Execution, ...]
    total: int | None = None
    more: bool = False
    first: int = 1
    cut: int = 0
    blind: bool = False
    looks: int = attrs.field(default=1, eq=False)  # rows that are seen again are the same rows
    as_of: datetime = attrs.field(factory=partial(datetime.now, UTC), eq=False)


class Listing:
    """The rows of one view, and what is known of them from look to look."""

    def __init__(self, questions: Questions, view: View) -> None:
        self._questions = questions
        self._view = view
        self._pages: dict[str, _Part] = {}  # of several statuses, the one asked for last at the end
        self._gapless = True  # whether pages of single statuses are long enough to be merged
        self._ends = _Ends(questions, view.workflow_id)
        self._search = _Search(questions, view)

    async def read(self) -> Rows:
        """The rows as they are now."""
        view = self._view
        if not view.by_client and len(view.statuses) > 1 and view.page == 1 and self._gapless:
            return await self._of_several()
        if view.by_client or len(view.statuses) > 1:
            return await self._search.read()
        part = await self._part(view.status, view.page)
        first = (view.page - 1) * self._questions.size_of(part.page) + 1
        return Rows(part.page.items, part.page.total, part.more, first)

    async def _of_several(self) -> Rows:
        """The first page of several statuses: the service filters one, so each is asked for, later one a look."""
        view = self._view
        whole = await self._questions.whole(view.workflow_id, lately=False)
        if whole is not None:
            items = [execution for execution in whole if execution.status in view.statuses]
            return Rows(tuple(items[:PAGE_SIZE]), len(items), len(items) > PAGE_SIZE)
        wanted = list(self._pages)[:1] or view.statuses
        for status, part in zip(wanted, await together(*map(self._part, wanted)), strict=True):
            self._pages.pop(status, None)
            self._pages[status] = part
        self._gapless = not any(part.more and len(part.page) < PAGE_SIZE for part in self._pages.values())
        return _merged(self._pages.values()) if self._gapless else await self._search.read()

    async def _part(self, status: str | None, number: int = 1) -> _Part:
        """A page of what the service filters."""
        asked = datetime.now(UTC)
        page = await self._questions.page(self._view.workflow_id, status, number)
        return _Part(page, await self._ends.is_before(page, status, number), asked)


@attrs.frozen
class _Part:
    """A page of one status, or of all.

    :ivar more: whether there are older ones.
    """

    page: ExecutionPage
    more: bool
    as_of: datetime


class _Ends:
    """Whether pages of a list are its last; asks for the next one where nothing else tells."""

    def __init__(self, questions: Questions, workflow_id: str) -> None:
        self._questions = questions
        self._workflow_id = workflow_id
        self._found: dict[tuple[str | None, int], tuple[int, int | None, bool]] = {}

    async def is_before(self, page: ExecutionPage, status: str | None, number: int) -> bool:
        """Whether there are more executions than those of a page and of the pages before it.

        :param page: asked for with `PAGE_SIZE`. :param number: its own.
        """
        rows, size = len(page.items), self._questions.size_of(page)
        shown = (number - 1) * size + rows
        if not rows:
            return False
        if page.total is None:
            if rows >= size:
                return True
            if page.page_size is not None or rows < HONOURED:
                return False
        elif shown <= page.total:
            return shown < page.total
        return await self._asked(page, status, number)

    async def _asked(self, page: ExecutionPage, status: str | None, number: int) -> bool:
        """Ask for the next page, once as long as this one stays as long as it is."""
        rows = len(page.items)
        *known, more = self._found.get((status, number), (0, 0, False))
        if known != [rows, page.total]:
            following = await self._questions.page(self._workflow_id, status, number + 1)
            more = not _ids(following) <= _ids(page)  # a service that knows no pages shows the same again
            self._found[status, number] = (rows, page.total, more)
        if more and rows < PAGE_SIZE:
            self._questions.gives(rows)
        return more


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
        self._seen: dict[str, datetime] = {}  # when each row was seen last that is shown
        self._next: list[int] = []

    async def read(self) -> Rows:
        if self._rows is None or self._cost == 1 or self._size > self._questions.largest:
            return await self._anew()
        self._next = self._next or self._worth_a_look(self._rows.items)
        number = self._next.pop(0)
        asked = datetime.now(UTC)
        window = await self._questions.page(self._view.workflow_id, self._view.status, number, self._size)
        self._moved = self._moved or (number in self._windows and window != self._windows[number])
        self._windows[number] = window
        if time.monotonic() - self._when >= anew_after(self._cost, moved=self._moved):
            return await self._anew()
        now = {execution.id: execution for execution in window.items}
        items = tuple(now.get(execution.id, execution) for execution in self._rows.items)
        self._seen |= {execution.id: asked for execution in items if execution.id in now}
        return self._shown(attrs.evolve(self._rows, items=items), asked)

    async def _anew(self) -> Rows:
        questions, view = self._questions, self._view
        skipped = (view.page - 1) * PAGE_SIZE
        wanted = skipped + PAGE_SIZE + 1
        asked, begun = datetime.now(UTC), time.monotonic()
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
        self._seen = {execution.id: asked for execution in items}
        blind = any(hasattr(record, "omium_rows") for record in self._told.values()) and not found
        cut = 0 if ended else cost.requests
        more = len(found) >= wanted
        self._next = self._worth_a_look(items)
        return self._shown(Rows(items, None, more, skipped + 1, cut, blind), asked)

    def _shown(self, rows: Rows, asked: datetime) -> Rows:
        """These rows, with how many looks it takes to see them, and when that was seen which was seen longest ago."""
        looks = len(self._worth_a_look(rows.items))
        self._rows = attrs.evolve(rows, looks=looks, as_of=min(self._seen.values(), default=asked))
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


def _ids(page: ExecutionPage) -> set[str]:
    return {execution.id for execution in page.items}


def _merged(parts: Collection[_Part]) -> Rows:
    """The newest of several lists; of a row that stands in two, what was read last."""
    merged = {execution.id: execution for part in parts for execution in part.page.items}
    totals = [part.page.total for part in parts if part.page.total is not None]
    total = sum(totals) if len(totals) == len(parts) else None
    more = len(merged) > PAGE_SIZE or any(part.more for part in parts)
    items = tuple(newest_first(merged.values())[:PAGE_SIZE])
    return Rows(items, total, more, looks=len(parts), as_of=min(part.as_of for part in parts))


def newest_first(executions: Iterable[Execution]) -> list[Execution]:
    """In descending order of creation, those of which it is not known at the end."""

    def created(execution: Execution) -> datetime:
        return execution.created_at or _OLDEST

    return sorted(executions, key=created, reverse=True)

"""What the console asks the service, and what one answer says that need not be asked for again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import attrs

from omium_async import (
    APITimeoutError,
    AsyncOmium,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionStatus,
    InvalidResponseError,
)

from .memory import remember
from .meter import Meter

__all__ = ["HONOURED", "PAGE_SIZE", "WHOLE", "Questions", "anew_after", "together"]

T = TypeVar("T")

PAGE_SIZE: Final = 50
WHOLE: Final = 1000  # no more executions than these are read all at once: cheaper than to count them
_LARGEST: Final = 1000  # rows that one answer of the service may hold
HONOURED: Final = 20  # rows of a page that every service gives if it has them
_FRESH: Final = 15.0  # seconds for which what one question found answers another
_SMALLER_FOR: Final = 600.0  # seconds for which pages stay smaller after one was too large, or held fewer rows
_LOOK_TIMEOUT: Final = 7.0  # with the longest pause between looks still an outage that shows within 20 seconds
_REMEMBERED: Final = 256
_SPACED: Final = 4.0  # seconds between two readings of much for each request of one, while something moves
# Likewise while nothing does, and at least so many: time alone moves rows past `since` and `before`, and what shows
# that something moves does not show all.
_AT_REST: Final = 120.0
_ANEW: Final = 300.0


@attrs.frozen
class _Heard:
    """A first page.

    :ivar size: how many rows it could have held. :ivar when: by the monotonic clock.
    """

    items: tuple[Execution, ...]
    total: int | None
    size: int
    when: float

    @property
    def whole(self) -> bool:
        """Whether these are all that there are; where no total says so, a page may hold fewer than were asked for."""
        if self.total is None:
            return len(self.items) < min(self.size, HONOURED)
        return len(self.items) == self.total


class Questions:
    """Asks through copies of the user's client: looks that fail soon, and writes with the user's own patience."""

    def __init__(self, omium: AsyncOmium, meter: Meter) -> None:
        self.meter = meter
        self.acting = omium.with_options(on_attempt=meter.saw)
        self._looking = omium.with_options(
            timeout=_LOOK_TIMEOUT, attempt_timeout=_LOOK_TIMEOUT, max_retries=1, patience=0, on_attempt=meter.saw
        )  # one retry: a connection that the service had closed meanwhile is no outage
        self._heard: dict[tuple[str, str | None], _Heard] = {}  # by workflow and status, the latest last
        self._totals: dict[str, int | None] = {}  # by workflow, of any age
        self._smaller: tuple[int, float] = (_LARGEST, 0.0)
        self._given: tuple[int, float] = (_LARGEST, 0.0)

    @property
    def largest(self) -> int:
        """The largest page to ask for: less for a while after one was too large, or too slow, to be read."""
        size, until = self._smaller
        return size if time.monotonic() < until else _LARGEST

    @property
    def given(self) -> int:
        """The rows that a page of this service holds at most, whatever is asked for, as far as was seen."""
        rows, until = self._given
        return rows if time.monotonic() < until else _LARGEST

    async def execution(self, execution_id: str) -> ExecutionDetail:
        """One execution with its checkpoints."""
        return await self._looking.executions.get(execution_id)

    async def page(self, workflow_id: str, status: str | None, number: int = 1, size: int = PAGE_SIZE) -> ExecutionPage:
        """One page of what the service itself filters."""
        wanted = None if status is None else ExecutionStatus(status)

        async def read(size: int) -> tuple[ExecutionPage, int]:
            found = await self._looking.executions.page(number, size, workflow_id=workflow_id or None, status=wanted)
            return found, size

        page, size = await self._in_pages_of(size, read)
        if 0 < len(page.items) < size and (number - 1) * size + len(page.items) < (page.total or 0):
            self.gives(len(page.items))
        if number == 1:
            self._hear(workflow_id, status, _Heard(page.items, page.total, size, time.monotonic()))
        return page

    def size_of(self, page: ExecutionPage) -> int:
        """How many rows the pages hold of which this is one, of those that are asked for with `PAGE_SIZE`."""
        size = self.given if page.page_size is None else max(page.page_size, len(page.items))
        return min(size, PAGE_SIZE)

    def gives(self, rows: int) -> None:
        """A page held so many rows, and there were more."""
        self._given = (rows, time.monotonic() + _SMALLER_FOR)

    async def count(self, workflow_id: str, status: str | None) -> int | None:
        """How many there are, by what was heard a moment ago or by asking; ``None``: the service does not say."""
        heard = self._lately(workflow_id, status)
        if heard is not None:
            return heard.total
        return (await self.page(workflow_id, status, size=1)).total

    def newest(self, workflow_id: str) -> tuple[Execution, ...]:
        """The newest executions, as somebody heard a moment ago; none if nobody did."""
        heard = self._lately(workflow_id, None)
        return () if heard is None else heard.items

    async def whole(self, workflow_id: str, *, lately: bool) -> tuple[Execution, ...] | None:
        """All executions, where they are few enough to be read at once; ``None``: they are not.

        :param lately: what was heard a moment ago is good enough.
        """
        heard = self._lately(workflow_id, None) if lately else None
        if heard is not None and heard.whole:
            return heard.items
        if workflow_id not in self._totals:
            await self.count(workflow_id, None)
        total = self._totals[workflow_id]
        if total is None or total > min(WHOLE, self.largest, self.given):
            return None
        await self.page(workflow_id, None, size=WHOLE)
        heard = self._heard[workflow_id, None]
        return heard.items if heard.whole else None

    async def listed(self, size: int, read: Callable[[AsyncGenerator[Execution]], Awaitable[T]], **filters: Any) -> T:
        """What is made of the rows of a list, asked for so many at once, none of them ahead."""

        async def in_pages(size: int) -> T:
            rows = self._looking.executions.list(**filters, page_size=size, prefetch=0)
            async with contextlib.aclosing(rows):
                return await read(rows)

        return await self._in_pages_of(size, in_pages)

    async def _in_pages_of(self, size: int, read: Callable[[int], Awaitable[T]]) -> T:
        """What is read in pages of that size, or of smaller ones where these cannot be read."""
        while True:
            size = min(size, self.largest)
            try:
                return await read(size)
            except (InvalidResponseError, APITimeoutError) as error:
                if size <= PAGE_SIZE:
                    raise
                self._smaller = (max(PAGE_SIZE, size // 2), time.monotonic() + _SMALLER_FOR)
                if isinstance(error, APITimeoutError):
                    raise  # it has taken long enough

    def _hear(self, workflow_id: str, status: str | None, heard: _Heard) -> None:
        self._heard = {key: each for key, each in self._heard.items() if heard.when - each.when < _FRESH}
        self._heard[workflow_id, status] = heard
        if status is None:
            remember(self._totals, workflow_id, heard.total, _REMEMBERED)

    def _lately(self, workflow_id: str, status: str | None) -> _Heard | None:
        heard = self._heard.get((workflow_id, status))
        return heard if heard is not None and time.monotonic() - heard.when < _FRESH else None


def anew_after(requests: int, *, moved: bool) -> float:
    """Seconds after which something is read anew that takes so many requests.

    :param moved: whether something has shown that it may not be the same.
    """
    return _SPACED * requests if moved else max(_ANEW, _AT_REST * requests)


async def together(*asked: Coroutine[Any, Any, T]) -> list[T]:
    """What each of these finds, asked for at once; the first that fails ends the others."""
    tasks = [asyncio.create_task(each) for each in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

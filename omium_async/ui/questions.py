"""What the console asks the service: the rows of a list, an overview of all, one execution."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from omium_async import AsyncOmium, Execution, ExecutionDetail, ExecutionPage, ExecutionStatus

from .meter import Meter
from .view import STATUSES, View

__all__ = ["PAGE_SIZE", "Failures", "Overview", "Questions", "Rows"]

PAGE_SIZE: Final = 50
GROUPED: Final = 500  # failures that are looked at for what they have in common
_SEARCH: Final = 20  # requests after which a search by the client stops, to go on when it is told to
_FRESH: Final = 15.0  # seconds for which what one question found answers another
_ALL_ANEW: Final = 300.0
_LOOK_TIMEOUT: Final = 7.0  # with the longest pause between looks still an outage that shows within 20 seconds

#: Statuses in which work is or waits to be mended. An execution that changes leaves or enters one of them, or is new:
#: as long as these and the total stay, the others do too.
_WATCHED: Final = ("failed", "paused", "running", "pending")
_FAILURES: Final = ("failed", "error")

_OLDEST = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class Rows:
    """One page of a list.

    :ivar total: as the service says, ``None`` where it does not or the client filters.
    :ivar more: whether there are older ones.
    :ivar cut: requests after which the search stopped before it had found the page; 0: it did not.
    """

    items: tuple[Execution, ...]
    total: int | None = None
    more: bool = False
    cut: int = 0


@attrs.frozen
class Failures:
    """Failed executions with the same error.

    :ivar error: what they say.
    :ivar count: how many there are.
    :ivar newest: the newest of them.
    :ivar workflows: theirs, the most frequent first.
    """

    error: str
    count: int
    newest: Execution
    workflows: tuple[str, ...]


@attrs.frozen
class Overview:
    """How many executions there are of each status, and what the newest failures say.

    :ivar counts: by status.
    :ivar total: of all.
    :ivar groups: failures by what they say, the largest group first.
    :ivar grouped: how many failures were looked at.
    """

    counts: Mapping[str, int]
    total: int
    groups: tuple[Failures, ...]
    grouped: int

    @property
    def other(self) -> int:
        """How many have a status that is none of `STATUSES`."""
        return max(0, self.total - sum(self.counts.get(status, 0) for status in STATUSES))


class Questions:
    """Asks through copies of the user's client: looks that fail soon, and writes with the user's own patience."""

    def __init__(self, omium: AsyncOmium, meter: Meter) -> None:
        self.acting = omium.with_options(on_attempt=meter.saw)
        self._looking = omium.with_options(
            timeout=_LOOK_TIMEOUT, attempt_timeout=_LOOK_TIMEOUT, max_retries=1, patience=0, on_attempt=meter.saw
        )  # one retry: a connection that the service had closed meanwhile is no outage
        self._meter = meter
        self._totals: dict[tuple[str, str | None], tuple[int, float]] = {}
        self._whole: dict[str, tuple[tuple[Execution, ...], float]] = {}
        self._overviews: dict[str, _Known] = {}

    async def execution(self, execution_id: str) -> ExecutionDetail:
        """One execution with its checkpoints."""
        return await self._looking.executions.get(execution_id)

    async def rows(self, view: View) -> Rows:
        """One page of a list."""
        if view.by_client or (len(view.statuses) > 1 and view.page > 1):
            return await self._search(view)
        if len(view.statuses) > 1:
            return await self._of_several(view)
        status = ExecutionStatus(view.statuses[0]) if view.statuses else None
        page = await self._page(view, view.page, status)
        shown = (view.page - 1) * PAGE_SIZE + len(page.items)
        more = len(page.items) >= PAGE_SIZE if page.total is None else shown < page.total and bool(page.items)
        self._remember(view, status, page.items, page.total)
        return Rows(page.items, page.total, more)

    async def overview(self, workflow_id: str) -> Overview:
        """Counts and failures of all executions, or of one workflow's."""
        whole = self._whole.get(workflow_id)
        if whole is not None and time.monotonic() - whole[1] < _FRESH:
            return _overview_of(whole[0])
        known = self._overviews.setdefault(workflow_id, _Known())
        total = await self._count(workflow_id, None)
        counts = {status: await self._count(workflow_id, status) for status in _WATCHED}
        if known.moved(total, counts):
            for status in STATUSES:
                if status not in counts:
                    counts[status] = await self._count(workflow_id, status)
            failures = await self._failures(workflow_id, counts)
            known.took(total, counts, failures)
        return Overview(known.counts, total, grouped(known.failures), len(known.failures))

    async def _page(self, view: View, number: int, status: ExecutionStatus | None) -> ExecutionPage:
        return await self._looking.executions.page(
            number, PAGE_SIZE, workflow_id=view.workflow_id or None, status=status
        )

    async def _count(self, workflow_id: str, status: str | None) -> int:
        found = self._totals.get((workflow_id, status))
        if found is not None and time.monotonic() - found[1] < _FRESH:
            return found[0]
        wanted = None if status is None else ExecutionStatus(status)
        return await self._looking.executions.count(workflow_id=workflow_id or None, status=wanted)

    async def _failures(self, workflow_id: str, counts: Mapping[str, int]) -> list[Execution]:
        found: list[Execution] = []
        for status in _FAILURES:
            if counts.get(status):
                found += [
                    execution
                    async for execution in self._looking.executions.list(
                        workflow_id=workflow_id or None, status=status, limit=GROUPED, page_size=GROUPED, prefetch=0
                    )
                ]
        return _newest_first(found)[:GROUPED]

    def _remember(self, view: View, status: str | None, items: tuple[Execution, ...], total: int | None) -> None:
        """What one page says of all, so that it need not be asked for again."""
        now = time.monotonic()
        if total is not None:
            self._totals[view.workflow_id, status] = (total, now)
        if status is None and view.page == 1:
            if total is not None and len(items) == total:
                self._whole[view.workflow_id] = (items, now)
            else:
                self._whole.pop(view.workflow_id, None)
        for known in (self._totals, self._whole, self._overviews):
            while len(known) > 256:
                del known[next(iter(known))]  # type: ignore[arg-type]  # the oldest, of whichever it is

    async def _of_several(self, view: View) -> Rows:
        """The first page of several statuses: the service filters one, so each is asked for."""
        pages = [await self._page(view, 1, ExecutionStatus(status)) for status in view.statuses]
        merged = {execution.id: execution for page in pages for execution in page.items}
        totals = [page.total for page in pages if page.total is not None]
        total = sum(totals) if len(totals) == len(pages) else None
        full = any(len(page.items) >= PAGE_SIZE for page in pages)
        return Rows(tuple(_newest_first(merged.values())[:PAGE_SIZE]), total, len(merged) > PAGE_SIZE or full)

    async def _search(self, view: View) -> Rows:
        """A page of a list that the client filters: read until it is found, or until so many requests were spent."""
        skipped = (view.page - 1) * PAGE_SIZE
        wanted = skipped + PAGE_SIZE + 1
        rows = self._looking.executions.list(**view.arguments(), limit=wanted, prefetch=0)
        with self._meter.counting() as cost:
            found, ended = await _until(rows, cost.spent_after(_SEARCH * view.reach))
        items = tuple(found[skipped : skipped + PAGE_SIZE])
        return Rows(items, None, len(found) >= wanted, 0 if ended else cost.requests)


async def _until(rows: AsyncGenerator[Execution], stop: asyncio.Future[None]) -> tuple[list[Execution], bool]:
    """The rows found before ``stop``, and whether they are all."""
    found: list[Execution] = []
    async with contextlib.aclosing(rows):
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


class _Known:
    """What was found when an overview was last read in full."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.failures: list[Execution] = []
        self._total = -1
        self._when = 0.0

    def moved(self, total: int, watched: Mapping[str, int]) -> bool:
        """Whether anything may have changed since."""
        same = total == self._total and all(self.counts.get(status) == count for status, count in watched.items())
        return not same or time.monotonic() - self._when > _ALL_ANEW

    def took(self, total: int, counts: dict[str, int], failures: list[Execution]) -> None:
        """All was read anew."""
        self.counts, self.failures, self._total, self._when = counts, failures, total, time.monotonic()


def _overview_of(items: tuple[Execution, ...]) -> Overview:
    counts = Counter(str(execution.status) for execution in items)
    failures = [execution for execution in items if execution.status in _FAILURES]
    return Overview(dict(counts), len(items), grouped(failures), len(failures))


def grouped(failures: Iterable[Execution]) -> tuple[Failures, ...]:
    """Failures by what they say, the largest group first; of each, the first is the newest."""
    groups: dict[str, list[Execution]] = {}
    for execution in failures:
        groups.setdefault(execution.error or "no error was given", []).append(execution)
    found = [
        Failures(error, len(group), group[0], tuple(_by_frequency(member.workflow_id for member in group)))
        for error, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.count))


def _by_frequency(names: Iterable[str | None]) -> list[str]:
    return [name for name, _ in Counter(name for name in names if name).most_common()]


def _newest_first(executions: Iterable[Execution]) -> list[Execution]:
    def created(execution: Execution) -> datetime:
        return execution.created_at or _OLDEST

    return sorted(executions, key=created, reverse=True)


def related(execution: ExecutionDetail) -> dict[str, str]:
    """Other executions that it names as its origin or its replay: id by what it is called."""
    found: dict[str, str] = {}
    for place in (execution.extra, execution.metadata or {}):
        for name, words in _RELATIONS.items():
            value: Any = place.get(name)
            if isinstance(value, str) and value and value != execution.id:
                found.setdefault(words, value)
    return found


_RELATIONS: Final = {
    "replay_execution_id": "replayed as",
    "replayed_from": "replay of",
    "replay_of": "replay of",
    "original_execution_id": "replay of",
    "source_execution_id": "replay of",
    "parent_execution_id": "started by",
}

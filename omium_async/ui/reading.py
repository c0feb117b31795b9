"""Reads what the pages show: rows of a view, counts by status, and failures by error. Nothing is kept between reads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from omium_async import (
    AsyncOmium,
    CheckpointDetail,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionStatus,
    InvalidResponseError,
)

from .._lists.client_filter import ClientFilter
from .._statuses import FAILED
from .view import STATUSES, View, error_key

PAGE_SIZE: Final = 50
GROUPED: Final = 500  # the newest failures, which are grouped by error
REQUESTS: Final = 12  # of one search; a page repeats it every 10 seconds
_SEARCHED: Final = 500  # rows a request
_GROUPED_AT_ONCE: Final = 250  # rows a request
_HONOURED: Final = 20  # page sizes from this one up are honoured by services (contract of lists)
_TIMEOUT: Final = 7.0  # seconds for one look: an outage shows within 20 seconds
_OLDEST: Final = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class SearchProgress:
    """How far a search through the list went.

    :ivar requests: how many it took. :ivar rows: how many rows it read. :ivar oldest: when the oldest was created.
    :ivar following: the page of the service's list at which it can go on.
    :ivar is_complete: whether it found the page or reached the end of the list.
    :ivar has_metadata: whether any row showed metadata.
    """

    requests: int = 0
    rows: int = 0
    oldest: datetime | None = None
    following: int = 1
    is_complete: bool = False
    has_metadata: bool = False


@attrs.frozen
class Rows:
    """One page of the list.

    :ivar first: the number of its first row in the list, from 1; ``None`` if the service does not say its page size.
    :ivar has_more: whether there are older rows. :ivar total: the service's total; ``None`` if unknown.
    :ivar search: how far the search went; ``None`` if the service filters.
    """

    items: tuple[Execution, ...]
    first: int | None
    has_more: bool
    total: int | None = None
    search: SearchProgress | None = None


@attrs.frozen
class Failures:
    """Failed executions whose errors differ in ids and numbers only.

    :ivar key: see `error_key`. :ivar error: of the newest. :ivar are_equal: whether all errors are equal.
    :ivar workflows: the most frequent first.
    """

    key: str
    error: str
    are_equal: bool
    count: int
    newest: Execution
    workflows: tuple[str, ...]


@attrs.frozen
class Overview:
    """How many executions have each status, and the newest failures by error.

    :ivar counts: by status; empty if the service does not count. :ivar total: of all; ``None`` if it does not count.
    :ivar groups: the largest first. :ivar grouped: how many failures are in the groups.
    """

    counts: Mapping[str, int]
    total: int | None
    groups: tuple[Failures, ...]
    grouped: int

    @property
    def other(self) -> int:
        """How many executions have a status that is not in `STATUSES`."""
        return max(0, (self.total or 0) - sum(self.counts.values()))


class Reader:
    """Reads with a copy of the user's client that gives up soon: the page will look again.

    :param omium: the user's client.
    """

    def __init__(self, omium: AsyncOmium) -> None:
        # One retry, because the service may just have closed an idle connection.
        self._omium = omium.with_options(timeout=_TIMEOUT, attempt_timeout=_TIMEOUT, max_retries=1, patience=0)

    async def execution(self, execution_id: str) -> ExecutionDetail:
        """Read one execution with its checkpoints."""
        return await self._omium.executions.get(execution_id)

    async def checkpoint(self, checkpoint_id: str) -> CheckpointDetail:
        """Read one checkpoint with its state."""
        return await self._omium.checkpoints.get(checkpoint_id)

    async def rows(self, view: View) -> Rows:
        """Read the page of a view."""
        if view.error:
            return _slice(await self.group(view), view.page, SearchProgress(is_complete=True, has_metadata=True))
        if view.needs_search:
            return await self._search(view)
        page = await self._page(view.workflow_id, view.status, view.page, PAGE_SIZE)
        first = None if page.page_size is None else (view.page - 1) * page.page_size + 1
        return Rows(page.items, first, _has_more(page, view.page), page.total)

    async def overview(self, workflow_id: str) -> Overview:
        """Count the executions of a workflow, or of all, and group the newest failures."""
        found: list[Any] = await _together(self._counts(workflow_id), self.failures(workflow_id))
        (counts, total), failures = found
        return Overview(counts, total, _grouped(failures), len(failures))

    async def failures(self, workflow_id: str, statuses: Sequence[str] = ()) -> list[Execution]:
        """Read the newest failures of a workflow, or of all."""
        wanted = [status for status in FAILED if not statuses or status in statuses]
        found = await _together(*(self._newest(workflow_id, status) for status in wanted))
        return _newest_first([row for rows in found for row in rows])[:GROUPED]

    async def group(self, view: View) -> list[Execution]:
        """Read the executions of the group of failures that a view names."""
        filters = view.filters()
        failures = await self.failures(view.workflow_id, view.statuses)
        return [row for row in failures if filters.passes(row) and error_key(row.error) == view.error]

    async def _counts(self, workflow_id: str) -> tuple[Mapping[str, int], int | None]:
        async def count(status: str | None) -> int:
            wanted = None if status is None else ExecutionStatus(status)
            return await self._omium.executions.count(workflow_id=workflow_id or None, status=wanted)

        try:
            total, *counts = await _together(*map(count, (None, *STATUSES)))
        except InvalidResponseError:  # without a total
            return {}, None
        return dict(zip(STATUSES, counts, strict=True)), total

    async def _newest(self, workflow_id: str, status: str) -> list[Execution]:
        found: list[Execution] = []
        async for rows, *_ in self._windows(workflow_id, status, _GROUPED_AT_ONCE):
            found += rows
            if len(found) >= GROUPED:
                break
        return found

    async def _search(self, view: View) -> Rows:
        """Read through the list until the page is full; stop after `REQUESTS`, or when the time is over."""
        client_filter = ClientFilter(view.filters(), view.page * PAGE_SIZE + 1)
        found: list[Execution] = []
        search = SearchProgress()
        windows = self._windows(view.workflow_id, view.status, _SEARCHED, view.window)
        try:
            async with asyncio.timeout(_TIMEOUT):
                async for rows, is_last, following in windows:
                    found += client_filter.apply(rows)
                    search = SearchProgress(
                        search.requests + 1,
                        search.rows + len(rows),
                        next((row.created_at for row in reversed(rows) if row.created_at), search.oldest),
                        following,
                        is_last or client_filter.ended,
                        client_filter.shows_metadata,
                    )
                    if search.is_complete or search.requests >= REQUESTS:
                        break
        except TimeoutError:
            if not search.requests:
                raise
        finally:
            await windows.aclose()
        return _slice(found, view.page, search)

    async def _windows(
        self, workflow_id: str, status: str | None, size: int, number: int = 1
    ) -> AsyncGenerator[tuple[list[Execution], bool, int]]:
        """Yield the list by pages, from one on, without rows yielded before.

        Each comes with whether it is the last, and the number of the one after it. Where many rows are more than the
        client reads, each page of ``size`` is read in smaller ones.
        """
        seen: set[str] = set()
        parts, part = 1, 0
        while True:
            try:
                page = await self._page(workflow_id, status, (number - 1) * parts + part + 1, size // parts)
            except InvalidResponseError:  # also a response that is larger than the client reads
                if parts > 1:
                    raise
                parts = size // PAGE_SIZE
                continue
            rows = [row for row in page.items if row.id not in seen]
            seen.update(row.id for row in rows)
            is_last = not rows or not _has_more(page, (number - 1) * parts + part + 1)
            part += 1
            if part == parts:
                number, part = number + 1, 0
            yield rows, is_last, number
            if is_last:
                return

    async def _page(self, workflow_id: str, status: str | None, number: int, size: int) -> ExecutionPage:
        wanted = None if status is None else ExecutionStatus(status)
        return await self._omium.executions.page(number, size, workflow_id=workflow_id or None, status=wanted)


def _has_more(page: ExecutionPage, number: int) -> bool:
    if page.total is None or page.page_size is None:
        return len(page.items) >= _HONOURED
    return bool(page.items) and number * page.page_size < page.total


def _slice(found: list[Execution], page: int, search: SearchProgress) -> Rows:
    skipped = (page - 1) * PAGE_SIZE
    items = tuple(found[skipped : skipped + PAGE_SIZE])
    return Rows(items, skipped + 1, len(found) > skipped + PAGE_SIZE, search=search)


def _newest_first(executions: list[Execution]) -> list[Execution]:
    return sorted(executions, key=lambda execution: execution.created_at or _OLDEST, reverse=True)


def _grouped(failures: Sequence[Execution]) -> tuple[Failures, ...]:
    groups: dict[str, list[Execution]] = {}
    for execution in failures:
        groups.setdefault(error_key(execution.error), []).append(execution)
    found = (_group(key, members) for key, members in groups.items())
    return tuple(sorted(found, key=lambda group: -group.count))


def _group(key: str, members: list[Execution]) -> Failures:
    are_equal = len({member.error for member in members}) == 1
    workflows = Counter(member.workflow_id for member in members if member.workflow_id)
    names = tuple(name for name, _ in workflows.most_common())
    return Failures(key, members[0].error or "no error was given", are_equal, len(members), members[0], names)


async def _together(*asked: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await several coroutines at once; the first error cancels the others."""
    tasks = [asyncio.create_task(each) for each in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Lists as generators: row by row, by pages, or in batches as answers bring them.

`exact` holds the rule that misses no row, with its proof, and does no input or output. `windows`, `search` and `seen`
serve it; `plain` replaces it on servers outside its terms. `prefetch` requests windows ahead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, NamedTuple

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._filters import Filters
from .._models.types import Execution, ExecutionPage
from .._patience import Patience
from .client_filter import ClientFilter
from .exact import Reading
from .prefetch import Fetch, Prefetch, default_bound
from .windows import Window

Page = Callable[[Caller, int, int, Filters], Awaitable[ExecutionPage]]


_MOST_JOINED = 8


class Batch(NamedTuple):
    """Rows that can be yielded now, in the list's order.

    :ivar total: the total of the latest response; ``None`` if the client filters.
    """

    rows: list[Execution]
    total: int | None


def windows(caller: Caller, filters: Filters, patience: Patience | None = None, page: Page | None = None) -> Fetch:
    """Return the function that requests the windows of a list.

    The first request fails as any single call does; during later ones an outage is waited out.

    :param patience: of the work that the list is a part of, which waits it out from the first window on.
    :param page: requests a page in place of the endpoint.
    """
    request = page or endpoints.page

    async def fetch(page: int, page_size: int) -> ExecutionPage:
        nonlocal patience
        if patience is not None:
            return await patience.read(lambda caller: request(caller, page, page_size, filters))
        first = await request(caller, page, page_size, filters)
        patience = Patience(caller, "list of executions", caller.options.patience, caller.options.poll_interval[0])
        return first

    return fetch


async def stream_batches(
    fetch: Fetch,
    *,
    page_size: int = 100,
    prefetch: int | None = None,
    limit: int | None = None,
    filters: Filters | None = None,
    most_joined: int = 1,
) -> AsyncGenerator[Batch, None]:
    """Yield batches of the executions that pass the filters, a batch for each response, none twice and none missed.

    :param page_size: the largest window to request; values below 20 count as 20.
    :param prefetch: at most so many windows are requested ahead; ``None``: `default_bound`; 0: none.
    :param filters: those that the service does not have are applied here; ``total`` is ``None`` then.
    :param most_joined: a batch joins up to so many responses, if they have arrived.
    """
    client_filter = ClientFilter(filters, limit) if filters is not None and filters.need_client else None
    reading = Reading(page_size, limit if client_filter is None or not limit else None)
    bound = default_bound(page_size) if prefetch is None else prefetch
    ahead = Prefetch(fetch, reading, bound)
    rows: list[Execution] = []
    try:
        while not reading.ended:
            try:
                rows += _take(reading, client_filter, *await ahead.next())
            except Exception:
                if rows:
                    yield Batch(rows, None)
                raise
            ahead.held += 1
            if ahead.ready and ahead.held < most_joined and not reading.ended:
                continue
            ahead.held = 0
            if rows:
                ahead.fill()
                yield Batch(rows, reading.total if client_filter is None else None)
            rows = []  # frees them before the next ones are read
        if client_filter is not None:
            client_filter.warn(at_end=True)
    finally:
        await ahead.aclose()


def _take(
    reading: Reading, client_filter: ClientFilter | None, window: Window, answer: ExecutionPage
) -> list[Execution]:
    """Return the rows that a response adds and that pass."""
    rows = reading.take(window, answer)
    if client_filter is not None:
        rows = client_filter.apply(rows)
        client_filter.warn()
        reading.ended = reading.ended or client_filter.ended
    return rows


async def stream_pages(
    fetch: Fetch, *, page_size: int, prefetch: int | None = None, filters: Filters | None = None
) -> AsyncGenerator[ExecutionPage, None]:
    """Yield pages of exactly ``page_size`` executions, counted from 1; the last may be shorter."""
    page = 0
    total: int | None = None
    rows: list[Execution] = []
    async with aclosing(stream_batches(fetch, page_size=page_size, prefetch=prefetch, filters=filters)) as batches:
        async for more, total in batches:
            rows += more
            while len(rows) >= page_size:
                page += 1
                items, rows = tuple(rows[:page_size]), rows[page_size:]
                yield ExecutionPage(items=items, total=total, page=page, page_size=page_size)
    if rows:
        yield ExecutionPage(items=tuple(rows), total=total, page=page + 1, page_size=page_size)


async def stream_rows(
    fetch: Fetch,
    *,
    page_size: int = 100,
    prefetch: int | None = None,
    limit: int | None = None,
    filters: Filters | None = None,
) -> AsyncGenerator[Execution, None]:
    """Yield the executions one by one."""
    batches = stream_batches(fetch, page_size=page_size, prefetch=prefetch, limit=limit, filters=filters)
    async with aclosing(batches):
        async for rows, _ in batches:
            for row in rows:
                yield row
            del rows  # frees them before the next ones are read


async def stream_groups(fetch: Fetch, **options: Any) -> AsyncGenerator[list[Execution], None]:
    """Yield the executions in groups as large as have arrived, for a consumer to which each step is expensive.

    :param options: as in `stream_batches`.
    """
    async with aclosing(stream_batches(fetch, most_joined=_MOST_JOINED, **options)) as batches:
        async for rows, _ in batches:
            yield rows
            del rows


async def named(execution_ids: Iterable[str] | AsyncIterable[str], limit: int | None) -> AsyncGenerator[Execution]:
    """Yield rows of these ids, each once; only the id of each is known."""
    seen: set[str] = set()
    async for execution_id in _each(execution_ids):
        if len(seen) == limit:
            return
        if execution_id not in seen:
            check.execution_segment(execution_id, "execution_ids")
            seen.add(execution_id)
            yield Execution(execution_id)


async def _each(execution_ids: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[str]:
    if isinstance(execution_ids, AsyncIterable):
        async for execution_id in execution_ids:
            yield execution_id
    else:
        for execution_id in execution_ids:
            yield execution_id

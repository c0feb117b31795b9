"""The lists of a client: windows come from the endpoint, outages are sat out, the streaming rule makes them whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable

from . import _arguments as check
from . import _endpoints as endpoints
from ._caller import Caller
from ._models.types import Execution, ExecutionPage
from ._outage import Outage
from ._streaming.filters import Filters
from ._streaming.streams import Batch, Fetch, stream_batches, stream_pages, stream_rows

Page = Callable[[Caller, int, int, Filters], Awaitable[ExecutionPage]]

__all__ = ["batches", "named", "pages", "rows"]


async def named(execution_ids: Iterable[str] | AsyncIterable[str], limit: int | None) -> AsyncGenerator[Execution]:
    """These executions, each once, of which nothing but the id is known yet."""
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


def rows(
    caller: Caller,
    filters: Filters,
    *,
    page_size: int = 100,
    prefetch: int | None = None,
    limit: int | None = None,
    outage: Outage | None = None,
    page: Page | None = None,
) -> AsyncGenerator[Execution]:
    """The executions that pass, one by one, none twice and none left out.

    :param outage: as in `batches`.
    :param page: asks for a page, as the endpoint does.
    """
    fetch = _fetch(caller, filters, outage, page)
    return stream_rows(fetch, page_size=page_size, prefetch=prefetch, limit=limit, filters=filters)


def pages(
    caller: Caller, filters: Filters, *, page_size: int = 100, prefetch: int | None = None
) -> AsyncGenerator[ExecutionPage]:
    """The executions that pass, in pages of exactly ``page_size``, the last perhaps shorter."""
    return stream_pages(_fetch(caller, filters), page_size=page_size, prefetch=prefetch, filters=filters)


def batches(
    caller: Caller,
    filters: Filters,
    *,
    page_size: int = 100,
    prefetch: int | None = None,
    limit: int | None = None,
    held: Callable[[], int] = lambda: 0,
    outage: Outage | None = None,
) -> AsyncGenerator[Batch]:
    """The executions that pass, as many at once as each answer brings.

    :param outage: of the work that the list is a part of, which sits it out from the first window on.
    """
    fetch = _fetch(caller, filters, outage)
    return stream_batches(fetch, page_size=page_size, prefetch=prefetch, limit=limit, held=held, filters=filters)


def _fetch(caller: Caller, filters: Filters, outage: Outage | None = None, ask: Page | None = None) -> Fetch:
    """Asks for windows. The first one fails as any single call does; for those after it an outage is sat out."""

    ask = ask or endpoints.page

    async def fetch(page: int, page_size: int) -> ExecutionPage:
        nonlocal outage
        if outage is not None:
            return await outage.read(caller, lambda caller: ask(caller, page, page_size, filters))
        first = await ask(caller, page, page_size, filters)
        options = caller.options
        outage = Outage("list of executions", options.patience, options.poll_interval[0], telemetry=caller.telemetry)
        return first

    return fetch

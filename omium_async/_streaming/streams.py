"""The generators of a list: its rows in batches, in pages, one by one.

`rule` holds the guarantee and its proof, without any input or output; `windows`, `search`, `seen` and `witness` serve
it; `prefetch` asks ahead; `filters` says what is wanted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple

from .._models.types import Execution, ExecutionPage
from .filters import Filters, Sieve
from .prefetch import Fetch, Prefetch, default_bound
from .rule import Reading

__all__ = ["Batch", "Fetch", "stream_batches", "stream_pages", "stream_rows"]


class Batch(NamedTuple):
    """Rows that can be given now, in the list's order.

    :ivar total: as the latest answer had it. :ivar bound: so many windows may be read ahead of the consumer.
    """

    rows: list[Execution]
    total: int | None
    bound: int


async def stream_batches(
    fetch: Fetch,
    *,
    page_size: int,
    prefetch: int | None,
    limit: int | None = None,
    held: Callable[[], int] = lambda: 0,
    filters: Filters | None = None,
) -> AsyncGenerator[Batch, None]:
    """All rows of a list, each batch as soon as it can be given; none is empty.

    :param page_size: the largest window to ask for, but 20 at least. :param prefetch: at most so many windows are
        asked for ahead, 8 if ``None``, fewer of the large ones; 0 asks for one when it is needed.
    :param limit: at most so many rows.
    :param held: how many batches given before wait for the consumer still; they count as ahead of it.
    :param filters: what the client is to filter, if the service cannot; ``total`` then counts something else.
    """
    sieve = Sieve(filters, limit) if filters is not None and filters.need_client else None
    reading = Reading(page_size, limit if sieve is None or not limit else None)
    bound = default_bound(page_size) if prefetch is None else prefetch
    ahead = Prefetch(fetch, reading, bound, held)
    try:
        while not reading.ended:
            rows = reading.take(*await ahead.next())
            if sieve is not None:
                rows = sieve.sift(rows)
                reading.ended = reading.ended or sieve.ended
            if rows:
                ahead.fill()
                yield Batch(rows, reading.total if sieve is None else None, bound)
            del rows  # not to outlive their turn: the next ones are read now
        if sieve is not None:
            sieve.finish()
    finally:
        await ahead.aclose()


async def stream_pages(
    fetch: Fetch, *, page_size: int, prefetch: int | None, filters: Filters | None = None
) -> AsyncGenerator[ExecutionPage, None]:
    """The same rows in pages of exactly ``page_size``, the last perhaps shorter, counted from 1."""
    page = 0
    total: int | None = None
    rows: list[Execution] = []
    async with aclosing(stream_batches(fetch, page_size=page_size, prefetch=prefetch, filters=filters)) as batches:
        async for more, total, _ in batches:
            rows += more
            while len(rows) >= page_size:
                page += 1
                items, rows = tuple(rows[:page_size]), rows[page_size:]
                yield ExecutionPage(items=items, total=total, page=page, page_size=page_size)
    if rows:
        yield ExecutionPage(items=tuple(rows), total=total, page=page + 1, page_size=page_size)


async def stream_rows(
    fetch: Fetch, *, page_size: int, prefetch: int | None, limit: int | None = None, filters: Filters | None = None
) -> AsyncGenerator[Execution, None]:
    """The same rows one by one."""
    batches = stream_batches(fetch, page_size=page_size, prefetch=prefetch, limit=limit, filters=filters)
    async with aclosing(batches):
        async for rows, _, _ in batches:
            for row in rows:
                yield row
            del rows  # as above

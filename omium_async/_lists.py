"""The lists of a client: windows come from the endpoint, and the streaming rule makes them whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from . import _endpoints as endpoints
from ._caller import Caller
from ._models.types import Execution, ExecutionPage
from ._streaming import Batch, Fetch, stream_batches, stream_pages, stream_rows
from ._streaming.filters import Filters

__all__ = ["batches", "pages", "rows"]


def rows(
    caller: Caller, filters: Filters, *, page_size: int = 100, prefetch: int | None = None, limit: int | None = None
) -> AsyncGenerator[Execution]:
    """The executions that pass, one by one, none twice and none left out."""
    return stream_rows(_fetch(caller, filters), page_size=page_size, prefetch=prefetch, limit=limit)


def pages(
    caller: Caller, filters: Filters, *, page_size: int = 100, prefetch: int | None = None
) -> AsyncGenerator[ExecutionPage]:
    """The executions that pass, in pages of exactly ``page_size``, the last perhaps shorter."""
    return stream_pages(_fetch(caller, filters), page_size=page_size, prefetch=prefetch)


def batches(
    caller: Caller,
    filters: Filters,
    *,
    page_size: int = 100,
    prefetch: int | None = None,
    limit: int | None = None,
    held: Callable[[], int] = lambda: 0,
) -> AsyncGenerator[Batch]:
    """The executions that pass, as many at once as each answer brings."""
    return stream_batches(_fetch(caller, filters), page_size=page_size, prefetch=prefetch, limit=limit, held=held)


def _fetch(caller: Caller, filters: Filters) -> Fetch:
    def fetch(page: int, page_size: int) -> Any:
        return endpoints.page(caller, page, page_size, filters)

    return fetch

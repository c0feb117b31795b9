"""Pages and rows: exact sizes, limits, totals, flat memory, and the guarantee through an event loop."""

from __future__ import annotations

import asyncio
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import Execution, ExecutionPage
from omium_async._lists.streams import stream_batches, stream_pages, stream_rows
from omium_async._lists.windows import Window

from .model import ModelList, ModelServer


def serving(server: ModelServer):
    async def fetch(page: int, page_size: int) -> ExecutionPage:
        await asyncio.sleep(0)
        return server.show(Window(page, page_size))

    return fetch


@pytest.mark.parametrize("prefetch", [0, None])
@pytest.mark.parametrize("page_size", [1, 7, 100, 2500])
async def test_pages_are_of_exactly_the_size(page_size: int, prefetch: int | None) -> None:
    for size in (0, 1, 100, 101, 300):
        server = ModelServer(ModelList.of(size))
        pages = [page async for page in stream_pages(serving(server), page_size=page_size, prefetch=prefetch)]
        assert [row.id for page in pages for row in page.items] == server.list.ids
        assert [page.page for page in pages] == list(range(1, len(pages) + 1))
        assert all(len(page) == page_size for page in pages[:-1])
        assert all(0 < len(page) <= page_size for page in pages[-1:])
        assert {page.page_size for page in pages} <= {page_size}
        assert {page.total for page in pages} <= {size}


async def test_the_total_of_a_page_is_the_latest() -> None:
    server = ModelServer(ModelList.of(1000))
    totals = []
    async for page in stream_pages(serving(server), page_size=100, prefetch=0):
        totals.append(page.total)
        server.list.insert(len(server.list), 1)
    assert totals == sorted(set(totals))
    assert totals[0] == 1000
    assert totals[-1] is not None
    assert totals[-1] > 1000


async def test_pages_have_no_total_if_the_service_gives_none() -> None:
    server = ModelServer(ModelList.of(250), says_total=False)
    pages = [page async for page in stream_pages(serving(server), page_size=100, prefetch=8)]
    assert [(len(page), page.total) for page in pages] == [(100, None), (100, None), (50, None)]


@pytest.mark.parametrize("limit", [0, 1, 100, 250, 301, None])
async def test_a_list_ends_at_its_limit(limit: int | None) -> None:
    server = ModelServer(ModelList.of(300))
    got = [row.id async for row in stream_rows(serving(server), page_size=100, prefetch=None, limit=limit)]
    assert got == server.list.ids[:limit]
    assert server.answered or limit == 0


async def test_no_batch_is_empty() -> None:
    server = ModelServer(ModelList.of(500), hole=range(150, 300))
    async for batch in stream_batches(serving(server), page_size=20, prefetch=8):
        assert batch.rows
        assert batch.total == 500


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(0, 700),
    page_size=st.sampled_from([1, 20, 33, 100]),
    prefetch=st.sampled_from([0, 1, None, 16]),
    slow=st.booleans(),
)
def test_no_row_is_missed_or_yielded_twice_through_an_event_loop(
    seed: int, size: int, page_size: int, prefetch: int | None, slow: bool
) -> None:
    """Requests read and answer in any order while the list changes, for a slow or fast consumer."""
    rnd = random.Random(seed)
    rows = ModelList.of(size)
    server = ModelServer(rows)

    def change() -> None:
        where = rnd.choice([0, rnd.randint(0, len(rows))])
        count = rnd.choice([1, 1, 2, page_size, 3 * page_size])
        rnd.choice([rows.insert, rows.remove])(where, count)

    async def pause() -> None:
        for _ in range(rnd.randint(0, 5)):
            await asyncio.sleep(0)

    async def fetch(page: int, asked: int) -> ExecutionPage:
        await pause()
        if rows.stayed is None:
            rows.begin()
        counted = len(rows)
        await pause()
        answer = server.show(Window(page, asked), counted)
        await pause()
        return answer

    async def writer() -> None:
        for _ in range(150):
            await pause()
            if rnd.random() < 0.3:
                change()

    async def main() -> list[str]:
        writing = asyncio.ensure_future(writer())
        got = []
        async for row in stream_rows(fetch, page_size=page_size, prefetch=prefetch):
            got.append(row.id)
            if slow:
                await pause()
        await writing
        return got

    got = asyncio.run(main())
    assert len(got) == len(set(got))
    assert (rows.stayed or set()) <= set(got)


@pytest.mark.slow
async def test_memory_is_flat() -> None:
    """About ten bytes a row, and the windows in flight."""
    size = 100_000

    async def fetch(page: int, page_size: int) -> ExecutionPage:
        start = (page - 1) * page_size
        numbers = range(start, min(start + page_size, size))
        items = tuple([Execution(id=f"execution-{number:030}") for number in numbers])
        return ExecutionPage(items=items, total=size, page=page, page_size=page_size)

    tracemalloc.start()
    try:
        rows = given_at = 0
        async for batch in stream_batches(fetch, page_size=200, prefetch=None):
            rows += len(batch.rows)
            if given_at == 0 and rows >= 10_000:
                given_at, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == size
    assert peak - given_at < 16 * size

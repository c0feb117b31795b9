"""The guarantee of lists over real connections, while the list changes and requests fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from omium_async import AsyncOmium
from omium_async.local import Fault, LocalOmium, WorkflowRun


@pytest.fixture
async def local() -> AsyncIterator[LocalOmium]:
    async with LocalOmium() as running:
        yield running


@pytest.fixture
async def omium(local: LocalOmium) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(local.api_key, base_url=local.url, backoff=(0, 0)) as client:
        yield client


async def create(omium: AsyncOmium, count: int, workflow: str = "unknown") -> set[str]:
    return {made.id for made in await asyncio.gather(*[omium.executions.create(workflow) for _ in range(count)])}


@pytest.mark.parametrize("prefetch", [0, None])
async def test_a_list_that_grows_is_read_whole(omium: AsyncOmium, prefetch: int | None) -> None:
    there = await create(omium, 160)
    got: list[str] = []
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            await create(omium, 3)

    writing = asyncio.ensure_future(write())
    async for row in omium.executions.list(page_size=20, prefetch=prefetch):
        got.append(row.id)
        if len(got) % 50 == 0:
            await create(omium, 30)  # more than a window at once
    done.set()
    await writing
    assert len(got) == len(set(got))
    assert there <= set(got)


async def test_a_filtered_list_that_shrinks_is_read_whole(local: LocalOmium, omium: AsyncOmium) -> None:
    """Runs end under ``status=running``: each one moves all behind it."""
    ends: dict[str, asyncio.Event] = {}
    all_run = asyncio.Event()

    @local.workflow("waits")
    async def waits(run: WorkflowRun) -> None:
        end = ends[run.execution_id] = asyncio.Event()
        if len(ends) == 80:
            all_run.set()
        await end.wait()

    ids = sorted(await create(omium, 80, "waits"))
    async with asyncio.timeout(30):
        await all_run.wait()
    got: list[str] = []
    ended: set[str] = set()
    async for row in omium.executions.list(status="running", page_size=20):
        got.append(row.id)
        if len(got) % 5 == 0:
            first = got[len(ended)]
            ended.add(first)
            ends[first].set()
            await omium.executions.wait(first, timeout=30)
    for event in ends.values():
        event.set()
    assert len(got) == len(set(got))
    assert set(ids) - ended <= set(got)


@pytest.mark.parametrize("action", ["drop", "status", "truncate", "garbage"])
async def test_failed_requests_are_retried(local: LocalOmium, omium: AsyncOmium, action: str) -> None:
    there = await create(omium, 120)
    got: list[str] = []
    async for row in omium.executions.list(page_size=20):
        if len(got) % 60 == 0:
            local.inject(Fault(method="GET", path="/executions", when="after", action=action, times=1))
        got.append(row.id)
    assert len(got) == len(set(got))
    assert set(got) == there


async def test_pages_have_their_exact_size(omium: AsyncOmium) -> None:
    there = await create(omium, 45)
    pages = [page async for page in omium.executions.pages(page_size=10)]
    assert [len(page) for page in pages] == [10, 10, 10, 10, 5]
    assert {row.id for page in pages for row in page} == there
    assert {page.total for page in pages} == {45}


async def test_an_early_break_leaves_the_client_usable(omium: AsyncOmium) -> None:
    await create(omium, 50)
    async for _ in omium.executions.list(page_size=20):
        break
    assert await omium.executions.count() == 50

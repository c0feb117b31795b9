"""Requests ahead of the consumer: when they are sent, and that all are cancelled when it leaves."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from contextlib import aclosing

import pytest

from omium_async import ExecutionPage
from omium_async._lists.streams import stream_batches, stream_groups, stream_pages, stream_rows
from omium_async._lists.windows import Window

from ..development import complaints
from .model import ModelList, ModelServer


class Desk:
    """A `Fetch` whose requests wait until they are answered by hand, in any order."""

    def __init__(self, size: int = 10_000, **server: object) -> None:
        self.server = ModelServer(ModelList.of(size), **server)
        self.asked: list[Window] = []
        self.open: dict[int, asyncio.Future[ExecutionPage]] = {}
        self.cancelled: list[int] = []
        self.ended = 0
        self.most = 0
        self.answers_in_spite = self.fails_in_spite = False
        self.stubborn = 0  # rounds of the loop that a cancelled request takes to end

    async def __call__(self, page: int, page_size: int) -> ExecutionPage:
        number = len(self.asked)
        self.asked.append(Window(page, page_size))
        self.open[number] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.open))
        try:
            return await self.open[number]
        except asyncio.CancelledError:
            for _ in range(self.stubborn):
                await asyncio.sleep(0)
            self.cancelled.append(number)
            if self.fails_in_spite:
                raise ConnectionError("torn down") from None
            if self.answers_in_spite:
                return self.server.show(self.asked[number])
            raise
        finally:
            del self.open[number]
            self.ended += 1

    def answer(self, number: int) -> None:
        self.open[number].set_result(self.server.show(self.asked[number]))

    def fail(self, number: int, error: BaseException) -> None:
        self.open[number].set_exception(error)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def take(stream, desk: Desk):
    """The next item, with the oldest open request answered whenever the stream waits."""
    task = asyncio.ensure_future(anext(stream))
    while not task.done():
        await settle()
        if desk.open and not task.done():
            desk.answer(min(desk.open))
    return task.result()


def other_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_prefetch_starts_slowly_and_doubles_while_the_consumer_waits() -> None:
    desk = Desk()
    ahead = []
    async with aclosing(stream_batches(desk, page_size=100, prefetch=None)) as batches:
        for _ in range(7):
            await take(batches, desk)
            await settle()
            ahead.append(len(desk.open))
    assert ahead == [1, 2, 4, 8, 8, 8, 8]
    assert desk.most == 8


async def test_one_request_ahead_is_enough_for_a_slow_consumer() -> None:
    desk = Desk()
    async with aclosing(stream_batches(desk, page_size=100, prefetch=8)) as batches:
        await take(batches, desk)
        for _ in range(10):
            await settle()
            for number in list(desk.open):
                desk.answer(number)
            await settle()
            await take(batches, desk)
    assert desk.most == 1


@pytest.mark.parametrize("bound", [1, 20])
async def test_prefetch_limits_the_requests_ahead(bound: int) -> None:
    desk = Desk()
    async with aclosing(stream_batches(desk, page_size=100, prefetch=bound)) as batches:
        for _ in range(12):
            await take(batches, desk)
    assert desk.most == bound


async def test_prefetch_0_requests_nothing_ahead() -> None:
    desk = Desk()
    async with aclosing(stream_batches(desk, page_size=100, prefetch=0)) as batches:
        for number in range(1, 6):
            await take(batches, desk)
            await settle()
            assert not desk.open
            assert len(desk.asked) == number


async def test_nothing_is_requested_ahead_without_a_total() -> None:
    desk = Desk(500, says_total=False)
    rows = stream_rows(desk, page_size=100, prefetch=8)
    assert [(await take(rows, desk)).id for _ in range(500)] == desk.server.list.ids
    assert desk.most == 1
    await rows.aclose()


async def test_prefetch_stays_within_the_known_end() -> None:
    desk = Desk(1000)
    batches = stream_batches(desk, page_size=100, prefetch=8)
    got = []
    while True:
        try:
            got += [row.id for row in (await take(batches, desk)).rows]
        except StopAsyncIteration:
            break
    assert got == desk.server.list.ids
    assert not desk.cancelled
    assert max(window.start for window in desk.asked) < 1000


@pytest.mark.parametrize("limit", [1, 250, 640])
async def test_prefetch_stays_within_the_limit(limit: int) -> None:
    desk = Desk()
    rows = stream_rows(desk, page_size=100, prefetch=8, limit=limit)
    for _ in range(limit):
        await take(rows, desk)
    with pytest.raises(StopAsyncIteration):
        await take(rows, desk)
    assert not desk.cancelled
    assert sum(window.size for window in desk.asked) <= 1.3 * limit + 20


async def test_an_early_break_cancels_one_request() -> None:
    desk = Desk()
    rows = stream_rows(desk, page_size=100, prefetch=8)
    await take(rows, desk)
    await settle()
    await rows.aclose()
    assert len(desk.asked) == 2
    assert desk.cancelled == [1]


async def test_nothing_is_requested_before_the_first_iteration() -> None:
    desk = Desk()
    for stream in (
        stream_batches(desk, page_size=100, prefetch=8),
        stream_pages(desk, page_size=100, prefetch=8),
        stream_rows(desk, page_size=100, prefetch=8),
    ):
        await settle()
        await stream.aclose()
    assert not desk.asked


async def test_answers_may_come_out_of_order() -> None:
    desk = Desk(2000)
    got: list[str] = []

    async def consume() -> None:
        got.extend([row.id async for row in stream_rows(desk, page_size=100, prefetch=8)])

    task = asyncio.ensure_future(consume())
    while not task.done():
        await settle()
        if desk.open:
            desk.answer(max(desk.open))
    assert got == desk.server.list.ids


async def four_ahead(desk: Desk):
    batches = stream_batches(desk, page_size=100, prefetch=4)
    for _ in range(4):
        await take(batches, desk)
    await settle()
    assert len(desk.open) == 4
    return batches


async def test_a_failed_request_ahead_raises_when_its_window_is_needed() -> None:
    desk = Desk()
    batches = await four_ahead(desk)
    first, second, *_ = sorted(desk.open)
    desk.fail(second, ConnectionError("gone"))
    await settle()
    desk.answer(first)
    assert len((await anext(batches)).rows) > 80
    with pytest.raises(ConnectionError, match="gone"):
        await anext(batches)
    assert not desk.open
    assert not other_tasks()
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_a_failed_request_behind_the_end_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The list ends before the windows asked for: their results do not matter."""
    desk = Desk(3000)
    batches = await four_ahead(desk)
    first, second, *_ = sorted(desk.open)
    desk.fail(second, ConnectionError("gone"))
    await settle()
    desk.server.list.remove(desk.asked[first].start + 5, 10_000)
    desk.answer(first)
    assert (await anext(batches)).rows
    with pytest.raises(StopAsyncIteration):
        await anext(batches)
    assert not desk.open
    assert not other_tasks()
    gc.collect()
    await settle()
    assert not caplog.records


@pytest.mark.parametrize("wrap", ["batches", "rows", "pages"])
async def test_an_early_break_leaves_no_request_task_or_warning(wrap: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    make = {"batches": stream_batches, "rows": stream_rows, "pages": stream_pages}[wrap]

    async def consume() -> None:
        async for _ in make(desk, page_size=100, prefetch=8):
            if len(desk.asked) >= 10:
                break

    task = asyncio.ensure_future(consume())
    while not task.done():
        await settle()
        if desk.open and not task.done():
            desk.answer(min(desk.open))
    gc.collect()
    await settle()
    assert desk.cancelled
    assert not desk.open
    assert not other_tasks()
    assert not caplog.records


async def test_what_fails_while_it_is_cancelled_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.fails_in_spite = True
    batches = await four_ahead(desk)
    await batches.aclose()
    assert len(desk.cancelled) == 4
    gc.collect()
    await settle()
    assert not caplog.records


async def test_aclose_waits_for_requests_that_end_slowly() -> None:
    desk = Desk()
    desk.stubborn = 50
    batches = await four_ahead(desk)
    await batches.aclose()
    assert not desk.open
    assert desk.ended == len(desk.asked)
    assert not other_tasks()


@pytest.mark.parametrize("prefetch", [0, 4])
@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_the_consumer_cancels_its_requests_and_waits_for_them(times: int, prefetch: int) -> None:
    desk = Desk()
    desk.stubborn = 20 if prefetch else 0
    batches = stream_batches(desk, page_size=100, prefetch=prefetch)
    for _ in range(4):
        await take(batches, desk)
    task = asyncio.ensure_future(anext(batches))
    await settle()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not desk.open
    assert not other_tasks()
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_a_cancellation_is_not_lost_to_an_answer() -> None:
    """The answer comes in the same round of the loop as the cancellation, or in spite of it."""
    for in_spite in (False, True):
        desk = Desk()
        batches = await four_ahead(desk)
        desk.answers_in_spite = in_spite
        task = asyncio.ensure_future(anext(batches))
        await settle()
        if not in_spite:
            desk.answer(min(desk.open))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not desk.open


async def test_cancelling_while_closing_still_closes_all() -> None:
    desk = Desk()
    desk.stubborn = 30
    batches = await four_ahead(desk)
    task = asyncio.ensure_future(batches.aclose())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not desk.open
    assert not other_tasks()


async def test_a_list_may_be_read_by_several_tasks_one_after_the_other() -> None:
    """A consumer may finish a stream in another task than the one it began in."""
    desk = Desk(400)
    rows = stream_rows(desk, page_size=100, prefetch=4)
    got = [(await asyncio.ensure_future(take(rows, desk))).id for _ in range(400)]
    assert got == desk.server.list.ids
    await asyncio.ensure_future(rows.aclose())


@pytest.mark.slow
def test_an_abandoned_list_gives_no_warning_when_the_loop_ends() -> None:
    """A ``break`` as the last thing of a program, a stream never begun, one kept until the interpreter ends."""
    program = """
        import asyncio, sys
        from omium_async import Execution, ExecutionPage
        from omium_async._lists.streams import stream_rows

        async def fetch(page, size):
            await asyncio.sleep(0.001)
            items = [Execution(id=str((page - 1) * size + i)) for i in range(size)]
            if page > 3:
                raise ConnectionError
            return ExecutionPage(items=items, total=10_000, page=page, page_size=size)

        kept = []

        async def main():
            stream_rows(fetch, page_size=100, prefetch=8)
            seen = 0
            async for row in stream_rows(fetch, page_size=100, prefetch=8):
                seen += 1
                if seen == 250:
                    break
            rows = stream_rows(fetch, page_size=100, prefetch=8)
            kept.append(rows)
            for _ in range(250):
                await anext(rows)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, complaints(done.stderr)) == (0, "", "")


async def test_a_group_joins_the_responses_that_have_arrived_and_no_more_than_prefetch_are_ahead() -> None:
    desk = Desk()
    async with aclosing(stream_groups(desk, page_size=100, prefetch=3)) as groups:
        for _ in range(4):
            await take(groups, desk)
        assert len(desk.open) == 3
        for number in sorted(desk.open):
            desk.answer(number)
        await settle()
        assert len(await anext(groups)) > 200
    assert desk.most == 3


async def test_a_group_of_responses_before_an_error_comes_before_it() -> None:
    desk = Desk()
    groups = stream_groups(desk, page_size=100, prefetch=3)
    for _ in range(4):
        await take(groups, desk)
    first, second, third = sorted(desk.open)
    desk.answer(first)
    desk.answer(third)
    desk.fail(second, LookupError("broken"))
    await settle()
    assert 80 <= len(await anext(groups)) <= 100
    with pytest.raises(LookupError, match="broken"):
        await anext(groups)

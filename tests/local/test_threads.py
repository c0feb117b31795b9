"""Threads for what may block: never more than were given, and whatever is given up is waited for or forgotten."""

from __future__ import annotations

import asyncio
import threading

import pytest

from omium_async.local.threads import Threads


class Work:
    """Calls that wait until they may end, and how many of them are at it."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.begun = threading.Semaphore(0)
        self.threads: list[str] = []

    def __call__(self, number: int = 0) -> int:
        self.threads.append(threading.current_thread().name)
        self.begun.release()
        assert self.may_end.wait(30)
        return number

    async def has_begun(self) -> None:
        await asyncio.to_thread(self.begun.acquire)


async def given_up(threads: Threads, work: Work) -> None:
    task = asyncio.create_task(threads.run(work))
    await work.has_begun()
    task.cancel()
    await asyncio.wait([task])


async def test_a_thread_that_was_given_up_is_replaced_and_takes_no_more_calls() -> None:
    threads, forgotten, work = Threads(1, "test"), Work(), Work()
    await given_up(threads, forgotten)
    going_on = asyncio.create_task(threads.run(work))
    await work.has_begun()
    waiting = [asyncio.create_task(threads.run(work, number)) for number in (1, 2)]
    await asyncio.sleep(0)
    forgotten.may_end.set()
    (thread,) = (one for one in threading.enumerate() if one.name == forgotten.threads[0])
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive(), "it took a call beyond the limit"
    assert len(work.threads) == 1
    work.may_end.set()
    assert await asyncio.gather(going_on, *waiting) == [0, 1, 2]
    assert set(work.threads) == {"test-2"}
    await asyncio.wait_for(threads.close(wait_for_busy=True), 30)


@pytest.mark.parametrize("wait_for_busy", [True, False])
async def test_the_end_waits_for_those_given_up_if_it_is_to(wait_for_busy) -> None:
    threads, work = Threads(2, "test"), Work()
    await given_up(threads, work)
    closing = asyncio.create_task(threads.close(wait_for_busy=wait_for_busy))
    if wait_for_busy:
        for _ in range(20):
            await asyncio.sleep(0)
        assert not closing.done()
        work.may_end.set()
    await asyncio.wait_for(closing, 30)
    work.may_end.set()

"""Rows that come over by themselves: all of them, in order, and no more ahead of the reader than said."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_async._lists.streams import Batch
from omium_sync._bridge.feed import Feed
from omium_sync._bridge.reading import Gathered, Rows


class Reading:
    """A reader on the loop's own thread, who takes only what is there already or will be."""

    def __init__(self, batches: int, error: Exception | None = None, room: int = 100) -> None:
        self.made = 0
        self.held: list[int] = []  # before each
        self.closed = False
        self.room = room
        self.notify = asyncio.get_running_loop().call_soon_threadsafe
        self.source = Rows(lambda held: self._batches(batches, error, held))
        self.task = asyncio.create_task(self._pump())

    async def _batches(self, batches, error, held):
        try:
            for number in range(batches):
                await asyncio.sleep(0)
                self.made += 1
                self.held.append(held())
                yield Batch([number], batches, self.room)
            if error is not None:
                raise error
        finally:
            self.closed = True

    async def _pump(self) -> None:
        try:
            await self.source.pump()
        finally:
            self.source.end(None)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def take(self):
        return await asyncio.to_thread(self.source.take, self.notify)


async def settle() -> None:
    """Let the pump go on until it waits for the reader."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_reader_who_has_just_begun_gets_what_it_asks_for_and_no_more() -> None:
    reading = Reading(100)
    for number in range(Rows._SURE):
        assert await reading.take() == [number]
        await settle()
        assert reading.made == number + 1
    await reading.close()


@pytest.mark.parametrize("room", [0, 1, 2, 100])
async def test_then_a_few_batches_are_read_ahead_where_there_is_room(room) -> None:
    reading = Reading(100, room=room)
    most = max(0, min(room, Rows._MOST))
    for number in range(20):
        assert await reading.take() == [number]
        await settle()
        assert reading.made == number + 1 + (most if number >= Rows._SURE else 0)
    await reading.close()
    assert reading.closed
    assert reading.task.done()


async def test_what_waits_for_the_reader_counts_as_read_ahead_and_nothing_does_while_the_reader_waits() -> None:
    reading = Reading(100)
    for number in range(Rows._SURE + 1):
        assert await reading.take() == [number]
        await settle()
    assert reading.held[1 : Rows._SURE + 1] == [0] * Rows._SURE
    assert reading.held[Rows._SURE + 1 :] == list(range(1, Rows._MOST + 1))
    await reading.close()


@settings(max_examples=50, deadline=None)
@given(batches=st.integers(0, 30), pauses=st.lists(st.booleans(), min_size=31, max_size=31))
def test_nothing_is_lost_whatever_the_pace(batches, pauses) -> None:
    async def main() -> None:
        reading = Reading(batches)
        got = []
        while (rows := await reading.take()) is not None:
            got += rows
            assert reading.made <= len(got) + Rows._MOST + 1
            if pauses[len(got)]:
                await settle()
        assert got == list(range(batches))
        assert reading.closed

    asyncio.run(main())


async def test_what_was_read_before_an_error_comes_first() -> None:
    reading = Reading(3, ValueError("broken"))
    assert [await reading.take() for _ in range(4)] == [[0], [1], [2], None]
    await reading.task
    assert str(reading.source.error) == "broken"


@pytest.mark.parametrize("taken", [0, 1, 6])
async def test_cancelling_ends_the_pump_wherever_it_is(taken) -> None:
    reading = Reading(100)
    for _ in range(taken):
        await reading.take()
    await reading.close()
    made = reading.made
    assert isinstance(reading.source.error, asyncio.CancelledError) == bool(taken)
    assert reading.closed == bool(taken)  # a generator that was never begun has nothing to close
    await settle()
    assert reading.made == made


class Numbers:
    """Numbers that are all there at once, gathered for a reader."""

    def __init__(self) -> None:
        self.made = 0
        self.source = Gathered(self._numbers())

    async def _numbers(self):
        while self.made < 1000:
            self.made += 1
            yield self.made


async def test_one_item_is_made_that_nobody_asked_for_and_no_more() -> None:
    numbers = Numbers()
    pump = asyncio.create_task(numbers.source.pump())
    await settle()
    assert numbers.made == 1
    pump.cancel()
    await asyncio.wait([pump])


async def begun(source: Gathered[int]):
    """A reader who asks before anything is there."""
    taking = asyncio.create_task(asyncio.to_thread(source.take, asyncio.get_running_loop().call_soon_threadsafe))
    while not source.waiting:  # noqa: ASYNC110 - it has no event for it
        await asyncio.sleep(0)
    return taking


async def first_group(source: Gathered[int]):
    """What such a reader gets."""
    taking = await begun(source)
    pump = asyncio.create_task(source.pump())
    found = await taking
    pump.cancel()
    await asyncio.wait([pump])
    return found


async def test_what_is_there_comes_over_at_once_up_to_a_largest_group() -> None:
    assert await first_group(Numbers().source) == list(range(1, Gathered._LARGEST + 1))


async def test_results_come_before_the_reader_is_called_to_take_more_from_the_feed() -> None:
    """For the next item may be long in coming."""
    feed = Feed[int]([])

    async def results():
        yield 1
        async for _ in feed:
            pass

    assert await first_group(Gathered(results(), feed)) == [1]


async def test_what_was_gathered_comes_before_the_end() -> None:
    async def results():
        yield 1
        yield 2

    source = Gathered(results())
    taking = await begun(source)
    await source.pump()
    source.end(None)
    assert await taking == [1, 2]

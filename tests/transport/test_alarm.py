"""One timer for the time-outs of all attempts: each rings in time, cancels its own task alone, and confuses nobody."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omium_async._transport.alarm import Alarms
from omium_async._transport.attempt import LiveAttempt


def live() -> LiveAttempt:
    return LiveAttempt(1, "id", time.monotonic())


async def attempt(alarms: Alarms, seconds: float) -> str:
    """What a call does with its alarm."""
    alarm = live()
    alarms.set(alarm, time.monotonic() + seconds)
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        if not alarm.timed_out():
            raise
        return "timed out"
    finally:
        alarms.stop(alarm)
    raise AssertionError


@settings(max_examples=25, deadline=None)
@given(seconds=st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_each_rings_in_its_time_in_whatever_order_they_were_set(seconds) -> None:
    async def main() -> None:
        alarms = Alarms(asyncio.get_running_loop())
        started = time.monotonic()

        async def timed(one: int) -> float:
            assert await attempt(alarms, one / 100) == "timed out"
            assert asyncio.current_task().cancelling() == 0
            return time.monotonic() - started

        took = await asyncio.gather(*(timed(one) for one in seconds))
        assert all(passed >= one / 100 - 0.001 for one, passed in zip(seconds, took, strict=True))
        assert not alarms._set

    asyncio.run(main())


async def test_a_stopped_alarm_never_rings() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    alarm = live()
    alarms.set(alarm, time.monotonic() + 0.01)
    alarms.stop(alarm)
    await asyncio.sleep(0.05)
    assert not alarm.timed_out()
    assert asyncio.current_task().cancelling() == 0


async def test_one_timer_for_all() -> None:
    loop = asyncio.get_running_loop()
    alarms = Alarms(loop)
    timers: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def noted(*a, **k) -> asyncio.TimerHandle:
        timers.append(call_at(*a, **k))
        return timers[-1]

    loop.call_at = noted
    try:
        waiting = [live() for _ in range(100)]
        for alarm in waiting:
            alarms.set(alarm, time.monotonic() + 30.0)
        assert len(timers) == 1
        sooner = live()
        alarms.set(sooner, time.monotonic() + 20.0)
        assert [timer.cancelled() for timer in timers] == [True, False]
        for alarm in (sooner, *waiting):
            alarms.stop(alarm)
    finally:
        loop.call_at = call_at
    assert len(timers) == 2


async def test_one_that_never_rings_winds_no_timer() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    never = live()
    alarms.set(never, math.inf)
    assert alarms._timer is None
    assert await attempt(alarms, 0.01) == "timed out"
    assert alarms._timer is None
    alarms.stop(never)


@pytest.mark.parametrize("first", ["user", "alarm"])
async def test_a_users_cancellation_is_one_also_when_the_alarm_rings_too(first) -> None:
    alarms = Alarms(asyncio.get_running_loop())
    task = asyncio.create_task(attempt(alarms, 10.0))
    await asyncio.sleep(0)
    (alarm,) = alarms._set
    for who in (first, "alarm" if first == "user" else "user"):
        alarm.ring() if who == "alarm" else task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_within_a_time_out_of_the_users_own() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await attempt(alarms, 10.0)
    async with asyncio.timeout(30):
        assert await attempt(alarms, 0.02) == "timed out"
        await asyncio.sleep(0)


async def test_a_call_that_ended_leaves_no_circle_behind(raw) -> None:
    """What a task returned must go with the task, not with the next run of the garbage collector."""

    async def handler(request) -> None:
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler) as (omium, _, _attempts):
        await omium.executions.get("e")
        gc.collect()
        gc.disable()
        try:
            task = asyncio.create_task(omium.executions.get("e"))
            await task
            gone = weakref.ref(task)
            del task
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()

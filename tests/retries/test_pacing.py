"""Pacing: the rate limit, and pauses after a 429 or after headers that say that no requests are left."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import omium_async as om
from omium_async._transport.pacing import RateWindow

from ..patient import VirtualClock
from ..rawserver import EXECUTION, RawRequest, Tools, answer

Headers = tuple[str, ...]


def refusing(
    virtual_time: VirtualClock, *refusals: Headers, seen: list[tuple[float, str]]
) -> Callable[[RawRequest], Any]:
    """A server that answers 429 with these headers, one after the other, then 200; it notes time and path."""
    left = [*refusals]

    async def handler(request: RawRequest) -> None:
        seen.append((virtual_time(), request.target.rpartition("/")[2]))
        # An idle connection would have a timer, so that an hour would be a thousand jumps of the clock.
        success = answer(200, EXECUTION, "Connection: close")
        await request.send(answer(429, b"{}", *left.pop(0)) if left else success)

    return handler


def waits(seen: list[tuple[float, str]]) -> list[float]:
    return [round(later[0] - earlier[0], 2) for earlier, later in itertools.pairwise(seen)]


@pytest.mark.parametrize("limit", [1, 10])
async def test_no_minute_ever_holds_more_requests_than_the_rate_limit(limit: int, virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, seen=seen), rate_limit=limit, timeout=None) as (omium, _, _):
        await asyncio.gather(*(omium.executions.get("e") for _ in range(3 * limit + 1)))

    times = [when for when, _ in seen]
    assert len(times) == 3 * limit + 1
    assert shortest(times, limit) >= 60
    assert times[-1] - times[0] < 200


def shortest(times: list[float], limit: int) -> float:
    """Return the shortest time that holds one request more than the limit, in microseconds as seconds.

    The clock is a float with steps of up to a microsecond on a machine that has run for years, so sums are not exact.
    """
    return min(round(later - earlier, 6) for earlier, later in zip(times, times[limit:], strict=False))


async def test_a_pair_also_holds_for_any_hour(virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, seen=seen), rate_limit=(4, 10), timeout=None) as (omium, _, _):
        await asyncio.gather(*(omium.executions.get("e") for _ in range(32)))

    times = [when for when, _ in seen]
    assert len(times) == 32
    assert shortest(times, 4) >= 60
    assert shortest(times, 10) >= 3600
    assert times[-1] - times[0] < 3 * 3600 + 200  # not much later than necessary


async def test_a_call_that_the_hour_holds_past_its_deadline_fails_at_once(virtual_time) -> None:
    async with Tools.pair(None, rate_limit=(100, 1), timeout=130) as (omium, _, _):
        await omium.executions.get("e")
        began = virtual_time()
        with pytest.raises(om.APITimeoutError, match="rate limit") as caught:
            await omium.executions.create("w")
        assert virtual_time() - began < 0.1
        assert caught.value.outcome == "not_applied"


async def test_waits_and_batches_wait_for_the_next_hour(virtual_time, caplog) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, seen=seen), rate_limit=(100, 2)) as (omium, _, _):
        states = [each.state async for each in omium.executions.create_many([om.ExecutionRequest("w")] * 4)]
        await omium.executions.wait("e", until="running")
    assert states == ["created"] * 4
    assert waits(seen) == pytest.approx([0, 3600, 0, 3600], abs=15)
    assert caplog.records == []  # it is no outage


@given(
    limit=st.integers(1, 40),
    grain=st.sampled_from([0.0, 10.0]),
    steps=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 120), st.booleans()), max_size=300),
)
def test_no_window_ever_holds_more_requests_than_it_may(limit: int, grain: float, steps: list[Any]) -> None:
    """Requests start as soon as the window allows, run for any time, and reach the server at any moment of it."""
    window, now = RateWindow(limit, 3600.0, grain), 1e6
    running: list[tuple[float, bool]] = []
    reached: list[float] = []

    def end_all_until(moment: float) -> None:
        for end, sent in sorted(running):
            if end <= moment:
                window.end(end, sent=sent)
                running.remove((end, sent))

    for gap, duration, sent in steps:
        now += gap
        end_all_until(now)
        while (when := window.earliest(now, 0)) > now or len(running) >= limit:
            now = max(when, min((end for end, _ in running), default=when))
            end_all_until(now)
        window.start()
        running.append((now + duration, sent))
        if sent:
            reached.append(now + duration * (len(reached) % 3) / 2)
    reached.sort()
    assert len(reached) <= limit or shortest(reached, limit) >= 3600
    assert len(window._ended) <= (3600 / grain + 2 if grain else len(reached))


def test_the_memory_of_an_hour_does_not_grow_with_its_limit() -> None:
    window = RateWindow(10**6, 3600.0, 10.0)
    for number in range(200_000):
        window.start()
        window.end(number * 0.02, sent=True)
    assert window.earliest(4000.0, 0) == 4000.0
    assert len(window._ended) <= 362
    assert window._counted == sum(ended.number for ended in window._ended) <= 3610 / 0.02


async def test_a_rate_limit_below_one_lengthens_its_window(virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, seen=seen), rate_limit=0.5, timeout=None) as (omium, _, _):
        for _ in range(3):
            await omium.executions.get("e")

    assert waits(seen) == pytest.approx([120, 120], abs=0.1)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (("Retry-After: 7",), 7),
        (("Retry-After-Ms: 2500",), 2.5),
        (("RateLimit-Reset: 9",), 9),
        (("Retry-After: never", "X-RateLimit-Reset: 4"), 4),
        (("RateLimit: limit=10, remaining=0, reset=11",), 11),
    ],
)
async def test_a_429_pauses_all_calls_until_the_time_it_names(headers: Headers, seconds: float, virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, headers, seen=seen), max_retries=1) as (omium, _, _):
        refused = asyncio.create_task(omium.executions.get("refused"))
        await asyncio.sleep(0.1)
        await asyncio.gather(refused, *(omium.executions.get("other") for _ in range(3)))

    assert [path for _, path in seen] == ["refused", "refused", "other", "other", "other"]  # refused calls go first
    assert waits(seen)[0] == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("header", ["RateLimit-Remaining", "X-RateLimit-Remaining", "X-RateLimit-Remaining-Minute"])
async def test_a_response_that_says_that_nothing_remains_pauses_all_calls(header: str, virtual_time) -> None:
    seen: list[tuple[float, str]] = []

    async def handler(request: RawRequest) -> None:
        seen.append((virtual_time(), ""))
        await request.send(answer(200, EXECUTION, f"{header}: 0", "RateLimit-Reset: 20"))

    async with Tools.pair(handler) as (omium, _, _):
        await omium.executions.get("e")
        await omium.executions.get("e")

    assert waits(seen) == pytest.approx([20], abs=0.01)


@pytest.mark.parametrize("headers", [(), ("Retry-After: 0",), ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",)])
async def test_a_429_without_a_future_time_pauses_as_backoff_says(headers: Headers, virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, *[headers] * 4, seen=seen), max_retries=4, backoff=(4, 32)) as pair:
        await pair[0].executions.get("e")

    assert len(seen) == 5
    assert all(0 < wait <= 4 * 2**number for number, wait in enumerate(waits(seen)))


@pytest.mark.parametrize(("headers", "seconds"), [((), 0.5), (("Retry-After: 0",), 5)])
async def test_a_call_that_is_refused_again_and_again_keeps_its_timeout(headers, seconds: float, virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    handler = refusing(virtual_time, *[headers] * 100, seen=seen)
    async with Tools.pair(handler, max_retries=50, timeout=seconds, backoff=(0.5, 8)) as (omium, _, _):
        began = virtual_time()
        with pytest.raises(om.RateLimitError):
            await omium.executions.get("e")
        assert virtual_time() - began <= seconds + 0.01

    assert len(seen) > 1


async def test_a_pause_ends_after_a_minute_for_all_but_the_call_that_was_refused(virtual_time, caplog) -> None:
    seen: list[tuple[float, str]] = []
    handler = refusing(virtual_time, ("Retry-After: 300",), seen=seen)
    caplog.set_level(logging.WARNING, "omium_async")
    async with Tools.pair(handler, max_retries=1, timeout=None) as (omium, _, _):
        refused = asyncio.create_task(omium.executions.get("refused"))
        await asyncio.sleep(0.1)
        await asyncio.gather(refused, omium.executions.get("other"))
    assert [path for _, path in seen] == ["refused", "other", "refused"]
    assert waits(seen) == pytest.approx([60, 240], abs=0.1)
    assert any("300 s" in record.getMessage() for record in caplog.records)


async def test_a_call_whose_deadline_is_in_a_pause_fails_at_once(virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    handler = refusing(virtual_time, ("Retry-After: 30",), seen=seen)
    async with Tools.pair(handler, max_connections=1, timeout=10) as (omium, _, _):
        waiting = asyncio.create_task(omium.executions.create("w"))
        began = virtual_time()
        first, later = await asyncio.gather(omium.executions.get("e"), waiting, return_exceptions=True)
        with pytest.raises(om.APITimeoutError) as caught:
            await omium.executions.create("w")
        assert virtual_time() - began < 0.1
        assert {type(first), type(later)} == {om.RateLimitError, om.APITimeoutError}
        assert caught.value.attempts == ()
        assert caught.value.outcome == om.WriteOutcome.NOT_APPLIED


async def test_a_call_that_the_rate_limit_holds_past_its_deadline_fails_at_once(virtual_time) -> None:
    async with Tools.pair(None, rate_limit=1, timeout=30) as (omium, _, _):
        await omium.executions.get("e")
        began = virtual_time()
        with pytest.raises(om.APITimeoutError):
            await omium.executions.get("e")
        assert virtual_time() - began < 0.1


async def test_retries_after_a_429_use_no_retry_budget(virtual_time) -> None:
    seen: list[tuple[float, str]] = []
    async with Tools.pair(refusing(virtual_time, *[()] * 300, seen=seen), max_retries=1000, timeout=None) as (
        omium,
        *_,
    ):
        await omium.executions.get("e")
    assert len(seen) == 301


async def test_cancelled_calls_do_not_hold_back_others(virtual_time) -> None:
    async with Tools.pair(None, rate_limit=2, timeout=None) as (omium, server, _):
        calls = [asyncio.create_task(omium.executions.get("e")) for _ in range(6)]
        await asyncio.sleep(1)
        for call in calls[2:]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        began = virtual_time()
        await omium.executions.get("e")
        assert virtual_time() - began < 61
        assert len(server.requests) == 3


async def test_a_client_closed_while_calls_wait_ends_them(virtual_time) -> None:
    async with Tools.pair(None, rate_limit=1, timeout=None) as (omium, _, _):
        await omium.executions.get("e")
        call = asyncio.create_task(omium.executions.get("e"))
        await asyncio.sleep(1)
        await omium.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await call


def test_a_rate_limit_holds_for_several_event_loops_together() -> None:
    with_limit = om.AsyncOmium("omium_test_0123456789", base_url="http://127.0.0.1:9", rate_limit=2, timeout=5)

    async def call() -> om.OmiumError:
        with pytest.raises(om.APIConnectionError) as caught:
            await with_limit.with_options(max_retries=0).executions.get("e")
        return caught.value

    began = time.monotonic()
    found = [asyncio.run(call()) for _ in range(3)]
    assert [len(error.attempts) for error in found] == [1, 1, 0]
    assert time.monotonic() - began < 3

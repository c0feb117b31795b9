"""Pacing: the rate limit, and pauses after a 429 or after headers that say that no requests are left."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import omium_async as om

from ..rawserver import EXECUTION, RawRequest, Tools, answer
from ..virtual import Clock, run

Headers = tuple[str, ...]
InVirtualTime = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def virtual(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> InVirtualTime:
    return lambda work: run(work, clock, monkeypatch)


def refusing(clock: Clock, *refusals: Headers, seen: list[tuple[float, str]]) -> Callable[[RawRequest], Any]:
    """A server that answers 429 with these headers, one after the other, then 200; it notes time and path."""
    left = [*refusals]

    async def handler(request: RawRequest) -> None:
        seen.append((clock(), request.target.rpartition("/")[2]))
        await request.send(answer(429, b"{}", *left.pop(0)) if left else answer(body=EXECUTION))

    return handler


def waits(seen: list[tuple[float, str]]) -> list[float]:
    return [round(later[0] - earlier[0], 2) for earlier, later in itertools.pairwise(seen)]


@pytest.mark.parametrize("limit", [1, 10])
def test_no_minute_ever_holds_more_requests_than_the_rate_limit(limit: int, clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        async with Tools.pair(refusing(clock, seen=seen), rate_limit=limit, timeout=None) as (omium, _, _):
            await asyncio.gather(*(omium.executions.get("e") for _ in range(3 * limit + 1)))

    virtual(main())
    times = [when for when, _ in seen]
    assert len(times) == 3 * limit + 1
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[limit:], strict=False))
    assert times[-1] - times[0] < 200


def test_a_rate_limit_below_one_lengthens_its_window(clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        async with Tools.pair(refusing(clock, seen=seen), rate_limit=0.5, timeout=None) as (omium, _, _):
            for _ in range(3):
                await omium.executions.get("e")

    virtual(main())
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
def test_a_429_pauses_all_calls_until_the_time_it_names(headers: Headers, seconds: float, clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        async with Tools.pair(refusing(clock, headers, seen=seen), max_retries=1) as (omium, _, _):
            refused = asyncio.create_task(omium.executions.get("refused"))
            await asyncio.sleep(0.1)
            await asyncio.gather(refused, *(omium.executions.get("other") for _ in range(3)))

    virtual(main())
    assert [path for _, path in seen] == ["refused", "refused", "other", "other", "other"]  # refused calls go first
    assert waits(seen)[0] == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("header", ["RateLimit-Remaining", "X-RateLimit-Remaining", "X-RateLimit-Remaining-Minute"])
def test_a_response_that_says_that_nothing_remains_pauses_all_calls(header: str, clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def handler(request: RawRequest) -> None:
        seen.append((clock(), ""))
        await request.send(answer(200, EXECUTION, f"{header}: 0", "RateLimit-Reset: 20"))

    async def main() -> None:
        async with Tools.pair(handler) as (omium, _, _):
            await omium.executions.get("e")
            await omium.executions.get("e")

    virtual(main())
    assert waits(seen) == pytest.approx([20], abs=0.01)


@pytest.mark.parametrize("headers", [(), ("Retry-After: 0",), ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",)])
def test_a_429_without_a_future_time_pauses_as_backoff_says(headers: Headers, clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        async with Tools.pair(refusing(clock, *[headers] * 4, seen=seen), max_retries=4, backoff=(4, 32)) as pair:
            await pair[0].executions.get("e")

    virtual(main())
    assert len(seen) == 5
    assert all(0 < wait <= 4 * 2**number for number, wait in enumerate(waits(seen)))


@pytest.mark.parametrize(("headers", "timeout"), [((), 0.5), (("Retry-After: 0",), 5)])
def test_a_call_that_is_refused_again_and_again_keeps_its_timeout(headers, timeout: float, clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        handler = refusing(clock, *[headers] * 100, seen=seen)
        async with Tools.pair(handler, max_retries=50, timeout=timeout, backoff=(0.5, 8)) as (omium, _, _):
            began = clock()
            with pytest.raises(om.RateLimitError):
                await omium.executions.get("e")
            assert clock() - began <= timeout + 0.01

    virtual(main())
    assert len(seen) > 1


def test_a_pause_ends_after_a_minute_for_all_but_the_call_that_was_refused(clock, virtual, caplog) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        handler = refusing(clock, ("Retry-After: 300",), seen=seen)
        async with Tools.pair(handler, max_retries=1, timeout=None) as (omium, _, _):
            refused = asyncio.create_task(omium.executions.get("refused"))
            await asyncio.sleep(0.1)
            await asyncio.gather(refused, omium.executions.get("other"))

    with caplog.at_level(logging.WARNING, "omium_async"):
        virtual(main())
    assert [path for _, path in seen] == ["refused", "other", "refused"]
    assert waits(seen) == pytest.approx([60, 240], abs=0.1)
    assert any("300 s" in record.getMessage() for record in caplog.records)


def test_a_call_whose_deadline_is_in_a_pause_fails_at_once(clock, virtual) -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        handler = refusing(clock, ("Retry-After: 30",), seen=seen)
        async with Tools.pair(handler, max_connections=1, timeout=10) as (omium, _, _):
            waiting = asyncio.create_task(omium.executions.create("w"))
            began = clock()
            first, later = await asyncio.gather(omium.executions.get("e"), waiting, return_exceptions=True)
            with pytest.raises(om.APITimeoutError) as caught:
                await omium.executions.create("w")
            assert clock() - began < 0.1
            assert {type(first), type(later)} == {om.RateLimitError, om.APITimeoutError}
            assert caught.value.attempts == ()
            assert caught.value.outcome == om.WriteOutcome.NOT_APPLIED

    virtual(main())


def test_a_call_that_the_rate_limit_holds_past_its_deadline_fails_at_once(clock, virtual) -> None:
    async def main() -> None:
        async with Tools.pair(None, rate_limit=1, timeout=30) as (omium, _, _):
            await omium.executions.get("e")
            began = clock()
            with pytest.raises(om.APITimeoutError):
                await omium.executions.get("e")
            assert clock() - began < 0.1

    virtual(main())


def test_retries_after_a_429_use_no_retry_budget(clock, virtual) -> None:
    async def main() -> None:
        seen: list[tuple[float, str]] = []
        async with Tools.pair(refusing(clock, *[()] * 300, seen=seen), max_retries=1000, timeout=None) as (omium, *_):
            await omium.executions.get("e")
        assert len(seen) == 301

    virtual(main())


def test_cancelled_calls_do_not_hold_back_others(clock, virtual) -> None:
    async def main() -> None:
        async with Tools.pair(None, rate_limit=2, timeout=None) as (omium, server, _):
            calls = [asyncio.create_task(omium.executions.get("e")) for _ in range(6)]
            await asyncio.sleep(1)
            for call in calls[2:]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            began = clock()
            await omium.executions.get("e")
            assert clock() - began < 61
            assert len(server.requests) == 3

    virtual(main())


def test_a_client_closed_while_calls_wait_ends_them(clock, virtual) -> None:
    async def main() -> None:
        async with Tools.pair(None, rate_limit=1, timeout=None) as (omium, _, _):
            await omium.executions.get("e")
            call = asyncio.create_task(omium.executions.get("e"))
            await asyncio.sleep(1)
            await omium.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await call

    virtual(main())


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

"""Deadlines hold over queueing, attempts, backoff and body; waiting for a connection is not attempt time."""

# ruff: noqa: ASYNC110 - what is waited for happens on the server's side, which has no event for it

from __future__ import annotations

import asyncio
import contextlib

import pytest

import omium_async as om

pytestmark = pytest.mark.usefixtures("virtual_time")

SLACK = 0.25  # what would break a rule here takes far longer


@contextlib.contextmanager
def ends_after(seconds: float, slack: float = SLACK):
    now = asyncio.get_running_loop().time
    started = now()
    yield
    took = now() - started
    assert seconds - 0.01 <= took < seconds + slack


async def hang(request) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0.3, "attempt_timeout": None},
        {"timeout": 0.3, "attempt_timeout": 30},
        {"timeout": None, "attempt_timeout": 0.3},
        {"timeout": 60, "attempt_timeout": 0.3},
    ],
)
async def test_no_answer(raw, options) -> None:
    async with raw.pair(hang, **options) as (omium, _server, attempts):
        with ends_after(0.3), pytest.raises(om.APITimeoutError) as caught:
            await omium.executions.create("wf")
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.outcome_unknown
    assert len(attempts) == 1
    assert attempts[0].elapsed == pytest.approx(0.3, abs=SLACK)


async def test_attempts_are_clamped_to_what_is_left(raw) -> None:
    async with raw.pair(hang, timeout=0.5, attempt_timeout=0.2, max_retries=9) as (omium, _server, attempts):
        with ends_after(0.5), pytest.raises(om.APITimeoutError):
            await omium.executions.get("e")
    assert [round(attempt.elapsed, 1) for attempt in attempts] == [0.2, 0.2, 0.1]


@pytest.mark.slow
async def test_a_long_time_out_is_not_rounded_up(raw) -> None:
    """aiohttp rounds those above 5 seconds up to whole ones, of the loop's clock."""
    async with raw.pair(hang, timeout=5.1, attempt_timeout=None) as (omium, _, _attempts):
        with ends_after(5.1), pytest.raises(om.APITimeoutError):
            await omium.executions.get("e")


@pytest.mark.parametrize(
    ("length", "status"),
    [("Content-Length: 1000000", 200), ("Transfer-Encoding: chunked", 503), ("X-Until: eof", 409)],
)
async def test_a_trickling_body_ends_at_the_deadline(raw, length: str, status: int) -> None:
    async def handler(request) -> None:
        await request.send(f"HTTP/1.1 {status} OK\r\n{length}\r\n\r\n".encode())
        while not request.writer.is_closing():
            await request.send(b"1\r\n{\r\n" if "chunked" in length else b"{")
            await asyncio.sleep(0.02)

    async with raw.pair(handler, timeout=0.3, attempt_timeout=None, max_retries=3) as (omium, _, attempts):
        with ends_after(0.3), pytest.raises(om.OmiumError) as caught:
            await omium.executions.create("wf")
    assert caught.value.outcome_unknown is (status != 409)
    assert attempts[0].status == status
    assert type(caught.value) is {200: om.APITimeoutError, 503: om.ServerError, 409: om.ConflictError}[status]


async def test_a_trickling_head_ends_at_the_deadline(raw) -> None:
    async def handler(request) -> None:
        await request.send(b"HTTP/1.1 200 OK\r\n")
        while not request.writer.is_closing():
            await request.send(b"X: y\r\n")
            await asyncio.sleep(0.02)

    async with raw.pair(handler, timeout=0.3) as (omium, _, _attempts):
        with ends_after(0.3), pytest.raises(om.APITimeoutError):
            await omium.executions.get("e")


async def test_a_flood_of_1xx_ends_at_the_deadline(raw) -> None:
    async def handler(request) -> None:
        while not request.writer.is_closing():
            await request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 50)
            await asyncio.sleep(0.02)

    async with raw.pair(handler, timeout=0.3) as (omium, _, _attempts):
        with ends_after(0.3), pytest.raises(om.APITimeoutError):
            await omium.executions.get("e")


async def test_waiting_for_a_connection_is_no_attempt(raw) -> None:
    """100 calls over 10 connections, each answered well within the attempt's time: none may fail."""

    async def handler(request) -> None:
        await asyncio.sleep(0.05)
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_connections=10, attempt_timeout=0.45, timeout=30) as (omium, server, attempts):
        await asyncio.gather(*(omium.executions.get("e") for _ in range(100)))
    assert len(attempts) == 100
    assert all(attempt.elapsed < 0.4 for attempt in attempts)
    assert server.connections == 10


async def test_a_users_session_with_fewer_connections_waits_in_our_line(raw) -> None:
    import aiohttp

    async def handler(request) -> None:
        await asyncio.sleep(0.05)
        await request.send(raw.answer(body=raw.EXECUTION))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:  # noqa: SIM117 - reads better apart
        async with raw.pair(handler, session=session, attempt_timeout=0.4) as (omium, server, _):
            await asyncio.gather(*(omium.executions.get("e") for _ in range(20)))
    assert server.connections == 2


async def test_no_free_connection_until_the_deadline(raw) -> None:
    """It never was an attempt, and nothing was written."""
    async with raw.pair(hang, max_connections=1, timeout=0.6, attempt_timeout=None) as (omium, server, attempts):
        first = asyncio.create_task(omium.executions.create("wf"))
        while not server.requests:
            await asyncio.sleep(0.001)
        with ends_after(0.2), pytest.raises(om.APITimeoutError, match="no free connection") as caught:
            await omium.with_options(timeout=0.2).executions.create("wf")
        assert caught.value.attempts == ()
        assert not caught.value.outcome_unknown
        assert caught.value.idempotency_key is not None
        assert len(server.requests) == 1
        with pytest.raises(om.APITimeoutError):
            await first
    assert len(attempts) == 1


@pytest.mark.parametrize("timeout", [1e-9, 0.002])
async def test_no_time_at_all(raw, timeout: float) -> None:  # noqa: ASYNC109 - the option's name
    async with raw.pair(hang, timeout=timeout) as (omium, _, _attempts):
        with ends_after(0, 0.5), pytest.raises(om.APITimeoutError):
            await omium.executions.create("wf")


async def test_no_bound_at_all(raw) -> None:
    async with raw.pair(timeout=None, attempt_timeout=None) as (omium, _, _attempts):
        assert (await omium.executions.get("e")).id == "exec_1"


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_beyond_the_deadline_fails_at_once(raw, status: int) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(status, b"{}", "Retry-After: 30"))

    async with raw.pair(handler, timeout=20, max_retries=3) as (omium, server, attempts):
        with ends_after(0), pytest.raises(om.APIStatusError) as caught:
            await omium.executions.get("e")
    assert caught.value.status == status
    assert len(attempts) == len(server.requests) == 1
    assert attempts[0].retry_after == 30

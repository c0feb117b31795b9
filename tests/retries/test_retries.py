"""How often calls are retried, after which delays, and which are not retried."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

import omium_async as om
from omium_async._transport.answers import retry_after_of
from omium_async._transport.retry import backoff as real_backoff
from omium_async._transport.retry import is_retryable


def failing(raw, statuses, *headers):
    async def handler(request) -> None:
        status = statuses[request.number - 1] if request.number <= len(statuses) else 200
        await request.send(raw.answer(status, raw.EXECUTION, *(headers if status != 200 else ())))

    return handler


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_max_retries_counts_the_attempts_after_the_first(raw, retries: int, caplog) -> None:
    async with raw.pair(failing(raw, [500] * 9), max_retries=retries) as (omium, server, attempts):
        with pytest.raises(om.ServerError) as caught:
            await omium.executions.get("e")
    assert len(server.requests) == len(attempts) == retries + 1
    assert [attempt.number for attempt in caught.value.attempts] == list(range(1, retries + 2))
    assert sum("trying again" in record.message for record in caplog.records) == retries
    if retries:
        assert f"{retries + 1} attempts" in str(caught.value)


@pytest.mark.usefixtures("virtual_time")
async def test_a_read_succeeds_after_failures_of_every_kind(raw) -> None:
    async def handler(request) -> None:
        match request.number:
            case 1:
                request.drop()
            case 2:
                await request.send(raw.answer(502))
            case 3:
                await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                request.drop()
            case 4:
                await request.send(raw.answer(body=b"<html>"))
            case 5:
                await asyncio.sleep(0.15)
                request.drop()
            case _:
                await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_retries=9, attempt_timeout=0.1) as (omium, _, attempts):
        assert (await omium.executions.get("e")).id == "exec_1"
    assert [attempt.status for attempt in attempts] == [None, 502, 200, 200, None, 200]
    assert [attempt.error is None for attempt in attempts] == [False] * 5 + [True]


def test_backoff_grows_with_full_jitter() -> None:
    for retries, ceiling in ((0, 0.5), (1, 1.0), (2, 2.0), (4, 8.0), (5, 8.0), (10_000, 8.0)):
        drawn = [real_backoff(retries, (0.5, 8.0)) for _ in range(500)]
        assert 0 <= min(drawn) < ceiling * 0.1
        assert ceiling * 0.9 < max(drawn) <= ceiling


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=9), usegmt=True), "date": format_datetime(NOW)}, 9.0),
        ({"retry-after": "Thursday, 01-Jan-26 12:00:09 GMT", "date": format_datetime(NOW)}, 9.0),
        ({"retry-after": "Thu Jan  1 12:00:09 2026", "date": format_datetime(NOW)}, 9.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Thu, 99 Foo 2026 99:99:99 GMT"}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds) -> None:
    assert retry_after_of(headers) == seconds


def test_a_date_without_the_servers_own_is_measured_by_our_clock() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_of({"retry-after": when}) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["Retry-After: 0.3", "retry-after-ms: 300"])
async def test_retry_after_is_never_undercut(raw, patient, status: int, header: str) -> None:
    async with raw.pair(failing(raw, [status], header), max_retries=1) as (omium, _server, attempts):
        started = patient()
        await omium.executions.get("e")
        assert 0.3 <= patient() - started < 2
    assert attempts[0].retry_after == 0.3


@pytest.mark.parametrize(("value", "expected"), [("5", 5.0), ("nonsense", None)])
async def test_rate_limit_error_says_how_long(raw, value: str, expected) -> None:
    async with raw.pair(failing(raw, [429], f"Retry-After: {value}")) as (omium, _, _attempts):
        with pytest.raises(om.RateLimitError) as caught:
            await omium.executions.get("e")
    assert caught.value.retry_after == expected


async def test_an_outage_is_not_answered_by_a_storm(raw, caplog) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(500)), max_retries=3) as (omium, server, _):
        for _ in range(10):
            await asyncio.gather(*(omium.executions.get("e") for _ in range(40)), return_exceptions=True)
        assert len(server.requests) == 400 + 100
        assert "too many calls fail" in caplog.text
        server.handler = None
        for _ in range(25):
            await omium.executions.get("e")
        server.handler = lambda request: request.send(raw.answer(500))
        server.requests.clear()
        with pytest.raises(om.ServerError):
            await omium.with_options(max_retries=9).executions.get("e")
        assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("error", "could"),
    [
        (om.APIConnectionError("lost", outcome="not_applied"), True),
        (om.ServerError("down", status=503, outcome="not_applied"), True),
        (om.ServerError("not there", status=501, outcome="not_applied"), False),
        (om.NotFoundError("no", status=404, outcome="not_applied"), False),
        (om.InvalidResponseError("no JSON", status=200, outcome="not_applied"), True),
        (om.InvalidResponseError("a wrong type", status=200, path="$.id", outcome="not_applied"), False),
        (om.OmiumError("whatever", outcome="not_applied"), False),
    ],
)
def test_what_is_retryable(error: om.OmiumError, could: bool) -> None:
    assert is_retryable(error) is could


def test_a_certificate_does_not_mend() -> None:
    error = om.APIConnectionError("no connection", outcome="not_applied")
    error.__cause__ = ssl.SSLCertVerificationError()
    assert not is_retryable(error)


async def test_a_copy_shares_the_budget(raw) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(500)), max_retries=200) as (omium, server, _):
        with pytest.raises(om.ServerError):
            await omium.executions.get("e")
        assert len(server.requests) == 101
        with pytest.raises(om.ServerError):
            await omium.with_options(timeout=5).executions.get("e")
        assert len(server.requests) == 102

"""Edge cases that once were defects."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import omium_async as om


async def test_an_id_of_the_users_own_is_text_that_pickles(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(500, b"{}"))

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(om.ServerError) as caught:
            await omium.request("POST", "/x", headers={"X-Request-ID": "my-rid-1"})
    for each in (caught.value, pickle.loads(pickle.dumps(caught.value)), attempts[0]):
        assert type(each.request_id) is str
        assert each.request_id == "my-rid-1"


async def test_reads_never_go_out_on_a_connection_that_the_server_closed(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(body=raw.EXECUTION))
        request.writer.close()

    async with raw.pair(handler, max_retries=0) as (omium, _, attempts):
        for _ in range(30):
            await omium.executions.get("e")
    assert len(attempts) == 30


async def test_a_retry_after_of_any_length_ends_the_call(raw) -> None:
    digits = 200

    async def handler(request) -> None:
        await request.send(raw.answer(429, b"{}", f"Retry-After: {'9' * digits}"))

    async with raw.pair(handler, timeout=5) as (omium, _, attempts):
        with pytest.raises(om.RateLimitError) as caught:
            await omium.executions.get("e")
    assert len(attempts) == 1
    assert caught.value.retry_after == float("9" * digits)


@pytest.mark.usefixtures("virtual_time")
async def test_jitter_never_ends_a_call_that_has_time_left(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(body=raw.EXECUTION) if request.number % 3 == 0 else raw.answer(503, b"{}"))

    async with raw.pair(handler, timeout=0.6, max_retries=2) as (omium, _, _attempts):
        for _ in range(5):
            await omium.executions.get("e")


async def test_a_trace_id_is_the_request_id_of_results_and_errors(raw) -> None:
    answers = {
        1: raw.answer(200, b'{"id": 5, "trace_id": "T1"}'),
        2: raw.answer(200, b'{"trace_id": "T2"}'),
        3: b'HTTP/1.1 404 Not Found\r\n\r\n{"detail": "x", "trace_id": "T3"}',
    }

    async def handler(request) -> None:
        await request.send(answers[request.number])
        if request.number == 3:
            request.writer.close()

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(om.InvalidResponseError) as caught:
            await omium.executions.get("e")
        assert (caught.value.request_id, attempts[0].request_id) == ("T1", "T1")
        assert (await omium.request("GET", "/x")).request_id == "T2"
        with pytest.raises(om.NotFoundError) as missing:
            await omium.executions.get("e")
        assert missing.value.request_id == "T3"


async def test_a_count_that_is_not_there_is_an_answer_that_cannot_be_understood(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(200, b'{"items": [{"id": "a"}]}', "X-Request-Id: RID"))

    async with raw.pair(handler) as (omium, _, _attempts):
        with pytest.raises(om.InvalidResponseError) as caught:
            await omium.executions.count()
    error = caught.value
    assert (error.status, error.path, error.request_id, len(error.attempts)) == (200, "total", "RID", 1)
    assert error.body == b'{"items": [{"id": "a"}]}'


async def test_too_large_a_success_keeps_what_was_taken(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(200, b"x" * 5000))

    async with raw.pair(handler, max_response_bytes=1000) as (omium, _, _attempts):
        with pytest.raises(om.InvalidResponseError) as caught:
            await omium.executions.get("e")
    assert caught.value.body == b"x" * 1000


async def test_calls_in_line_for_a_connection_fail_at_once_when_the_pace_holds_them_too_long(raw) -> None:
    release = asyncio.Event()

    async def handler(request) -> None:
        await release.wait()
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, rate_limit=2, max_connections=1, timeout=5) as (omium, _, _attempts):
        calls = [asyncio.create_task(omium.executions.get("e")) for _ in range(5)]
        done, _ = await asyncio.wait(calls, timeout=2, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        assert {type(call.exception()) for call in done} == {om.APITimeoutError}
        release.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(end, om.APITimeoutError) for end in ends) == 3


async def test_a_key_that_is_used_as_an_id_is_not_shown(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(404, b"{}"))

    async with raw.pair(handler) as (omium, _, _attempts):
        key = str.__str__(omium._caller.shared.settings.api_key)
        with pytest.raises(om.NotFoundError) as caught:
            await omium.executions.get(key)
    assert key not in str(caught.value) + caught.value.url + repr(caught.value)


async def test_request_rejects_the_method_connect(raw) -> None:
    async with raw.pair() as (omium, server, _attempts):
        with pytest.raises(ValueError, match="CONNECT"):
            await omium.request("CONNECT", "/x")
    assert not server.requests


async def test_a_request_id_of_the_users_is_known_although_nothing_was_sent() -> None:
    async with om.AsyncOmium("key-key-key", base_url="http://127.0.0.1:1", max_retries=1) as omium:
        with pytest.raises(om.APIConnectionError) as caught:
            await omium.request("POST", "/x", headers={"x-request-id": "mine"})
    assert caught.value.request_id == "mine"
    assert [attempt.request_id for attempt in caught.value.attempts] == ["mine", "mine"]

"""Reports of attempts: log records, `on_attempt` and observers of calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

import omium_async as om


def records_of(caplog, name: str = "omium_async.transport") -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == name]


async def flaky(raw, request) -> None:
    if request.number == 1:
        await request.send(raw.answer(503, b'{"detail": "not now"}', "X-Request-Id: first"))
    else:
        await request.send(raw.answer(200, raw.EXECUTION, "X-Request-Id: second"))


async def test_records_carry_what_they_say_as_fields(raw, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    async with raw.pair(lambda request: flaky(raw, request), max_retries=1) as (omium, _, attempts):
        await omium.request("GET", "/things?secret=1")
    debug, warning, again = records_of(caplog)
    assert [record.levelname for record in (debug, warning, again)] == ["DEBUG", "WARNING", "DEBUG"]
    for record, attempt in ((debug, attempts[0]), (warning, attempts[0]), (again, attempts[1])):
        assert (record.omium_method, record.omium_path) == ("GET", "/api/v1/things")
        assert (record.omium_status, record.omium_attempt) == (attempt.status, attempt.number)
        assert record.omium_request_id == attempt.request_id
        assert "secret" not in record.getMessage()
    assert (attempts[0].method, attempts[0].path) == ("GET", "/api/v1/things")
    assert [attempt.request_id for attempt in attempts] == ["first", "second"]
    assert "/api/v1/things" in warning.getMessage()


@pytest.mark.parametrize("retried", [True, False])
async def test_the_words_of_a_refusal_reach_record_and_error_in_one_line(raw, caplog, retried: bool) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(503, b'{"detail": "a\\u001b[31m\\nb\\u202e"}'))

    async with raw.pair(handler, max_retries=int(retried)) as (omium, _, _attempts):
        with pytest.raises(om.ServerError) as caught:
            await omium.executions.get("e")
    for text in [str(caught.value), *(record.getMessage() for record in records_of(caplog))]:
        assert text.isprintable()


async def test_what_a_hook_raises_is_logged_with_its_traceback(raw, caplog) -> None:
    def broken(attempt: om.Attempt) -> None:
        raise LookupError("mine")

    async with raw.pair(on_attempt=broken) as (omium, _, _attempts):
        await omium.executions.create("wf")
    (record,) = records_of(caplog, "omium_async.transport.hooks")
    text = logging.Formatter().format(record)
    assert "in broken" in text
    assert "LookupError: mine" in text


async def test_the_verdict_of_a_success_is_known(raw) -> None:
    async with raw.pair() as (omium, _, attempts):
        await omium.executions.create("wf")
        await omium.executions.get("e")
    assert [(one.sent, one.outcome_unknown, one.error) for one in attempts] == [(True, False, None)] * 2


async def test_a_session_of_the_users_own_sends_and_tells_the_same_id(raw) -> None:
    async with raw.Server() as server, aiohttp.ClientSession() as session:
        attempts: list[om.Attempt] = []
        async with raw.client(server.url, session=session, on_attempt=attempts.append) as omium:
            await omium.executions.create("wf")
            found = await omium.request("GET", "/x")
            await omium.request("GET", "/x", headers={"X-Request-ID": "mine"})
    sent = [request.headers["x-request-id"] for request in server.requests]
    assert sent == [attempt.request_id for attempt in attempts]
    assert found.request_id == sent[1]
    assert (len({*sent}), sent[2]) == (3, "mine")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # aiohttp has another way by now
async def test_a_session_with_credentials_of_its_own_takes_no_bearer(raw) -> None:
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password")) as session:
        with pytest.raises(om.ConfigurationError, match="auth of its own"):
            raw.client("http://127.0.0.1:9", session=session, auth="bearer")


# -- where no call can be made -------------------------------------------------------------------------------------


def test_a_call_outside_of_asyncio_says_what_to_do(raw) -> None:
    call = raw.client("http://127.0.0.1:9").executions.get("e")
    with pytest.raises(RuntimeError, match=r"asyncio\.run.*omium_sync"):
        call.send(None)


def test_a_call_without_a_task_is_no_attempt_that_was_sent(raw) -> None:
    attempts: list[om.Attempt] = []
    omium = raw.client("http://127.0.0.1:9", on_attempt=attempts.append)
    loop = asyncio.new_event_loop()
    received: list[BaseException] = []

    def without_a_task() -> None:
        call = omium.executions.create("wf")
        try:
            while True:
                call.send(None)
        except RuntimeError as error:
            received.append(error)
        loop.stop()

    async def open_first() -> None:
        with pytest.raises(om.APIConnectionError):
            await omium.executions.get("e")

    loop.run_until_complete(open_first())
    attempts.clear()
    loop.call_soon(without_a_task)
    loop.run_forever()
    assert "in a task" in str(received[0])
    assert attempts == []
    assert omium._caller.shared.transport._sessions._by_loop[loop].gate.enter_now(None)
    loop.run_until_complete(omium.aclose())
    loop.close()


# -- who watches -----------------------------------------------------------------------------------------------------


class Span:
    """Keeps what it receives."""

    def __init__(self, received: list[tuple]) -> None:
        self.received = received

    def waits(self) -> None:
        self.received.append(("waits",))

    def waited(self) -> None:
        self.received.append(("waited",))

    def attempt_starts(self, number: int) -> Mapping[str, str]:
        self.received.append(("starts", number))
        return {"traceparent": f"00-trace-{number}"}

    def attempt_ended(self, attempt: om.Attempt, error: BaseException | None) -> None:
        self.received.append(("ended", attempt.number, attempt.status))

    def ended(self, result: object, error: BaseException | None) -> None:
        self.received.append(("over", getattr(result, "id", None), type(error).__name__))


class Watcher:
    """As `omium_async.otel.Telemetry` is seen by the transport."""

    def __init__(self) -> None:
        self.received: list[tuple] = []
        self.requests: list = []

    def call_started(self, request) -> Span:
        self.requests.append(request)
        return Span(self.received)


def watched(omium: om.AsyncOmium) -> Watcher:
    transport: Any = omium._caller.shared.transport
    transport._telemetry = watcher = Watcher()
    return watcher


@pytest.mark.parametrize("sessions", ["own", "users"])
@pytest.mark.parametrize("hook", [None, lambda attempt: None])
async def test_a_call_is_watched_from_its_beginning_to_its_end(raw, sessions: str, hook) -> None:
    async with aiohttp.ClientSession() as session:
        own = session if sessions == "users" else None
        async with raw.pair(lambda request: flaky(raw, request), max_retries=1, session=own, on_attempt=hook) as (
            omium,
            server,
            _,
        ):
            watcher = watched(omium)
            await omium.executions.get("a/b")
    assert watcher.received == [
        ("starts", 1),
        ("ended", 1, 503),
        ("starts", 2),
        ("ended", 2, 200),
        ("over", "exec_1", "NoneType"),
    ]
    assert [request.headers["traceparent"] for request in server.requests] == ["00-trace-1", "00-trace-2"]
    (request,) = watcher.requests
    assert request.operation[:2] == ("omium.executions.get", "/executions/{execution_id}")
    assert request.execution_id == "a/b"


async def test_a_header_of_the_users_own_goes_before_the_watchers(raw) -> None:
    async with raw.pair() as (omium, server, _):
        watcher = watched(omium)
        await omium.request("GET", "/x", headers={"traceparent": "mine"})
    assert server.requests[0].headers["traceparent"] == "mine"
    assert watcher.requests[0].execution_id is None


async def test_waits_and_cancellations_are_watched_too(raw) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def handler(request) -> None:
        arrived.set()
        await release.wait()
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_connections=1) as (omium, _, _attempts):
        watcher = watched(omium)
        first = asyncio.create_task(omium.executions.get("e"))
        await arrived.wait()
        second = asyncio.create_task(omium.executions.get("e"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    over = ("over", None, "CancelledError")
    assert watcher.received == [("starts", 1), ("waits",), ("waited",), over, ("ended", 1, None), over]

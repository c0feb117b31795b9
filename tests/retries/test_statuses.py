"""Every status: its error, its outcome, and whether it is retried."""

from __future__ import annotations

from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

import omium_async as om

KEY = "omium_test_0123456789abcdef"
URL = "https://omium.test/api/v1/executions"

READ_AGAIN = {408, 425, 429, 500, 502, 503, 504, *range(520, 528), 529, 530}
WRITE_AGAIN = {425, 429}
CLASSES = {
    400: om.BadRequestError,
    401: om.AuthenticationError,
    403: om.PermissionDeniedError,
    404: om.NotFoundError,
    409: om.ConflictError,
    422: om.UnprocessableEntityError,
    429: om.RateLimitError,
}
STATUSES = [
    *(101, 300, 301, 304, 307, 399, *CLASSES, 405, 407, 408, 410, 418, 424, 425, 426, 431, 451, 499),
    *(500, 501, 502, 503, 504, 505, 511, 519, 520, 527, 528, 529, 530, 531, 599, 600, 999),
]


def unknown_write(status: int) -> bool:
    """The table of the contract, written down once more by hand."""
    if status in (408, 499):
        return True
    return not (400 <= status < 500 or status == 501)


async def outcomes(raw, call, *, sessions: str = "own", **options):
    """Call once for each status; return the status, the error, and the attempts as the hook received them."""
    found: list[tuple[int, om.OmiumError, tuple[om.Attempt, ...]]] = []
    status = 0
    session = aiohttp.ClientSession() if sessions == "users" else None
    handler = lambda request: request.send(raw.answer(status, b""))  # noqa: E731
    async with raw.pair(handler, session=session, max_retries=2, **options) as (omium, _, attempts):
        for status in STATUSES:
            attempts.clear()
            with pytest.raises(om.APIStatusError) as caught:
                await call(omium)
            assert caught.value.status == status
            found.append((status, caught.value, tuple(attempts)))
    if session is not None:
        await session.close()
    return found


@pytest.mark.parametrize("sessions", ["own", "users"])
async def test_a_write(raw, sessions: str) -> None:
    for status, error, attempts in await outcomes(raw, lambda omium: omium.executions.create("wf"), sessions=sessions):
        assert type(error) is CLASSES.get(status, om.ServerError if 500 <= status < 600 else om.APIStatusError)
        assert error.outcome_unknown is unknown_write(status), status
        assert len(attempts) == (3 if status in WRITE_AGAIN else 1), status
        assert error.attempts == attempts
        assert all(attempt.sent and attempt.outcome_unknown is unknown_write(status) for attempt in attempts), status
        assert error.idempotency_key == attempts[0].idempotency_key is not None


async def test_a_read(raw) -> None:
    for status, error, attempts in await outcomes(raw, lambda omium: omium.executions.get("exec_1")):
        assert error.outcome_unknown is False
        assert error.idempotency_key is None
        assert len(attempts) == (3 if status in READ_AGAIN else 1), status
        assert not any(attempt.outcome_unknown for attempt in attempts)


async def test_a_write_to_a_server_that_honours_keys(raw) -> None:
    """With `retry_ambiguous_writes` a write is retried as a read is, and its outcome stays what it is."""
    create = lambda omium: omium.executions.create("wf")  # noqa: E731
    for status, error, attempts in await outcomes(raw, create, retry_ambiguous_writes=True):
        assert len(attempts) == (3 if status in READ_AGAIN else 1), status
        assert error.outcome_unknown is unknown_write(status), status
        assert len({attempt.idempotency_key for attempt in attempts}) == 1


@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientOSError(104, "reset"), True),
        (TimeoutError(), True),
        (aiohttp.ClientPayloadError("cut"), True),
        (aiohttp.ConnectionTimeoutError("connecting"), False),
        (aiohttp.ClientConnectorError(Mock(ssl=True, host="h", port=1), OSError(111, "refused")), False),
    ],
)
async def test_failures_of_a_mocked_session_are_taken_for_what_they_say(failure: Exception, sent: bool) -> None:
    """Nothing is seen of the connection then; what cannot be ruled out may have happened."""
    with aioresponses() as mocked:
        mocked.post(URL, exception=failure, repeat=True)
        async with om.AsyncOmium(KEY, base_url="https://omium.test", max_retries=2) as omium:
            with pytest.raises(om.APIConnectionError) as caught:
                await omium.executions.create("wf")
    assert caught.value.outcome_unknown is sent
    assert [attempt.sent for attempt in caught.value.attempts] == ([True] if sent else [False] * 3)


BODIES = {
    "service": (b'{"detail": "No such thing", "trace_id": "abc"}', "No such thing", "abc"),
    "validation": (
        b'{"detail": [{"loc": ["body", "metadata"], "msg": "Field required", "input": {"secret": 1}}]}',
        "body.metadata: Field required",
        None,
    ),
    "validation of nonsense": (
        b'{"detail": [1, "two", {"loc": "x"}, {"msg": 3}]}',
        "invalid; two; invalid; invalid",
        None,
    ),
    "gateway": (b'{"message": "no Route matched with those values"}', "no Route matched with those values", None),
    "error in error": (b'{"error": {"message": "inner"}}', "inner", None),
    "edge": (
        b"<!DOCTYPE html><html><head><title>Just a moment</title></head></html>",
        "an HTML page, not the service's own answer: Just a moment",
        None,
    ),
    "nothing": (b"", "Gone Away", None),
    "text": (b"plain\r\n\x1b[31m  words", "plain [31m words", None),
    "long text": (b"x" * 10_000, "x" * 497 + "...", None),
    "null detail": (b'{"detail": null}', '{"detail": null}', None),
    "a list": (b'["x"]', '["x"]', None),
    "depth": (b'{"detail":' * 100_000 + b"1" + b"}" * 100_000, None, None),
    "depth that can be read": (b'{"detail":' * 300 + b'"x"' + b"}" * 300, None, None),
    "a number beyond Python": (b'{"detail": ' + b"1" * 10_000 + b"}", None, None),
    "no UTF-8": (b'{"detail": "\xff"}', None, None),
}


@pytest.mark.parametrize("body", BODIES)
async def test_readable_messages_from_every_layer(raw, body: str) -> None:
    data, message, trace = BODIES[body]

    async def handler(request) -> None:
        await request.send(raw.answer(422, data, reason="Gone Away"))

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(om.UnprocessableEntityError) as caught:
            await omium.executions.create("wf")
    error = caught.value
    if message is not None:
        assert error.message == message
    assert error.message
    assert len(error.message) <= 500
    assert "\n" not in str(error)
    assert error.body == data[: 2**16]
    assert error.request_id == (trace or attempts[0].request_id)
    assert "secret" not in str(error)


@pytest.mark.parametrize("name", ["x-request-id", "X-Kong-Request-Id", "CF-Ray"])
async def test_the_request_id_is_the_answers(raw, name: str) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(404, b"{}", f"{name}: theirs"))

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(om.NotFoundError) as caught:
            await omium.executions.get("exec_1")
    assert caught.value.request_id == attempts[0].request_id == "theirs"
    assert "request id theirs" in str(caught.value)


async def test_headers_of_an_error(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(400, b"{}", "X-A: 1", "x-a: 2"))

    async with raw.pair(handler) as (omium, server, _):
        with pytest.raises(om.BadRequestError) as caught:
            await omium.executions.get("exec_1")
    assert caught.value.headers == {"content-length": "2", "x-a": "1, 2"}
    assert (caught.value.method, caught.value.url) == ("GET", f"{server.url}/api/v1/executions/exec_1")

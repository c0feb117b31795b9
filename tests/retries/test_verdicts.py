"""The outcome of a write follows from what happened on its attempts, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import pytest

import omium_async as om

from ..ports import free_port

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


async def dropped(request, raw) -> None:
    request.drop()


async def reset(request, raw) -> None:
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    request.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.writer.transport.abort()


async def half_a_head(request, raw) -> None:
    await request.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    request.drop()


async def no_http(request, raw) -> None:
    await request.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    request.drop()


async def only_continue(request, raw) -> None:
    await request.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
    request.drop()


async def no_body(request, raw) -> None:
    await request.send(HEAD)
    request.drop()


async def half_a_body(request, raw) -> None:
    await request.send(HEAD + b'{"id": "e"')
    request.drop()


async def no_json(request, raw) -> None:
    await request.send(raw.answer(body=b"<html>"))


async def empty(request, raw) -> None:
    await request.send(raw.answer(204, b""))


async def wrong_type(request, raw) -> None:
    await request.send(raw.answer(body=b'{"id": 5}'))


async def upgraded(request, raw) -> None:
    await request.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbytes")


async def half_a_refusal(request, raw) -> None:
    await request.send(b"HTTP/1.1 409 Conflict\r\nContent-Length: 100\r\n\r\nhalf")
    request.drop()


async def half_a_503(request, raw) -> None:
    await request.send(b"HTTP/1.1 503 Oh\r\nRetry-After: 0\r\nContent-Length: 100\r\n\r\nhalf")
    request.drop()


async def never(request, raw) -> None:
    await asyncio.Event().wait()


async def never_the_body(request, raw) -> None:
    await request.send(HEAD)
    await asyncio.Event().wait()


async def never_the_body_of_a_refusal(request, raw) -> None:
    await request.send(b"HTTP/1.1 409 Conflict\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.Event().wait()


# handler -> class of the error, status seen, verdict on a write, attempts of a read
CASES = {
    dropped: (om.APIConnectionError, None, True, 3),
    reset: (om.APIConnectionError, None, True, 3),
    half_a_head: (om.APIConnectionError, None, True, 3),
    no_http: (om.InvalidResponseError, None, True, 3),
    only_continue: (om.APIConnectionError, None, True, 3),
    no_body: (om.APIConnectionError, 200, True, 3),
    half_a_body: (om.APIConnectionError, 200, True, 3),
    no_json: (om.InvalidResponseError, 200, True, 3),
    empty: (om.InvalidResponseError, 204, True, 3),
    wrong_type: (om.InvalidResponseError, 200, True, 1),
    upgraded: (om.APIStatusError, 101, True, 1),
    half_a_refusal: (om.ConflictError, 409, False, 1),
    half_a_503: (om.ServerError, 503, True, 3),
    never: (om.APITimeoutError, None, True, 3),
    never_the_body: (om.APITimeoutError, 200, True, 3),
    never_the_body_of_a_refusal: (om.ConflictError, 409, False, 1),
}


@contextlib.asynccontextmanager
async def client_of(raw, case, sessions: str, **options):
    attempts: list[om.Attempt] = []
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(raw.Server(lambda request: case(request, raw)))
        session = await stack.enter_async_context(aiohttp.ClientSession()) if sessions == "users" else None
        client = raw.client(server.url, session=session, on_attempt=attempts.append, **options)
        yield await stack.enter_async_context(client), server, attempts


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("case", "sessions"),
    [*((case, "own") for case in CASES), *((case, "users") for case in (dropped, half_a_head, half_a_refusal, never))],
    ids=lambda case: getattr(case, "__name__", case),
)
async def test_a_write(raw, case, sessions: str) -> None:
    kind, status, unknown, _ = CASES[case]
    async with client_of(raw, case, sessions, max_retries=2, attempt_timeout=0.2) as (omium, server, attempts):
        for make in (lambda: omium.executions.create("wf"), lambda: omium.request("PUT", "/x", json={})):
            if make.__code__.co_names[0] == "request" and case in (no_json, empty, wrong_type):
                continue  # the body of `request` is not decoded
            server.requests.clear()
            attempts.clear()
            with pytest.raises(om.OmiumError) as caught:
                await make()
            error = caught.value
            assert type(error) is kind
            assert error.outcome_unknown is unknown
            assert len(server.requests) == len(attempts) == 1
            assert error.attempts == tuple(attempts)
            assert (attempts[0].sent, attempts[0].status, attempts[0].outcome_unknown) == (True, status, unknown)
            assert ("outcome unknown" in str(error)) is unknown
            assert ("was not applied" in str(error)) is not unknown


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_read(raw, case) -> None:
    *_, count = CASES[case]
    async with client_of(raw, case, "own", max_retries=2, attempt_timeout=0.2) as (omium, server, attempts):
        with pytest.raises(om.OmiumError) as caught:
            await omium.executions.get("e")
        assert caught.value.outcome_unknown is False
        assert len(server.requests) == len(attempts) == count


@pytest.mark.parametrize("sessions", ["own", "users"])
async def test_refused_connections_are_attempts_that_were_never_sent(raw, sessions: str) -> None:
    async with aiohttp.ClientSession() as session:
        omium = raw.client(
            f"http://127.0.0.1:{free_port()}", max_retries=2, session=session if sessions == "users" else None
        )
        async with omium:
            with pytest.raises(om.APIConnectionError) as caught:
                await omium.executions.create("wf")
    error = caught.value
    assert not error.outcome_unknown
    assert [(a.number, a.sent, a.status, a.outcome_unknown) for a in error.attempts] == [
        (number, False, None, False) for number in (1, 2, 3)
    ]
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "Connect call failed" in error.__cause__.strerror


async def test_a_name_that_is_none_was_never_sent(raw) -> None:
    async with raw.client("https://omium.invalid", max_retries=0) as omium:
        with pytest.raises(om.APIConnectionError) as caught:
            await omium.executions.create("wf")
    assert [attempt.sent for attempt in caught.value.attempts] == [False]
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("sessions", ["own", "users"])
async def test_a_connection_that_takes_too_long_was_never_sent(raw, sessions: str) -> None:
    """A listener whose queue is full leaves connections hanging."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
            fillers.append(filler)
        async with aiohttp.ClientSession() as session:
            own = session if sessions == "users" else None
            async with raw.client(f"http://127.0.0.1:{port}", attempt_timeout=0.2, session=own) as omium:
                with pytest.raises(om.APITimeoutError) as caught:
                    await omium.executions.create("wf")
        for filler in fillers:
            filler.close()
    assert [attempt.sent for attempt in caught.value.attempts] == [False]
    assert not caught.value.outcome_unknown


async def test_a_verdict_stays_unknown_when_a_later_attempt_was_refused(raw) -> None:
    async def handler(request) -> None:
        if request.number == 1:
            request.drop()
        else:
            await request.send(raw.answer(409))

    async with raw.pair(handler, max_retries=2, retry_ambiguous_writes=True) as (omium, _, attempts):
        with pytest.raises(om.ConflictError) as caught:
            await omium.executions.create("wf")
    assert caught.value.outcome_unknown
    assert [attempt.outcome_unknown for attempt in attempts] == [True, False]


async def test_an_ambiguous_write_sent_again_is_said_loudly(raw, caplog) -> None:
    async def handler(request) -> None:
        if request.number == 1:
            request.drop()
        else:
            await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_retries=2, retry_ambiguous_writes=True) as (omium, _, _attempts):
        await omium.executions.create("wf")
    assert ["may have been applied" in r.message for r in caplog.records if r.levelname == "WARNING"] == [True]


# -- reused connections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "sessions"), [("GET", "own"), ("PUT", "own"), ("POST", "own"), ("DELETE", "users")])
async def test_a_reused_connection_that_breaks_is_not_tried_again_in_secret(raw, method: str, sessions: str) -> None:
    async def handler(request, raw) -> None:
        if request.number == 2:
            request.drop()  # the keep-alive race: closed just as the request comes
        else:
            await request.send(raw.answer())

    async with client_of(raw, handler, sessions) as (omium, server, attempts):
        await omium.request("GET", "/warm-up")
        with pytest.raises(om.APIConnectionError) as caught:
            await omium.request(method, "/x")
        assert len(server.requests) == len(attempts) == 2
        assert caught.value.outcome_unknown is (method != "GET")
        assert server.connections == 1


@pytest.mark.parametrize(
    "farewell", [b"", b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"HT"]
)
async def test_an_idle_connection_that_was_closed_is_not_used(raw, farewell: bytes) -> None:
    """Neither its end nor a 408 may meet the next request, also while they lie unread in the kernel."""
    server_side: list = []

    async def handler(request) -> None:
        server_side.append(request)
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler) as (omium, server, attempts):
        await omium.executions.create("wf")
        connection = server_side[0].writer.get_extra_info("socket")
        raw_socket = socket.socket(fileno=socket.dup(connection.fileno()))
        raw_socket.setblocking(False)
        if farewell:
            raw_socket.send(farewell)
        raw_socket.shutdown(socket.SHUT_RDWR)  # no turn of the loop between this and the next call
        raw_socket.close()
        created = await omium.executions.create("wf")
    assert created.id == "exec_1"
    assert server.connections == 2
    assert [attempt.status for attempt in attempts] == [200, 200]


async def test_a_connection_that_is_closed_as_soon_as_it_is_made_was_not_sent(raw) -> None:
    def at_once(reader, writer) -> None:
        writer.transport.abort()

    listener = await asyncio.start_server(at_once, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, raw.client(f"http://127.0.0.1:{port}") as omium:
        with pytest.raises(om.APIConnectionError) as caught:
            await omium.executions.create("wf")
    # Whether the end was seen before or after the request went out is the network's doing; the verdict fits either.
    (attempt,) = caught.value.attempts
    assert caught.value.outcome_unknown is attempt.sent


async def test_connections_are_kept_and_used_again(raw) -> None:
    async with raw.pair(max_connections=3) as (omium, server, _):
        for _ in range(3):
            await asyncio.gather(*(omium.executions.get("e") for _ in range(10)))
    assert server.connections == 3


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_no_hook_replaces_the_result_of_a_write(raw, kind, caplog) -> None:
    def hook(attempt: om.Attempt) -> None:
        raise kind("mine")

    async with raw.pair(on_attempt=hook) as (omium, _, _attempts):
        assert (await omium.executions.create("wf")).id == "exec_1"
    (record,) = [record for record in caplog.records if record.name == "omium_async.transport.hooks"]
    assert record.exc_info[0] is kind


@pytest.mark.parametrize("status", [200, 404])
def test_ctrl_c_within_a_hook_is_not_lost(raw, status: int) -> None:
    def hook(attempt: om.Attempt) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        async def handler(request) -> None:
            await request.send(raw.answer(status, raw.EXECUTION))

        async with raw.pair(handler, on_attempt=hook, max_connections=1) as (omium, _, _attempts):
            try:
                await omium.executions.get("e")
            finally:
                assert omium._caller.shared.transport._sessions.known().gate._free == 1

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())

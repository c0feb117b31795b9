"""Hostile responses raise only errors of this package, within the deadline and in limited memory."""

from __future__ import annotations

import asyncio
import gzip
import random
import time
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import omium_async as om
from omium_async._transport.answers import read_error_body

GOOD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nX-Request-Id: abc\r\n\r\n"
    b'{"id": "e_123"}'
)
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"id": \r\n8\r\n"e_123"}\r\n0\r\n\r\n'


def packed(data: bytes) -> bytes:
    body = gzip.compress(data)
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: nonsense\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n folded: x\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n: none\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"a=b; " * 500 + b"\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    b"HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 1000 High\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 -1 Minus\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.0 200 OK\r\n\r\n{}",
    b"HTTP/0.9 200 OK\r\n\r\n{}",
    b"ICY 200 OK\r\n\r\n{}",
    b"\x00" * 1000,
    b"\r\n" * 1000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 3,
    b"HTTP/1.1 404 No\r\nRetry-After: " + b"9" * 5000 + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05hello",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" + GOOD,
    b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nabcde",
    packed(b"{}")[:-3],
    packed(b'{"id": "e_123"}') + b"trailing",
]


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("close", [True, False], ids=["closed", "left open"])
async def test_heads_and_bodies_that_are_none(raw, close: bool) -> None:
    async def handler(request) -> None:
        await request.send(data)
        if close:
            request.drop()

    data = b""
    async with raw.pair(handler, attempt_timeout=0.15, timeout=2.0) as (omium, _, attempts):
        for data in HEADS:
            for call in (omium.executions.get, omium.executions.create, lambda e: omium.request("HEAD", f"/{e}")):
                attempts.clear()
                try:
                    await call("e")
                except om.OmiumError as error:
                    (attempt,) = error.attempts
                    assert attempts == [attempt]
                    if call == omium.executions.create and not error.outcome_unknown:
                        assert attempt.status in {*range(400, 500), 501} - {408, 499}, data
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


@pytest.mark.parametrize("data", [GOOD, CHUNKED, packed(b'{"id": "e_123"}')], ids=["plain", "chunked", "gzip"])
async def test_cut_at_every_byte(raw, data: bytes) -> None:
    cut = 0

    async def handler(request) -> None:
        await request.send(data[:cut])
        request.drop()

    async with raw.pair(handler) as (omium, _, attempts):
        for cut in range(len(data) + 1):  # noqa: B007 - the handler reads it
            attempts.clear()
            try:
                found = await omium.executions.create("wf")
            except (om.APIConnectionError, om.InvalidResponseError) as error:
                assert error.outcome_unknown  # noqa: PT017 - at some bytes it succeeds
                assert len(attempts) == 1
            else:
                assert found.id == "e_123"[: len(found.id)]


def mutated(seed: int) -> bytes:
    """A good answer with a few bytes changed, dropped, doubled or put in."""
    draw = random.Random(seed)
    data = bytearray(draw.choice([GOOD, CHUNKED, packed(b'{"id": "e_123"}'), *HEADS]))
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) or 1)
        match draw.randrange(4):
            case 0 if data:
                data[at % len(data)] = draw.randrange(256)
            case 1:
                del data[at : at + draw.randint(1, 5)]
            case 2:
                data[at:at] = draw.choice(
                    [b"\r\n", b"\r\n\r\n", b"\x00", b": ", b"\xff", b"999999", b"HTTP/1.1 200 OK\r\n"]
                )
            case _:
                data[at:at] = data[at : at + draw.randint(1, 40)]
    return bytes(data)


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("seeds", [range(150), pytest.param(range(150, 2000), marks=pytest.mark.slow)])
async def test_mutations_of_good_answers(raw, seeds: range) -> None:
    data = b""

    async def handler(request) -> None:
        await request.send(data)
        request.drop()

    async with raw.pair(handler, attempt_timeout=0.5) as (omium, _, attempts):
        for seed in seeds:
            data = mutated(seed)
            attempts.clear()
            try:
                await omium.executions.create("wf")
            except om.OmiumError as error:
                if not error.outcome_unknown:
                    assert attempts[-1].status is not None, (seed, data)
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {data!r}") from error


# -- size -----------------------------------------------------------------------------------------------------------

MEGABYTE = 2**20


async def peak_of(raw, handler, **options) -> tuple[float, om.OmiumError]:
    """The largest memory that a call took beyond what there was, in MiB, and what it raised."""
    async with raw.pair(handler, max_response_bytes=MEGABYTE, **options) as (omium, _, _attempts):
        await omium.executions.get("warm-up")
        tracemalloc.start()
        try:
            with pytest.raises(om.OmiumError) as caught:
                await omium.executions.create("wf")
            return tracemalloc.get_traced_memory()[1] / MEGABYTE, caught.value
        finally:
            tracemalloc.stop()


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * MEGABYTE) for _ in range(size)) + packer.flush()


@pytest.mark.parametrize(
    ("form", "status"),
    [("length", 200), ("chunked", 500), ("until eof", 409), ("bomb", 200), ("bomb", 500), ("bomb in chunks", 409)],
)
async def test_a_body_beyond_the_bound(raw, form: str, status: int) -> None:
    exploding = bomb(50)

    async def handler(request) -> None:
        if request.number == 1:
            await request.send(raw.answer(body=raw.EXECUTION))
            return
        head = f"HTTP/1.1 {status} OK\r\n".encode()
        if form == "bomb":
            await request.send(
                head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(exploding) + exploding
            )
        elif form == "bomb in chunks":
            await request.send(head + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(exploding), 5000):
                piece = exploding[start : start + 5000]
                await request.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await request.send(b"0\r\n\r\n")
        else:
            headers = {
                "length": b"Content-Length: 52428800",
                "chunked": b"Transfer-Encoding: chunked",
                "until eof": b"X: y",
            }
            await request.send(head + headers[form] + b"\r\n\r\n")
            piece = b" " * 65536
            for _ in range(800):
                if request.writer.is_closing():
                    break
                await request.send(b"10000\r\n%b\r\n" % piece if form == "chunked" else piece)
            request.drop()

    peak, error = await peak_of(raw, handler, timeout=10)
    assert peak < 20
    assert error.outcome_unknown is (status != 409)
    if status == 200:
        assert isinstance(error, om.InvalidResponseError)
        assert "max_response_bytes" in str(error)
    else:
        assert error.status == status
        assert len(error.body) == 2**16


async def test_a_body_of_just_the_bound(raw) -> None:
    body = b'{"id": "e"}'.ljust(1000)

    async def handler(request) -> None:
        packed_body = gzip.compress(body)
        match request.number:
            case 1:
                await request.send(raw.answer(body=body))
            case 2:
                await request.send(raw.answer(200, packed_body, "Content-Encoding: gzip"))
            case _:
                await request.send(raw.answer(body=body + b" "))

    async with raw.pair(handler, max_response_bytes=1000) as (omium, _, _attempts):
        for _ in range(2):
            assert (await omium.executions.get("e")).id == "e"
        with pytest.raises(om.InvalidResponseError):
            await omium.executions.get("e")


@pytest.mark.parametrize("form", ["many headers", "one long header", "a long status line"])
async def test_an_endless_head(raw, form: str) -> None:
    async def handler(request) -> None:
        if request.number == 1:
            await request.send(raw.answer(body=raw.EXECUTION))
            return
        if form != "a long status line":
            await request.send(b"HTTP/1.1 200 OK\r\nX-Start: ")
        else:
            await request.send(b"HTTP/1.1 200 ")
        piece = b"y\r\nX: " * 5000 if form == "many headers" else b"y" * 30000
        for _ in range(500):
            if request.writer.is_closing():
                break
            await request.send(piece)

    peak, error = await peak_of(raw, handler, timeout=5)
    assert peak < 10
    assert error.outcome_unknown


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b'{"detail": ' + b"[" * 5000)
def test_any_body_of_a_refusal_gives_a_message(body: bytes) -> None:
    assert read_error_body(body, {"x": "y"}, "Reason").message.strip()


async def test_what_is_wrong_with_an_answer_is_said_with_its_place(raw) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(body=b'{"id": 5}'))) as (omium, _, _attempts):
        with pytest.raises(om.InvalidResponseError) as caught:
            await omium.executions.get("e")
    assert caught.value.path
    assert f"cannot be understood: {caught.value.path}: " in str(caught.value)


#: Each was once worked on in time that grew with the square of its length, or twice, or whole.
COSTLY = {
    "titles that nothing ends": lambda: b"<html>" + b"<title" * 2**20,
    "depth in an object": lambda: b'{"detail": ' * 2**18,
    "a long list": lambda: b'{"detail": [' + b'"x",' * 2**20 + b'"x"]}',
    "backslashes": lambda: b"\\" * 2**22,
    "spaces": lambda: b" \x1b" * 2**21,
    "a long id": lambda: b'{"message": "m", "trace_id": "' + b"t" * 60_000 + b'"}',
}


@pytest.mark.parametrize("cost", COSTLY)
async def test_a_refusal_costs_no_more_than_what_is_kept_of_it(raw, cost: str) -> None:
    body = gzip.compress(COSTLY[cost]())

    async def handler(request) -> None:
        if request.number == 1:
            await request.send(raw.answer(body=raw.EXECUTION))
            return
        await request.send(raw.answer(500, body, "Content-Encoding: gzip"))

    started = time.process_time()
    peak, error = await peak_of(raw, handler, timeout=10)
    assert time.process_time() - started < 5
    assert peak < 20
    assert error.status == 500
    assert len(error.body) <= 2**16
    assert len(str(error)) < 2000
    assert str(error).isprintable()


@pytest.mark.parametrize("status", [200, 404])
async def test_headers_and_reasons_that_are_not_utf_8_are_shown_as_text(raw, status: int) -> None:
    lines = [b"HTTP/1.1 %d \xff\xfe\x9b31m" % status, b"X-Mine: \xe9\xff", b"X-Request-Id: \xff\x1b[2J" + b"r" * 3000]

    async def handler(request) -> None:
        await request.send(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(om.OmiumError) as caught:
            await omium.executions.create("wf")
        ids = [caught.value.request_id, attempts[0].request_id]
        if status == 200:
            found = await omium.request("GET", "/x")
            ids.append(found.request_id)
            headers = found.headers
        else:
            headers = caught.value.headers
    for text in (str(caught.value), repr(caught.value), attempts[0].error, *ids):
        assert text.encode()
        assert text.isprintable()
    assert "".join([*headers, *headers.values()]).encode()
    assert max(len(one) for one in ids) <= 200

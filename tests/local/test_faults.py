"""Each fault, before and after the commit, as a client meets it."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import datetime as dt
import json

import aiohttp
import pytest

from omium_async.local import Fault, LocalOmium


async def raw(local, request: bytes) -> bytes:
    """What comes back on a connection of its own until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(local.url.rpartition(":")[2]))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def create(local) -> bytes:
    body = b'{"workflow_id": "w"}'
    lines = [
        "POST /api/v1/executions HTTP/1.1",
        "Host: x",
        f"X-API-Key: {local.api_key}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("when", ["before", "after"])
async def test_drop(local, connect, when):
    async with connect(local) as wire:
        local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))
        assert await raw(local, create(local)) == b""
        assert (await wire.get("/executions")).json["total"] == (when == "after")
        assert (await wire.call("POST", "/executions", {"workflow_id": "w"})).status == 201


@pytest.mark.parametrize("name", ["path", "method"])
def test_what_it_is_for_is_text(name):
    with pytest.raises(TypeError, match=f"{name} must be text, not 5"):
        Fault(**{name: 5})


@pytest.mark.parametrize("status", [429, 503])
async def test_a_status_alone_is_answered(local, connect, status):
    async with connect(local) as wire:
        local.inject(Fault(status=status))
        assert (await wire.get("/executions")).status == status


def test_without_a_status_nothing_is_answered():
    assert Fault().action == "drop"
    assert Fault(headers={"Retry-After": "0"}).action == Fault(body="no").action == "status"


async def test_the_same_fault_injected_twice_is_to_be_met_twice(local, connect):
    fault = Fault(status=503)
    local.inject(fault)
    local.inject(fault)
    async with connect(local) as wire:
        assert local.unmet_faults == (fault, fault)
        await wire.get("/executions")
        assert local.unmet_faults == (fault,)
        await wire.get("/executions")
        assert local.unmet_faults == ()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_status(local, connect, when):
    async with connect(local) as wire:
        fault = Fault(path="/executions", when=when, action="status", status=429, headers={"Retry-After": "7"}, times=2)
        local.inject(fault)
        for _ in range(2):
            answer = await wire.call("POST", "/executions", {"workflow_id": "w"})
            assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
            assert set(answer.json) == {"detail", "trace_id"}
        assert (await wire.get("/executions")).json["total"] == (2 if when == "after" else 0)
        local.inject(Fault(action="status", body=b"<html>", headers={"Content-Type": "text/html"}))
        answer = await wire.get("/executions")
        assert (answer.status, answer.headers["Content-Type"], answer.text) == (503, "text/html", "<html>")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_truncate(local, connect, when):
    async with connect(local) as wire:
        local.inject(Fault(when=when, action="truncate"))
        answer = await raw(local, create(local))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201" if when == "after" else b"HTTP/1.1 200")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert 0 < len(body) < length
        assert (await wire.get("/executions")).json["total"] == (when == "after")
        local.inject(Fault(when=when, action="truncate"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await wire.get("/executions")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_garbage(local, connect, when):
    async with connect(local) as wire:
        local.inject(Fault(when=when, action="garbage"))
        head, _, body = (await raw(local, create(local).replace(b"Host", b"Connection: close\r\nHost"))).partition(
            b"\r\n\r\n"
        )
        assert head.startswith(b"HTTP/1.1 200")
        with pytest.raises(ValueError):
            json.loads(body)
        assert (await wire.get("/executions")).json["total"] == (when == "after")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_stall_until_the_client_goes_away(local, connect, when):
    async with connect(local) as wire:
        local.inject(Fault(method="POST", when=when, action="stall"))
        posted = asyncio.create_task(wire.call("POST", "/executions", {"workflow_id": "w"}))
        while not local.requests:
            await asyncio.sleep(0.001)
        if when == "after":
            while (await wire.get("/executions")).json["total"] == 0:
                await asyncio.sleep(0.001)
        assert not posted.done()
        posted.cancel()
        await asyncio.wait([posted])
        connections = local._running.http.connections
        async with asyncio.timeout(30):
            while len(local._running.http.connections) == len(connections):
                await asyncio.sleep(0.001)
        assert (await wire.get("/executions")).json["total"] == (when == "after")


async def test_stall_until_the_server_stops(local, connect, monkeypatch):
    monkeypatch.setattr("omium_async.local.started._CLOSE_WITHIN", 60)
    async with connect(local) as wire:
        local.inject(Fault(action="stall", times=None))
        waiting = [asyncio.create_task(wire.get("/executions")) for _ in range(5)]
        while len(local.requests) < 5:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            await local.stop()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)


async def test_delay(local, connect):
    loop = asyncio.get_running_loop()
    async with connect(local) as wire:
        local.inject(Fault(action="delay", delay=0.05))
        start = loop.time()
        assert (await wire.get("/executions")).status == 200
        assert loop.time() - start >= 0.05


async def test_which_requests_a_fault_meets(local, connect):
    async with connect(local) as wire:
        local.inject(Fault(method="POST", path="/executions/*/replay", action="status", status=500, times=None))
        assert (await wire.get("/executions")).status == 200
        assert (await wire.get("/executions/x")).status == 404
        assert (await wire.move("x", "rollback", "c")).status == 404
        for _ in range(3):
            assert (await wire.move("x", "replay", "c")).status == 500
        local.clear_faults()
        assert (await wire.move("x", "replay", "c")).status == 404


@pytest.mark.parametrize(
    "path", ["/executions/{execution_id}/replay", "/api/v1/executions/{execution_id}/replay", "/api/v1/executions/*/*"]
)
async def test_faults_are_met_however_they_are_written(connect, path):
    async with connect(LocalOmium()) as wire:
        wire.local.inject(Fault(method="post", path=path, action="status", status=500))
        assert (await wire.get("/executions/x")).status == 404
        assert (await wire.move("x", "replay", "c")).status == 500


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xff", b"\xff"),
        (bytearray(b"a"), b"a"),
        ("é", "é".encode()),
        ({"a": (1,)}, b'{"a":[1]}'),
        ([], b"[]"),
        ("", b""),
    ],
    ids=repr,
)
def test_a_body_is_bytes_text_or_json(body, text):
    assert Fault(body=body).body == text


@pytest.mark.parametrize("body", [{"a": {1}}, float("nan"), object(), {1: 2}], ids=lambda body: type(body).__name__)
def test_a_body_that_json_cannot_hold_is_refused(body):
    with pytest.raises(TypeError, match="the body of a Fault is what JSON cannot hold"):
        Fault(body=body)


@pytest.mark.parametrize("action", ["status", "garbage", "truncate"])
async def test_headers_of_a_fault_take_the_place_of_others(connect, action):
    given = {"content-type": "text/html", "X-REQUEST-ID": "from-a-gateway", "Retry-After": "7"}
    local = LocalOmium(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    request = create(local).replace(b"Host: x", b"Host: x\r\nConnection: close")
    async with connect(local):
        for headers in (given, given | {"date": "Thu, 01 Jan 2015 00:00:00 GMT"}):
            local.inject(Fault(action=action, headers=headers))
            head = (await raw(local, request)).partition(b"\r\n\r\n")[0].decode()
            lines = [line.partition(": ") for line in head.splitlines()[1:]]
            got = {name.lower(): value for name, _, value in lines}
            assert len(got) == len(lines), head
            expected = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"} | {name.lower(): v for name, v in headers.items()}
            assert got.items() >= expected.items()


async def test_faults_come_in_the_order_of_their_injection(local, connect):
    async with connect(local) as wire:
        for status in (500, 502, 504):
            local.inject(Fault(action="status", status=status))
        assert [(await wire.get("/executions")).status for _ in range(4)] == [500, 502, 504, 200]


async def test_what_arrived_can_be_looked_at(local, connect):
    async with connect(local) as wire:
        await wire.call("POST", "/executions", {"workflow_id": "w"}, Idempotency_Key="k", X_Request_ID="r")
        await wire.get("/executions?page=2")
        await wire.move("x", "replay", "c")
        await wire.get("/nowhere")
        first, second, *_ = local.requests
        assert (first.method, first.path, first.idempotency_key, first.request_id, first.status) == (
            "POST", "/executions", "k", "r", 201)  # fmt: skip
        assert (second.query, second.status) == ("page=2", 200)
        assert local.counts == {
            "POST /executions": 1, "GET /executions": 1, "POST /executions/*/replay": 1, "GET other": 1}  # fmt: skip
        assert local.api_key not in repr(local.requests)


@pytest.mark.parametrize(
    "wrong", [{"action": "explode"}, {"when": "never"}, {"times": 0}, {"status": 99}, {"delay": -1}], ids=str
)
def test_faults_that_make_no_sense(wrong):
    with pytest.raises(ValueError):
        LocalOmium().inject(Fault(**wrong))


def test_what_is_given_says_the_action() -> None:
    assert Fault().action == "drop"
    assert Fault(status=500).action == Fault(headers={"Retry-After": "1"}).action == Fault(body={}).action == "status"
    assert Fault(action="drop", status=500).action == "drop"
    assert Fault(path="executions").matches("POST", "/executions")


@pytest.mark.parametrize(
    "wrong", [{"action": "explode"}, {"status": 42}, {"delay": -1}, {"when": "later"}, {"times": 0}]
)
def test_a_fault_that_cannot_be_says_so_in_a_line(wrong) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))} must be [^\n]{{1,120}}$"):
        Fault(**wrong)


@pytest.mark.parametrize("status", [200, 599])
def test_a_status_of_a_fault_is_any_that_ends_a_request(status) -> None:
    assert Fault(status=status).status == status
    for beyond in (199, 600):
        with pytest.raises(ValueError, match="from 200 to 599"):
            Fault(status=beyond)

"""The port and what arrives there: strangers, requests in odd forms, and no room for more."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import errno
import gzip
import logging
import resource
import socket
import sys
import zlib
from types import SimpleNamespace

import pytest

from omium_async.local import Fault, LocalOmium, PortInUseError
from omium_async.local.listener import Connection, Listener

from .test_faults import raw


async def test_strangers_use_up_no_fault_and_push_nobody_out(local, connect):
    async with connect(local) as wire:
        local.inject(Fault(action="status", status=418))
        first = await wire.create("w") if not local.unmet_faults else None
        assert first is None
        stranger = wire.as_tenant("not-a-key")
        for _ in range(120):
            assert (await stranger.get("/executions")).status == 401
        assert len(local.unmet_faults) == 1
        assert (await wire.get("/executions")).status == 418
        assert local.unmet_faults == ()
        assert [seen.status for seen in local.requests[-2:]] == [401, None]
        assert len(local.requests) == 101
        for _ in range(200):
            assert (await stranger.get("/executions")).status == 401
        assert [seen.status for seen in local.requests] == [None] + [401] * 100
        assert local.counts == {"GET /executions": 321}


@pytest.mark.skipif(sys.platform != "linux", reason="there this machine has one address of its own only")
async def test_it_listens_on_loopback_alone(local):
    async with local:
        port = int(local.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            pass
        with socket.socket() as another, pytest.raises(ConnectionRefusedError):
            another.connect(("127.0.0.2", port))  # where a server for all addresses would answer


async def test_what_is_no_http_is_answered_and_its_key_is_in_no_log(local, connect, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "omium_secret_0123456789"
    async with connect(local) as wire:
        for head in ("GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\x00\r\n\r\n",
                     "GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key {}\r\n\r\n",
                     "GET {} HTTP/9\r\n\r\n", "{}\r\n\r\n"):  # fmt: skip
            answer = await raw(local, head.format(secret).encode())
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer
            assert b'"detail":' in answer
            assert secret.encode() not in answer
        assert (await wire.get("/executions")).status == 200
    assert secret not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "HTTP://example.org", "https://x"])
async def test_targets_in_absolute_form(local, connect, base):
    async with connect(local):
        for path, start in (("/api/v1/executions?page=1", b"HTTP/1.1 200"), ("", b"HTTP/1.1 404")):
            lines = f"GET {base}{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {local.api_key}\r\nConnection: close\r\n\r\n"
            assert (await raw(local, lines.encode())).startswith(start)
        assert local.requests[0].path == "/executions"


BODY = b'{"workflow_id": "w", "input_data": "%s"}' % (b"x" * 1000)


def raw_deflate(body: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(body) + deflating.flush()


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(BODY), 201),
        ("GZIP", gzip.compress(BODY), 201),
        ("deflate", zlib.compress(BODY), 201),
        ("deflate", raw_deflate(BODY), 201),
        ("identity", BODY, 201),
        ("gzip", gzip.compress(BODY)[:-8], 400),
        ("gzip", gzip.compress(BODY)[:-1], 400),
        ("gzip", gzip.compress(BODY)[:30], 400),
        ("gzip", gzip.compress(BODY) + b"x", 400),
        ("gzip", gzip.compress(BODY)[:-8] + b"\0" * 8, 400),
        ("deflate", zlib.compress(BODY)[:-4], 400),
        ("gzip", BODY, 400),
        ("gzip", b"", 400),
        ("br", BODY, 415),
        ("gzip, gzip", BODY, 415),
        ("gzip", gzip.compress(b" " * (16 * 2**20 + 1)), 413),
        ("gzip", gzip.compress(b'"%s"' % (b" " * (16 * 2**20 - 2))), 422),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
async def test_compressed_bodies(connect, coding, body, status):
    async with connect(LocalOmium()) as wire:
        answer = await wire.call("POST", "/executions", data=body, Content_Encoding=coding)
        assert answer.status == status, answer.text[:200]
        assert (await wire.get("/executions")).json["total"] == (status == 201)


async def test_out_of_descriptors_is_said_once(connect, caplog, monkeypatch):
    monkeypatch.setattr("omium_async.local.listener._PAUSE", 0.02)
    local = LocalOmium()
    async with connect(local) as wire:
        assert (await wire.get("/executions")).status == 200
        port = int(local.url.rpartition(":")[2])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = [socket.socket() for _ in range(5)]
        highest = max(one.fileno() for one in spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            for one in spare:
                one.setblocking(False)
                await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
            async with asyncio.timeout(30):
                while "no connection can be taken" not in caplog.text:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        said = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.name for record in said] == ["omium_async.local.http"]
        head = f"GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key: {local.api_key}\r\n\r\n".encode()
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().sock_sendall(spare[0], head)
            assert (await asyncio.get_running_loop().sock_recv(spare[0], 100)).startswith(b"HTTP/1.1 200")
        for one in spare:
            one.close()


async def test_a_taken_port_has_a_class_of_its_own(connect):
    async with LocalOmium() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(PortInUseError) as caught:
            await LocalOmium(port=port).start()
        assert caught.value.port == port
        assert str(port) in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 1.5}, {"times": True}, {"times": "2"}, {"status": 500.0}, {"status": True}, {"delay": "1"},
        {"delay": float("inf")}, {"delay": float("nan")}, {"headers": {"a": "b\n"}}, {"headers": {"": "b"}},
    ],
    ids=str,
)  # fmt: skip
def test_faults_of_wrong_types(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fault(**wrong)


def test_headers_of_a_fault_are_text():
    with pytest.raises(TypeError, match="text"):
        Fault(headers={"Retry-After": 7})


async def test_where_no_connection_can_be_taken_it_is_tried_once_a_pause(monkeypatch):
    monkeypatch.setattr("omium_async.local.listener._PAUSE", 3600.0)
    tried = []
    listener = Listener(0)
    real = listener._socket

    def accept():
        tried.append("once")
        raise OSError(errno.EMFILE, "Too many open files")

    listener._socket = SimpleNamespace(fileno=real.fileno, close=real.close, accept=accept)
    listener.start(asyncio.Protocol)
    with socket.create_connection(("127.0.0.1", listener.port)):
        async with asyncio.timeout(30):
            while not tried:
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
    assert tried == ["once"]
    await listener.close()


@pytest.mark.parametrize(("status", "level"), [(400, "DEBUG"), (499, "DEBUG"), (500, "ERROR")])
def test_a_defect_of_the_server_is_logged_as_one(caplog, status, level):
    caplog.set_level(logging.DEBUG, logger="omium_async.local")
    request = SimpleNamespace(writer=SimpleNamespace(output_size=0))
    answer = Connection.handle_error(SimpleNamespace(), request, status, ValueError("no"), "a line with a key")
    assert (answer.status, [record.levelname for record in caplog.records]) == (status, [level])
    assert (b"Internal server error" in answer.body) is (level == "ERROR")
    assert "a key" not in caplog.text + answer.text

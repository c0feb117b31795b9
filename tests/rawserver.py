"""A server whose tests read and write the bytes on the wire, and fixtures for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Self

import attrs
import pytest

from omium_async import AsyncOmium, Attempt

KEY = "omium_test_0123456789abcdef"


@attrs.define
class RawRequest:
    """A request as it arrived."""

    head: bytes
    body: bytes
    number: int  # of all requests of the server, from 1
    writer: asyncio.StreamWriter = attrs.field(repr=False)

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def drop(self) -> None:
        """Close without any further byte."""
        self.writer.close()


Handler = Callable[[RawRequest], Awaitable[object]]


def answer(status: int = 200, body: bytes = b"{}", *headers: str, reason: str = "Some") -> bytes:
    """Return the bytes of a response."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


EXECUTION = b'{"id": "exec_1", "workflow_id": "wf", "status": "running"}'


class RawServer:
    """Reads requests and passes them to a handler; the connection stays open when the handler returns."""

    def __init__(self, handler: Handler | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.tls = tls
        self.requests: list[RawRequest] = []
        self.connections = 0
        self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    request = await self._read(reader, writer)
                    self.requests.append(request)
                    if self.handler is None:
                        await request.send(answer(body=EXECUTION))
                    else:
                        await self.handler(request)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> RawRequest:
        head = await reader.readuntil(b"\r\n\r\n")
        request = RawRequest(head, b"", len(self.requests) + 1, writer)
        length = int(request.headers.get("content-length", "0"))
        request.body = await reader.readexactly(length) if length else b""
        return request


class Tools:
    """Helpers for tests of clients and retries."""

    KEY = KEY
    EXECUTION = EXECUTION
    Server = RawServer
    Request = RawRequest
    answer = staticmethod(answer)

    @staticmethod
    def client(url: str, **options: object) -> AsyncOmium:
        options.setdefault("max_retries", 0)
        options.setdefault("backoff", (0, 0))
        return AsyncOmium(options.pop("api_key", KEY), base_url=url, **options)  # type: ignore[arg-type]

    @staticmethod
    @contextlib.asynccontextmanager
    async def pair(
        handler: Handler | None = None, *, tls: ssl.SSLContext | None = None, **options: object
    ) -> AsyncGenerator[tuple[AsyncOmium, RawServer, list[Attempt]]]:
        """A client, its server, and the attempts that the client reported."""
        attempts: list[Attempt] = []
        options.setdefault("on_attempt", attempts.append)
        async with RawServer(handler, tls) as server, Tools.client(server.url, **options) as client:
            yield client, server, attempts


@pytest.fixture
def raw() -> type[Tools]:
    return Tools


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty environment and home; returns the path of the config file."""
    for name in list(os.environ):
        if name.startswith("OMIUM_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".omium").mkdir()
    return tmp_path / ".omium" / "config.json"

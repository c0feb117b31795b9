"""Servers for the tests of LocalOmium, and an HTTP client that shows exactly what a server answers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

import omium_async
from omium_async.local import LocalOmium

#: A test with this mark runs twice: with a server in memory and with a server on a database file.
in_memory_and_on_file = pytest.mark.parametrize("local", ["memory", "file"], indirect=True)


@attrs.frozen
class Answer:
    """A response that was read to its end."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Http:
    """Send requests to one server with one API key."""

    def __init__(self, session: aiohttp.ClientSession, local: LocalOmium, key: str | None = None) -> None:
        self.session = session
        self.local = local
        self.url = f"{local.url}/api/v1"
        self.headers = {"X-API-Key": local.api_key if key is None else key}

    def with_key(self, key: str) -> Http:
        return Http(self.session, self.local, key)

    async def call(
        self, method: str, path: str, body: Any = None, *, data: Any = None, **headers: str | None
    ) -> Answer:
        """Send one request; a header that is None is left out."""
        if body is not None:
            data = io.BytesIO(json.dumps(body).encode())
        named = self.headers | {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        url = URL(f"{self.url}{path}", encoded=True)
        async with self.session.request(method, url, data=data, headers=named) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str = "/executions", **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, body: Any, key: str | None = None) -> Answer:
        return await self.call("POST", "/executions", body, Idempotency_Key=key)

    async def replay(self, execution_id: str, checkpoint_id: str, key: str | None = None) -> Answer:
        body = {"checkpoint_id": checkpoint_id}
        return await self.call("POST", f"/executions/{execution_id}/replay", body, Idempotency_Key=key)

    async def rollback(self, execution_id: str, checkpoint_id: str, key: str | None = None) -> Answer:
        body = {"checkpoint_id": checkpoint_id}
        return await self.call("POST", f"/executions/{execution_id}/rollback", body, Idempotency_Key=key)

    async def cancel(self, execution_id: str, key: str | None = None) -> Answer:
        return await self.call("PATCH", f"/executions/{execution_id}/status?status=cancelled", Idempotency_Key=key)

    async def delete(self, execution_id: str, key: str | None = None) -> Answer:
        return await self.call("DELETE", f"/executions/{execution_id}", Idempotency_Key=key)

    async def create(self, workflow_id: str = "none", input_data: Any = None, **more: Any) -> str:
        """Create an execution and return its id."""
        answer = await self.post({"workflow_id": workflow_id, "input_data": input_data, **more})
        assert answer.status == 201, answer
        return answer.json["id"]

    async def detail(self, execution_id: str) -> Any:
        answer = await self.get(f"/executions/{execution_id}")
        assert answer.status == 200, answer
        return answer.json

    async def page(self, query: str = "") -> Any:
        answer = await self.get(f"/executions?{query}")
        assert answer.status == 200, answer
        return answer.json

    async def total(self, query: str = "") -> int:
        return (await self.page(f"page_size=1&{query}"))["total"]

    async def until(self, execution_id: str, *statuses: str, checkpoints: int = 0) -> Any:
        """Return the details once the execution has one of the statuses and enough checkpoints."""
        while True:
            detail = await self.detail(execution_id)
            if detail["status"] in statuses and len(detail["checkpoints"]) >= checkpoints:
                return detail
            await asyncio.sleep(0.002)

    async def ended(self, workflow_id: str, input_data: Any = None, **more: Any) -> Any:
        """Create an execution and return its details once it has completed or failed."""
        return await self.until(await self.create(workflow_id, input_data, **more), "completed", "failed")


@contextlib.asynccontextmanager
async def serving(local: LocalOmium) -> AsyncIterator[Http]:
    """Start a server, and stop it at the end."""
    async with local, aiohttp.ClientSession() as session:
        session._retry_connection = False  # a test must see what happened to its one request
        yield Http(session, local)


@pytest.fixture
def local(request: pytest.FixtureRequest, tmp_path: Path) -> LocalOmium:
    """A server that is not started yet; executions of unregistered workflows stay pending."""
    on_file = getattr(request, "param", "memory") == "file"
    return LocalOmium(tmp_path / "omium.db" if on_file else None, strict=False)


@pytest.fixture
async def http(local: LocalOmium) -> AsyncIterator[Http]:
    """A client of `local`, which is started."""
    async with serving(local) as http:
        yield http


@pytest.fixture(scope="session")
def root() -> str:
    """The folder from which another process imports the package."""
    return str(Path(omium_async.__file__).parent.parent)


def port_of(local: LocalOmium) -> int:
    return int(local.url.rpartition(":")[2])


async def exchange(local: LocalOmium, request: bytes) -> bytes:
    """Send bytes on a new connection and return all bytes until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(local))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def names(detail: Any) -> list[str]:
    """The names of the checkpoints in details."""
    return [checkpoint["name"] for checkpoint in detail["checkpoints"]]


def create_request(local: LocalOmium, **values: str | None) -> bytes:
    """A create request in bytes; a header that is None is left out."""
    body = b'{"workflow_id": "w"}'
    headers: dict[str, str | None] = {"Host": "x", "X-API-Key": local.api_key, "Content-Length": str(len(body))}
    headers |= {name.replace("_", "-"): value for name, value in values.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["POST /api/v1/executions HTTP/1.1", *lines, "", ""]).encode() + body

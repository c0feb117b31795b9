"""A client of nothing but aiohttp: the server is tested by what it puts on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

import omium_async
from omium_async.local import LocalOmium


@attrs.frozen
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Wire:
    """Talks to one server as one tenant."""

    def __init__(self, session: aiohttp.ClientSession, local: LocalOmium, key: str | None = None) -> None:
        self.session = session
        self.local = local
        self.headers = {"X-API-Key": local.api_key if key is None else key}

    def as_tenant(self, key: str) -> Wire:
        return Wire(self.session, self.local, key)

    async def call(
        self, method: str, path: str, body: Any = None, *, data: bytes | None = None, **headers: str
    ) -> Answer:
        from yarl import URL

        url = URL(f"{self.local.url}/api/v1{path}", encoded=True)
        if body is not None:
            data = json.dumps(body).encode()
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, url, data=data, headers=given) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def create(self, workflow_id: str = "none", input_data: Any = None, **more: Any) -> str:
        answer = await self.call("POST", "/executions", {"workflow_id": workflow_id, "input_data": input_data, **more})
        assert answer.status == 201, answer
        return answer.json["id"]

    async def detail(self, execution_id: str) -> Any:
        answer = await self.get(f"/executions/{execution_id}")
        assert answer.status == 200, answer
        return answer.json

    async def move(self, execution_id: str, verb: str, checkpoint_id: str, **headers: str) -> Answer:
        return await self.call(
            "POST", f"/executions/{execution_id}/{verb}", {"checkpoint_id": checkpoint_id}, **headers
        )

    async def until(self, execution_id: str, *statuses: str) -> Any:
        """The details, once the execution has one of the statuses."""
        while True:
            detail = await self.detail(execution_id)
            if detail["status"] in statuses:
                return detail
            await asyncio.sleep(0.002)


@pytest.fixture(params=["memory", "file"])
def local(request, tmp_path) -> LocalOmium:
    """A server that is not started yet, in memory and on a file."""
    return LocalOmium(None if request.param == "memory" else tmp_path / "omium.db")


@pytest.fixture
def connect():
    """`async with connect(local) as wire`: starts a server and talks to it."""

    @contextlib.asynccontextmanager
    async def connected(local: LocalOmium):
        async with local, aiohttp.ClientSession() as session:
            session._retry_connection = False  # a test must see what happened to its one request
            yield Wire(session, local)

    return connected


@pytest.fixture(scope="session")
def root() -> str:
    """The folder to import the package from, in another process."""
    return str(Path(omium_async.__file__).parent.parent)

"""Consoles over a LocalOmium and over a service that does what a test wants of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

pytest.importorskip("jinja2", reason="the extra ui is not installed")

from omium_async import AsyncOmium
from omium_async.ui import console

KEY = "omium_secret_0123456789abcdef"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def stamp(seconds: float) -> str:
    """A moment so many seconds after `START`, as the service writes it."""
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def row(number: int, status: str = "completed", **more: Any) -> dict[str, Any]:
    """An execution as a list shows it; the larger its number, the newer it is."""
    return {
        "id": f"exec_{number}",
        "workflow_id": "report",
        "status": status,
        "created_at": stamp(number),
        "updated_at": stamp(number + 1),
        "input_data": {"n": number},
        "output_data": None,
        "metadata": {},
        **more,
    }


@attrs.define
class Service:
    """A service in memory that ignores idempotency keys, counts what it is asked, and can be told to misbehave."""

    rows: list[dict[str, Any]] = attrs.field(factory=list)  # newest first
    requests: list[tuple[str, str]] = attrs.field(factory=list)
    writes: list[tuple[str, Any]] = attrs.field(factory=list)
    most: int = 1000  # rows of a page, whatever is asked for
    totals: bool = True  # whether lists say how many there are
    sizes: bool = True  # whether pages say how many rows they hold at most
    delay: float = 0.0  # seconds that every answer takes
    trouble: str | int | None = None  # of all requests: "stall", "drop", or a status
    then: tuple[str, Callable[[], object]] | None = None  # done once such a query has got its answer
    held: asyncio.Event | None = None  # until which no write is answered
    write_trouble: str | int | None = None  # of writes, after they were applied; a status: before
    replay_answer: dict[str, Any] = attrs.field(factory=dict)
    url: str = ""
    written: asyncio.Event = attrs.field(factory=asyncio.Event)

    def checkpoints(self, execution_id: str, *names: str) -> None:
        """Give an execution checkpoints, a second apart."""
        found = self.find(execution_id)
        begin = datetime.fromisoformat(found["created_at"])
        found["checkpoints"] = [
            {"id": f"chk_{number}", "name": name, "created_at": (begin + timedelta(seconds=number)).isoformat()}
            for number, name in enumerate(names, 1)
        ]

    def find(self, execution_id: str) -> dict[str, Any]:
        return next(each for each in self.rows if each["id"] == execution_id)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        assert request.headers["X-API-Key"] == KEY
        await self._misbehave(request, self.trouble)
        path = request.path.removeprefix("/api/v1/executions").strip("/")
        if request.method == "POST":
            return await self._write(request, path)
        if not path:
            answer = self._page(request)
            if self.then is not None and self.then[0] in f"{request.query_string}&":
                asyncio.get_running_loop().call_later(0.02, self.then[1])
                self.then = None
            await asyncio.sleep(self.delay)
            return answer
        for each in self.rows:
            if each["id"] == path:
                return web.json_response({"checkpoints": [], **each})
        return web.json_response({"detail": "Execution not found"}, status=404)

    @staticmethod
    def number(query: Mapping[str, str]) -> int:
        return int(query.get("page", 1))

    def _page(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        filters = {name: query[name] for name in ("status", "workflow_id") if name in query}
        wanted = [each for each in self.rows if all(each[name] == text for name, text in filters.items())]
        number, size = self.number(query), min(int(query.get("page_size", 20)), self.most)
        shown = wanted[(number - 1) * size : number * size]
        items = [{name: value for name, value in each.items() if name != "checkpoints"} for each in shown]
        said: dict[str, Any] = {"page": number, "page_size": size} if self.sizes else {}
        return web.json_response({"items": items, **said, **({"total": len(wanted)} if self.totals else {})})

    async def _write(self, request: web.Request, path: str) -> web.StreamResponse:
        if isinstance(self.write_trouble, int):
            return web.json_response({"detail": "it is refused, <b>really</b>"}, status=self.write_trouble)
        body = await request.json(loads=json.loads)
        self.writes.append((path, body))
        self.written.set()
        if path:
            execution_id, _, action = path.rpartition("/")
            found = self.find(execution_id)
            found["status"] = "running" if action == "replay" else "paused"
            answer = {"id": execution_id, "status": found["status"], "message": f"{action} taken", **self.replay_answer}
        else:
            answer = row(len(self.rows) + 1, "running", workflow_id=body["workflow_id"])
            self.rows.insert(0, answer)
        if self.held is not None:
            await self.held.wait()
        await self._misbehave(request, self.write_trouble)
        return web.json_response(answer, status=200 if path else 201)

    async def _misbehave(self, request: web.Request, trouble: str | int | None) -> None:
        if trouble == "stall":
            await asyncio.sleep(3600)
        if trouble == "drop":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        if isinstance(trouble, int):
            text = json.dumps({"detail": f"trouble {trouble} with {KEY}"})
            headers = {"Retry-After": "40"} if trouble == 429 else {}
            raise _status(trouble, text, headers)


def _status(status: int, text: str, headers: dict[str, str]) -> web.HTTPException:
    class Trouble(web.HTTPException):
        status_code = status

    return Trouble(text=text, headers=headers, content_type="application/json")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that has no executions yet."""
    found = Service()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@contextlib.asynccontextmanager
async def served(omium: AsyncOmium, **options: Any) -> AsyncGenerator[TestClient]:
    """A console, and a client that asks it as its own pages do."""
    async with TestClient(TestServer(console(omium, **options))) as client:
        yield client


@pytest.fixture
async def omium(service: Service) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(KEY, base_url=service.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def page(omium: AsyncOmium, patient: object) -> AsyncIterator[TestClient]:
    """A console over the service."""
    async with served(omium) as client:
        yield client

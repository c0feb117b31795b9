"""Consoles over a LocalOmium and over a service in memory that does what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

pytest.importorskip("jinja2", reason="the extra ui is not installed")

from omium_async import AsyncOmium
from omium_async.ui import console

KEY = "omium_secret_0123456789abcdef"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
NASTY = '"><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">{{7*7}}'


def stamp(seconds: float) -> str:
    """The time so many seconds after `START`, as the service writes it."""
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def row(number: int, status: str = "completed", **more: Any) -> dict[str, Any]:
    """An execution as a list shows it; a larger number is newer."""
    times = {"created_at": stamp(number), "updated_at": stamp(number + 1)}
    data = {"input_data": {"n": number}, "output_data": None, "metadata": {}}
    return {"id": f"exec_{number}", "workflow_id": "report", "status": status, **times, **data, **more}


@attrs.frozen
class Refusal:
    """An answer of the service, or of a gateway before it, to any request."""

    status: int
    text: str
    content_type: str = "application/json"

    def answer(self) -> web.Response:
        return web.Response(status=self.status, text=self.text, content_type=self.content_type)


@attrs.define
class Service:
    """A service in memory that ignores idempotency keys, records requests, and misbehaves on request."""

    rows: list[dict[str, Any]] = attrs.field(factory=list)  # newest first
    requests: list[str] = attrs.field(factory=list)
    writes: list[tuple[str, Any]] = attrs.field(factory=list)
    most: int = 1000  # rows of a page, whatever is requested
    counts: bool = True  # whether lists say their total and the size of pages
    trouble: str | int | Refusal | None = None  # of all requests: "stall", "drop", a status, or a refusal
    write_trouble: str | int | Refusal | None = None  # of writes, after they were applied; a status or refusal: before
    held: asyncio.Event | None = None  # writes are answered after it
    replay_answer: dict[str, Any] = attrs.field(factory=dict)
    state: Any = None  # of every checkpoint
    url: str = ""
    written: asyncio.Event = attrs.field(factory=asyncio.Event)

    def fill(self, count: int, status: str = "failed", **more: Any) -> None:
        """Have so many executions, each with one checkpoint."""
        self.rows = [row(number, status, **more) for number in range(count, 0, -1)]
        for each in self.rows:
            self.checkpoints(each["id"], "read")

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
        self.requests.append(request.path_qs)
        assert request.headers["X-API-Key"] == KEY
        if isinstance(self.trouble, Refusal):
            return self.trouble.answer()
        await self._misbehave(request, self.trouble)
        path = request.path.removeprefix("/api/v1/")
        if path.startswith("checkpoints/"):
            found = {"id": request.path.rpartition("/")[2], "execution_id": "exec_1", "name": "read"}
            return web.json_response({**found, "state": self.state})
        path = path.removeprefix("executions").strip("/")
        if request.method != "GET":
            return await self._write(request, path)
        if not path:
            return self._page(request)
        for each in self.rows:
            if each["id"] == path:
                return web.json_response({"checkpoints": [], **each})
        return web.json_response({"detail": "Execution not found"}, status=404)

    def _page(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        filters = {name: query[name] for name in ("status", "workflow_id") if name in query}
        wanted = [each for each in self.rows if all(each[name] == text for name, text in filters.items())]
        number, size = int(query.get("page", 1)), min(int(query.get("page_size", 20)), self.most)
        shown = wanted[(number - 1) * size : number * size]
        items = [{name: value for name, value in each.items() if name != "checkpoints"} for each in shown]
        said = {"page": number, "page_size": size, "total": len(wanted)} if self.counts else {}
        return web.json_response({"items": items, **said})

    async def _write(self, request: web.Request, path: str) -> web.StreamResponse:
        if isinstance(self.write_trouble, Refusal):
            return self.write_trouble.answer()
        if isinstance(self.write_trouble, int):
            return web.json_response({"detail": "it is refused, <b>really</b>"}, status=self.write_trouble)
        text = await request.text()
        body = json.loads(text) if text else dict(request.query)
        self.writes.append((path, body))
        self.written.set()
        if path:
            execution_id, _, action = path.rpartition("/")
            found = self.find(execution_id)
            found["status"] = {"replay": "running", "rollback": "paused", "status": "cancelled"}[action]
            answer = {"id": execution_id, "status": found["status"], "message": f"{action} taken", **self.replay_answer}
        else:
            answer = row(len(self.rows) + 1, "running", workflow_id=body["workflow_id"])
            self.rows.insert(0, answer)
        if self.held is not None:
            await self.held.wait()
        await self._misbehave(request, self.write_trouble)
        return web.json_response(answer, status=200 if path else 201)

    async def _misbehave(self, request: web.Request, trouble: object) -> None:
        if trouble == "stall":
            await asyncio.sleep(3600)
        if trouble == "drop":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        if isinstance(trouble, int):
            error = type("Trouble", (web.HTTPException,), {"status_code": trouble})
            headers = {"Retry-After": "40"} if trouble == 429 else {}
            text = json.dumps({"detail": f"trouble {trouble} with {KEY}"})
            raise error(text=text, headers=headers, content_type="application/json")


@attrs.define
class Page:
    """Sends requests as the console's own pages do."""

    client: TestClient[Any, Any]

    @property
    def origin(self) -> str:
        return f"http://{self.client.host}:{self.client.port}"

    async def get(self, path: str, status: int = 200, **headers: str) -> str:
        """The page at a path, which must have this status and must not contain the key."""
        answer = await self.client.get(URL(path, encoded=True), headers=headers)
        text = await answer.text()
        assert answer.status == status, text
        assert KEY not in text
        return text

    async def look(self, path: str, look: str, have: str = "", as_of: str = "") -> str:
        """What a page's script receives when it looks for changes."""
        pair = "&" if "?" in path else "?"
        query = f"{pair}look={look}&have={quote(have)}&as_of={quote(as_of)}"
        answer = await self.client.get(URL(path + query, encoded=True), headers={"HX-Request": "true"})
        assert answer.status in (200, 204)
        return await answer.text()

    async def post(self, path: str, data: dict[str, str], **headers: str) -> Any:
        """Send a form."""
        kind = {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        body = io.BytesIO(urlencode(data).encode())
        return await self.client.post(path, data=body, headers=kind | headers, allow_redirects=False)

    async def wait_for(self, path: str, wanted: str) -> str:
        """The page at a path, once it contains a text."""
        async with asyncio.timeout(20):
            while wanted not in (text := await self.get(path)):  # noqa: ASYNC110 - the console changes by itself
                await asyncio.sleep(0.01)
        return text


def fields(text: str) -> dict[str, str]:
    """The hidden fields of the form that posts."""
    form = re.search(r'<form method="post".*?</form>', text, re.DOTALL)
    assert form is not None, text
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])}


def ids(text: str) -> list[str]:
    """The executions that a page lists."""
    return re.findall(r'id="row-(exec_\d+)"', text)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service without executions."""
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
async def served(omium: AsyncOmium, **options: Any) -> AsyncGenerator[Page]:
    """A console."""
    async with TestClient(TestServer(console(omium, **options))) as client:
        yield Page(client)


@pytest.fixture
async def omium(service: Service) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(KEY, base_url=service.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def page(omium: AsyncOmium, patient: object) -> AsyncIterator[Page]:
    """A console over the service, in virtual time."""
    async with served(omium) as page:
        yield page

"""The HTTP application: authentication, routing, faults, and errors in the form of the service and its gateway.

It also keeps the requests that arrived, for tests.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import sqlite3
import uuid
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

import attrs
from aiohttp import web
from multidict import CIMultiDict

from . import wire
from .errors import Refusal
from .handlers import HandlerRequest, Reply, readable
from .inputs import InvalidError
from .jsontext import dumps
from .routes import BASE, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .faults import Fault, FaultInjector, Faults
    from .handlers import Handlers
    from .keyring import Keyring
    from .store import Tenant

_log = logging.getLogger("omium_async.local.http")

_RESERVED: Final = frozenset({"live", "compare"})  # routes of the service, not ids
_REQUEST_ID: Final = re.compile(r"[^A-Za-z0-9._:/+=@-]", re.ASCII)
_JSON: Final = "application/json"
_REQUESTS_KEPT: Final = 1000


@attrs.define
class SeenRequest:
    """A request as it arrived, without its API key.

    :ivar method: the HTTP method.
    :ivar path: the path below `/api/v1`.
    :ivar query: the part of the URL after the `?`.
    :ivar request_id: its `X-Request-ID`, or the one that the server created.
    :ivar idempotency_key: its `Idempotency-Key`, or None.
    :ivar status: of the response that was sent; None while there is none, or if a fault dropped it.
    """

    method: str
    path: str
    query: str
    request_id: str
    idempotency_key: str | None
    status: int | None = None


class RequestLog:
    """The last 1,000 requests, oldest first, and how many arrived of each kind, such as `GET /executions/*`."""

    def __init__(self) -> None:
        self.seen: deque[SeenRequest] = deque(maxlen=_REQUESTS_KEPT)
        self.counts: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget all requests and counts."""
        self.seen.clear()
        self.counts.clear()

    def arrived(self, seen: SeenRequest) -> None:
        """Record a request at its arrival."""
        self.seen.append(seen)
        self.counts[_kind(seen.method, seen.path)] += 1


def _kind(method: str, path: str) -> str:
    """Return `GET /executions/*` for any id. All unknown paths are one kind, so that there are few counters."""
    routes, _ = find(path)
    for route in routes.values():
        return route.kind.replace(route.method, method, 1)
    return f"{method} other"


class App:
    """Answers the requests of one running server."""

    def __init__(
        self,
        handlers: Handlers,
        keyring: Keyring,
        *,
        faults: Faults,
        log: RequestLog,
        injector: FaultInjector,
        date: Callable[[], str | None],
    ) -> None:
        self._handlers = handlers
        self._keyring = keyring
        self._faults = faults
        self._log = log
        self._injector = injector
        self._date = date
        self._open = asyncio.Event()
        self._open.set()
        self._in_progress: dict[asyncio.Task[object], web.BaseRequest] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request of aiohttp's server."""
        await self._open.wait()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._in_progress[task] = request
        try:
            return await self._answer(request)
        finally:
            del self._in_progress[task]

    async def shut(self) -> None:
        """Cut off all requests in progress. Requests that arrive later wait for `reopen`."""
        self._open.clear()
        tasks = list(self._in_progress)
        for task, request in list(self._in_progress.items()):
            if request.transport is not None:
                request.transport.close()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def reopen(self) -> None:
        """Answer requests again."""
        self._open.set()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = readable(request.raw_path).partition("?")
        tenant = self._tenant(request)
        request_id = _request_id(request.headers.get("X-Request-ID"))
        route = path.removeprefix(BASE)
        seen = SeenRequest(request.method, route, query, request_id, request.headers.get("Idempotency-Key"))
        self._log.arrived(seen)
        fault = self._faults.take(request.method, route) if self._faults and tenant is not None else None
        if fault is not None and fault.when == "before":
            replaced = await self._inject(request, fault, None, seen)
            if replaced is not None:
                return replaced
        reply = await self._reply(request, path, query, tenant)
        headers = self._headers(request_id)
        headers.update(reply.headers)
        response = web.Response(status=reply.status, body=reply.body, headers=headers)
        if fault is not None and fault.when == "after":
            replaced = await self._inject(request, fault, response, seen)
            if replaced is not None:
                return replaced
        seen.status = reply.status
        return response

    async def _inject(
        self, request: web.BaseRequest, fault: Fault, response: web.Response | None, seen: SeenRequest
    ) -> web.StreamResponse | None:
        headers = self._headers(seen.request_id)
        replaced, seen.status = await self._injector.respond(request, fault, response, headers)
        return replaced

    def _headers(self, request_id: str) -> CIMultiDict[str]:
        """Return the headers of every response, also of one that a fault creates."""
        headers = CIMultiDict({"Content-Type": _JSON, "x-request-id": request_id})
        date = self._date()
        if date is not None:
            headers["Date"] = date
        return headers

    async def _reply(self, request: web.BaseRequest, path: str, query: str, tenant: Tenant | None) -> Reply:
        fields = {"omium_method": request.method, "omium_path": path}
        try:
            return await self._dispatch(request, path, query, tenant)
        except InvalidError as error:
            return _error(422, error.problems)
        except Refusal as refusal:
            return _error(refusal.status, refusal.detail)
        except web.RequestPayloadError:
            return _error(400, "The body could not be read")
        except sqlite3.Error as error:
            _log.exception("the database refused %s %s", request.method, path, extra=fields)
            return _error(500, f"The database refused: {error}")
        except ConnectionError:
            raise  # the client disconnected while it sent the body
        except Exception:  # noqa: BLE001 - the client gets a response in any case
            _log.exception("%s %s", request.method, path, extra=fields)
            return _error(500, "Internal server error")

    async def _dispatch(self, request: web.BaseRequest, path: str, query: str, tenant: Tenant | None) -> Reply:
        """Call the handler. Unknown paths are rejected as by the gateway; methods, keys and ids as by the service."""
        method = request.method
        below = path.removeprefix(BASE)
        routes, raw_id = find(below) if below != path else ({}, "")
        if not routes:
            return Reply(404, dumps({"message": "no Route matched with those values"}))
        if method not in routes:
            return _not_allowed(routes)
        if tenant is None:
            return _error(401, "Invalid or missing API key")
        call = HandlerRequest(request, tenant, below, query, unquote(raw_id))
        if call.id in _RESERVED and below.startswith("/executions/"):
            return _error(404, "Not Found")
        return await routes[method].handler(self._handlers, call)

    def _tenant(self, request: web.BaseRequest) -> Tenant | None:
        key = request.headers.get("X-API-Key", "").strip()
        if not key:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
        return self._keyring.tenant_of(key.strip())


def _request_id(given: str | None) -> str:
    """Return the id that the client sent, without characters that are unsafe in headers and logs, or a new one."""
    return (_REQUEST_ID.sub("", given)[:128] if given else "") or str(uuid.uuid4())


def _error(status: int, detail: object) -> Reply:
    return Reply(status, wire.error(detail, secrets.token_hex(16)))


def _not_allowed(methods: Iterable[str]) -> Reply:
    reply = _error(405, "Method Not Allowed")
    return attrs.evolve(reply, headers={"Allow": ", ".join(sorted(methods))})

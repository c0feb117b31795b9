"""The HTTP face: who asks for what, and how it is answered, in the form of the service and of its gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import sqlite3
import uuid
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

import attrs
from aiohttp import web
from multidict import CIMultiDict

from . import wire
from .arrivals import SeenRequest
from .errors import Refusal
from .handlers import Call, Reply, readable
from .inputs import InvalidError
from .jsontext import dumps
from .openapi import DOCUMENT
from .routes import BASE, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .arrivals import RequestLog
    from .faults import Fault, Faults
    from .handlers import Handlers
    from .keyring import Keyring
    from .sabotage import Saboteur
    from .store import Tenant

__all__ = ["App"]

_log = logging.getLogger("omium_async.local.http")

_RESERVED: Final = frozenset({"live", "compare"})  # routes of the service, never ids
_REQUEST_ID: Final = re.compile(r"[^A-Za-z0-9._:/+=@-]", re.ASCII)
_ORIGIN: Final = re.compile(r"https?://[^/?#]*", re.ASCII | re.IGNORECASE)  # before the path, in the form for proxies
_JSON: Final = "application/json"
_PIECE: Final = 2**18  # bytes that are given to a connection at once


class App:
    """Answers requests. One per started server."""

    def __init__(
        self,
        handlers: Handlers,
        keyring: Keyring,
        *,
        faults: Faults,
        log: RequestLog,
        saboteur: Saboteur,
        date: Callable[[], str | None],
    ) -> None:
        self._handlers = handlers
        self._keyring = keyring
        self._faults = faults
        self._log = log
        self._saboteur = saboteur
        self._date = date
        self._open = asyncio.Event()
        self._open.set()
        self._under_way: dict[asyncio.Task[object], web.BaseRequest] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler of aiohttp's server."""
        await self._open.wait()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._under_way[task] = request
        try:
            return await self._answer(request)
        finally:
            del self._under_way[task]

    async def shut(self) -> None:
        """Cuts off the requests under way; those that arrive from now on wait for `reopen`."""
        self._open.clear()
        tasks = list(self._under_way)
        for task, request in list(self._under_way.items()):
            if request.transport is not None:
                request.transport.close()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def reopen(self) -> None:
        """Requests are answered again."""
        self._open.set()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = readable(_ORIGIN.sub("", request.raw_path, count=1)).partition("?")
        tenant = self._tenant(request)
        request_id = _request_id(request.headers.get("X-Request-ID"))
        route = path.removeprefix(BASE)
        seen = SeenRequest(request.method, route, query, request_id, request.headers.get("Idempotency-Key"))
        self._log.arrived(seen, known=tenant is not None)
        fault = self._faults.take(request.method, route) if self._faults and tenant is not None else None
        if fault is not None and fault.when == "before":
            spoiled = await self._saboteur.spoil(request, fault, None, self._headers(request_id))
            if spoiled is not None:
                return spoiled
        reply = await self._reply(request, path, query, tenant)
        seen.status = reply.status
        headers = self._headers(request_id)
        headers.update(reply.headers)
        if fault is not None and fault.when == "after":
            return await self._spoil(request, fault, reply, request_id, headers)
        return await _sent(request, reply, headers)

    async def _spoil(
        self, request: web.BaseRequest, fault: Fault, reply: Reply, request_id: str, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        response = web.Response(status=reply.status, body=reply.body, headers=headers)
        spoiled = await self._saboteur.spoil(request, fault, response, self._headers(request_id))
        return await _sent(request, reply, headers) if spoiled is None else spoiled

    def _headers(self, request_id: str) -> CIMultiDict[str]:
        """What the head of every answer holds, also of one that a fault makes."""
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
            return _trouble(422, error.problems)
        except Refusal as refusal:
            return _trouble(refusal.status, refusal.detail)
        except web.RequestPayloadError:
            return _trouble(400, "The body could not be read")
        except sqlite3.Error as error:
            _log.exception("the database refused %s %s", request.method, path, extra=fields)
            return _trouble(500, f"The database refused: {error}")
        except ConnectionError:
            raise  # the client went away in the middle of its body
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("%s %s", request.method, path, extra=fields)
            return _trouble(500, "Internal server error")

    async def _dispatch(self, request: web.BaseRequest, path: str, query: str, tenant: Tenant | None) -> Reply:
        """Finds the handler. The gateway knows the paths, the service behind it the keys, the methods and the ids."""
        method = request.method
        if path in {"/openapi.json", f"{BASE}/openapi.json"}:
            return Reply(200, DOCUMENT) if method == "GET" else _not_allowed({"GET"})
        below = path.removeprefix(BASE)
        routes, raw_id = find(below) if below != path else ({}, "")
        if not routes:
            return Reply(404, dumps({"message": "no Route matched with those values"}))
        if method not in routes:
            return _not_allowed(routes)
        if tenant is None:
            return _trouble(401, "Invalid or missing API key")
        execution_id = unquote(raw_id)
        if execution_id in _RESERVED:
            return _trouble(404, "Not Found")
        return await self._handlers.of(routes[method].operation)(Call(request, tenant, below, query, execution_id))

    def _tenant(self, request: web.BaseRequest) -> Tenant | None:
        key = request.headers.get("X-API-Key", "").strip()
        if not key:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
        return self._keyring.tenant_of(key.strip())


async def _sent(request: web.BaseRequest, reply: Reply, headers: CIMultiDict[str]) -> web.StreamResponse:
    """The answer, to be sent by aiohttp; one that is made piece by piece is sent here."""
    if reply.rest is None:
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    await _write(response, reply.body)
    async with contextlib.aclosing(reply.rest) as pieces:
        async for piece in pieces:
            await _write(response, piece)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, body: bytes) -> None:
    """Not faster than the client reads: of a large row, a part is in the connection's own buffer at a time."""
    view = memoryview(body)
    for start in range(0, len(view), _PIECE):
        await response.write(view[start : start + _PIECE])


def _request_id(given: str | None) -> str:
    """The client's own id of its request, without what does not belong into a header or a log; else a new one."""
    return (_REQUEST_ID.sub("", given)[:128] if given else "") or str(uuid.uuid4())


def _trouble(status: int, detail: object) -> Reply:
    return Reply(status, wire.trouble(detail, secrets.token_hex(16)))


def _not_allowed(methods: Iterable[str]) -> Reply:
    reply = _trouble(405, "Method Not Allowed")
    return attrs.evolve(reply, headers={"Allow": ", ".join(sorted(methods))})

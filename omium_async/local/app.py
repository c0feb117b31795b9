"""The HTTP face: routes, keys, bodies, and errors in the form of the service and of the gateway before it."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs
from aiohttp import web
from multidict import CIMultiDict

from . import inputs, lists, wire
from .errors import Refusal
from .inputs import InvalidError
from .jsontext import dumps
from .openapi import DOCUMENT

if TYPE_CHECKING:
    from .database import Database
    from .engine import Engine
    from .faults import Faults
    from .keys import Keyring
    from .log import RequestLog
    from .sabotage import Saboteur
    from .store import IdempotencyKey, Tenant

__all__ = ["App", "Options"]

_log = logging.getLogger("omium_async")

_BASE: Final = "/api/v1"
_MAX_BODY: Final = 16 * 2**20
_RESERVED: Final = frozenset({"live", "compare"})  # routes of the service, never ids
_REQUEST_ID: Final = re.compile(r"[^A-Za-z0-9._:/+=@-]", re.ASCII)
_JSON: Final = "application/json"


@attrs.frozen
class Reply:
    """An answer, before a fault may spoil it."""

    status: int
    body: bytes
    headers: dict[str, str] = attrs.field(factory=dict[str, str])


@attrs.define
class Call:
    """One request as the handlers see it; `route` is its path below the base, ids and all."""

    request: web.BaseRequest
    method: str
    route: str
    query: str
    execution_id: str = ""


@attrs.define
class Options:
    """What may be changed while the server runs."""

    honor_idempotency: bool = True


Handler = Callable[[Call, "Tenant"], Awaitable[Reply]]


class App:
    """Answers requests. One per started server."""

    def __init__(
        self,
        engine: Engine,
        database: Database,
        keyring: Keyring,
        *,
        options: Options,
        faults: Faults,
        log: RequestLog,
        saboteur: Saboteur,
        date: Callable[[], str | None],
    ) -> None:
        self._engine = engine
        self._database = database
        self._keyring = keyring
        self._options = options
        self._faults = faults
        self._log = log
        self._saboteur = saboteur
        self._date = date
        self._collection: dict[str, Handler] = {"GET": self._list, "POST": self._create}
        self._member: dict[str, Handler] = {"GET": self._get}
        self._actions: dict[str, dict[str, Handler]] = {
            "replay": {"POST": self._replay},
            "rollback": {"POST": self._rollback},
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler of aiohttp's server."""
        path, _, query = _readable(request.raw_path).partition("?")
        method = request.method
        route = path.removeprefix(_BASE)
        request_id = _request_id(request.headers.get("X-Request-ID"))
        seen = self._log.arrived(method, route, query, request_id, request.headers.get("Idempotency-Key"))
        fault = self._faults.take(method, route) if self._faults else None
        if fault is not None and fault.when == "before":
            spoiled = await self._saboteur.spoil(request, fault, None, self._headers(request_id))
            if spoiled is not None:
                return spoiled
        reply = await self._reply(request, method, path, query)
        seen.status = reply.status
        headers = self._headers(request_id)
        headers.update(reply.headers)
        response = web.Response(status=reply.status, body=reply.body, headers=headers)
        if fault is not None and fault.when == "after":
            spoiled = await self._saboteur.spoil(request, fault, response, self._headers(request_id))
            if spoiled is not None:
                return spoiled
        return response

    def _headers(self, request_id: str) -> CIMultiDict[str]:
        """What the head of every answer holds, also of one that a fault makes."""
        headers = CIMultiDict({"Content-Type": _JSON, "x-request-id": request_id})
        date = self._date()
        if date is not None:
            headers["Date"] = date
        return headers

    async def _reply(self, request: web.BaseRequest, method: str, path: str, query: str) -> Reply:
        try:
            return await self._dispatch(request, method, path, query)
        except InvalidError as error:
            return _trouble(422, error.problems)
        except Refusal as refusal:
            return _trouble(refusal.status, refusal.detail)
        except web.RequestPayloadError as error:
            return _trouble(400, f"The body could not be read: {error}")
        except sqlite3.Error as error:
            _log.exception("the database refused %s %s", method, path)
            return _trouble(500, f"The database refused: {error}")
        except ConnectionError:
            raise  # the client went away in the middle of its body
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("%s %s", method, path)
            return _trouble(500, "Internal server error")

    async def _dispatch(self, request: web.BaseRequest, method: str, path: str, query: str) -> Reply:
        """Finds the handler. The gateway knows the paths, the service behind it the keys, the methods and the ids."""
        if path in {"/openapi.json", f"{_BASE}/openapi.json"}:
            return Reply(200, DOCUMENT) if method == "GET" else _not_allowed({"GET"})
        route = path.removeprefix(_BASE)
        segments = route.split("/")[1:] if path != route else []
        call = Call(request, method, route, query)
        match segments:
            case ["executions"]:
                handlers = self._collection
            case ["executions", raw_id] if raw_id:
                handlers = self._member
                call.execution_id = unquote(raw_id)
            case ["executions", raw_id, action] if raw_id and action in self._actions:
                handlers = self._actions[action]
                call.execution_id = unquote(raw_id)
            case _:
                return Reply(404, dumps({"message": "no Route matched with those values"}))
        handler = handlers.get(method)
        if handler is None:
            return _not_allowed(handlers)
        tenant = self._tenant(request)
        if tenant is None:
            return _trouble(401, "Invalid or missing API key")
        if call.execution_id in _RESERVED:
            return _trouble(404, "Not Found")
        return await handler(call, tenant)

    def _tenant(self, request: web.BaseRequest) -> Tenant | None:
        key = request.headers.get("X-API-Key", "").strip()
        if not key:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
        return self._keyring.tenant_of(key.strip())

    async def _list(self, call: Call, tenant: Tenant) -> Reply:
        query = inputs.list_query(call.query)

        def read(connection: sqlite3.Connection) -> bytes:
            found = lists.page(
                connection,
                tenant,
                query.page,
                query.page_size,
                workflow_id=query.workflow_id,
                status=query.status,
            )
            return wire.page(found, tenant, query.page, query.page_size)

        return Reply(200, await self._database.read(read))

    async def _get(self, call: Call, tenant: Tenant) -> Reply:
        def read(connection: sqlite3.Connection) -> bytes:
            return wire.detail(*lists.detail(connection, tenant, call.execution_id), tenant)

        return Reply(200, await self._database.read(read))

    async def _create(self, call: Call, tenant: Tenant) -> Reply:
        body = inputs.json_object(await _body(call.request))
        answer = await self._engine.create(tenant, inputs.submission(body), self._key(call, body))
        return Reply(answer.status, answer.body)

    async def _replay(self, call: Call, tenant: Tenant) -> Reply:
        body = inputs.json_object(await _body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        answer = await self._engine.replay(tenant, call.execution_id, checkpoint_id, self._key(call, body))
        return Reply(answer.status, answer.body)

    async def _rollback(self, call: Call, tenant: Tenant) -> Reply:
        body = inputs.json_object(await _body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        answer = await self._engine.rollback(tenant, call.execution_id, checkpoint_id, self._key(call, body))
        return Reply(answer.status, answer.body)

    def _key(self, call: Call, body: dict[str, object]) -> IdempotencyKey | None:
        if not self._options.honor_idempotency:
            return None
        header = call.request.headers.get("Idempotency-Key")
        return None if header is None else inputs.idempotency_key(_readable(header), call.route, body)


class _TooLargeError(Refusal):
    status = 413


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body, decompressed, as far as it is within the limit."""
    if (request.content_length or 0) > _MAX_BODY:
        raise _TooLargeError(f"The body is larger than {_MAX_BODY} bytes")
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    whole = bytearray()
    while chunk := await request.content.readany():
        whole += chunk
        if len(whole) > _MAX_BODY:
            raise _TooLargeError(f"The body is larger than {_MAX_BODY} bytes")
        if request.content.at_eof():
            break
    return bytes(whole)


def _request_id(given: str | None) -> str:
    """The client's own id of its request, without what does not belong into a header or a log; else a new one."""
    return (_REQUEST_ID.sub("", given)[:128] if given else "") or str(uuid.uuid4())


def _readable(text: str) -> str:
    """What aiohttp kept as lone surrogates, bytes that are not UTF-8, as the character for what cannot be read."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")


def _trouble(status: int, detail: object) -> Reply:
    return Reply(status, wire.trouble(detail, secrets.token_hex(16)))


def _not_allowed(methods: Iterable[str]) -> Reply:
    reply = _trouble(405, "Method Not Allowed")
    return attrs.evolve(reply, headers={"Allow": ", ".join(sorted(methods))})

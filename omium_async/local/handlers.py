"""One handler for each route: reads the request, calls the engine or the database, and returns the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from . import inputs, lists, wire
from .errors import MissingError

if TYPE_CHECKING:
    import sqlite3

    from aiohttp import web

    from .database import Database
    from .engine import Engine
    from .registry import Registry
    from .store import Tenant
    from .writes import IdempotencyKey, WriteAnswer


@attrs.frozen
class Reply:
    """A response, before a fault applies."""

    status: int
    body: bytes
    headers: dict[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class HandlerRequest:
    """A request for the handlers. `path` is below the base, `id` the id in it."""

    request: web.BaseRequest
    tenant: Tenant
    path: str
    query: str
    id: str


@attrs.define
class ServerOptions:
    """Options of the server that may change while it runs.

    :ivar honor_idempotency: an `Idempotency-Key` has an effect.
    :ivar strict: executions of unregistered workflows are rejected; ``None``: as soon as one workflow is registered.
    :ivar uuids: executions whose `workflow_id` or `agent_id` is no UUID are rejected.
    """

    honor_idempotency: bool = True
    strict: bool | None = None
    uuids: bool = False


class Handlers:
    """The handlers of one server."""

    def __init__(self, engine: Engine, database: Database, workflows: Registry, options: ServerOptions) -> None:
        self._engine = engine
        self._workflows = workflows
        self._database = database
        self._options = options

    async def list_executions(self, call: HandlerRequest) -> Reply:
        query = inputs.list_query(call.query)

        def read(connection: sqlite3.Connection) -> bytes:
            found = lists.page(
                connection,
                call.tenant,
                query.page,
                query.page_size,
                workflow_id=query.workflow_id,
                status=query.status,
            )
            return wire.page(found, call.tenant, query.page, query.page_size)

        return Reply(200, await self._database.do(read))

    async def get_execution(self, call: HandlerRequest) -> Reply:
        def read(connection: sqlite3.Connection) -> bytes:
            return wire.detail(*lists.detail(connection, call.tenant, call.id), call.tenant)

        return Reply(200, await self._database.do(read))

    async def create_execution(self, call: HandlerRequest) -> Reply:
        body = inputs.json_object(await inputs.read_body(call.request))
        new = inputs.submission(body, uuids=self._options.uuids)
        strict = bool(self._workflows) if self._options.strict is None else self._options.strict
        is_unknown = strict and new.workflow_id not in self._workflows
        refusal = inputs.unknown_workflow(new.workflow_id, self._workflows) if is_unknown else None
        return _reply(await self._engine.create(call.tenant, new, self._key(call, body), refusal))

    async def replay_execution(self, call: HandlerRequest) -> Reply:
        body = inputs.json_object(await inputs.read_body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        return _reply(await self._engine.replay(call.tenant, call.id, checkpoint_id, self._key(call, body)))

    async def rollback_execution(self, call: HandlerRequest) -> Reply:
        body = inputs.json_object(await inputs.read_body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        return _reply(await self._engine.rollback(call.tenant, call.id, checkpoint_id, self._key(call, body)))

    async def cancel_execution(self, call: HandlerRequest) -> Reply:
        status = inputs.cancellation(call.query)
        return _reply(await self._engine.cancel(call.tenant, call.id, self._key(call, {"status": status})))

    async def delete_execution(self, call: HandlerRequest) -> Reply:
        return _reply(await self._engine.delete(call.tenant, call.id, self._key(call, {})))

    async def list_checkpoints(self, call: HandlerRequest) -> Reply:
        query = inputs.checkpoint_query(call.query)

        def read(connection: sqlite3.Connection) -> bytes:
            total, found = lists.checkpoints(connection, call.tenant, **attrs.asdict(query))
            return wire.checkpoints(found, total, query.limit, query.offset)

        return Reply(200, await self._database.do(read))

    async def get_checkpoint(self, call: HandlerRequest) -> Reply:
        with_state = inputs.includes_state(call.query)

        def read(connection: sqlite3.Connection) -> bytes:
            found, result = lists.checkpoint(connection, call.tenant, call.id)
            return wire.checkpoint(found, result if with_state else None)

        return Reply(200, await self._database.do(read))

    async def list_workflows(self, call: HandlerRequest) -> Reply:
        page, page_size, pass_filters = inputs.workflow_query(call.query)
        names = sorted(self._workflows) if pass_filters else []
        shown = names[(page - 1) * page_size : page * page_size]
        found = [(name, self._workflows[name].description) for name in shown]
        return Reply(200, wire.workflows(found, len(names), page, page_size))

    async def get_workflow(self, call: HandlerRequest) -> Reply:
        if call.id not in self._workflows:
            raise MissingError("Workflow not found")
        return Reply(200, wire.workflow(call.id, self._workflows[call.id].description))

    def _key(self, call: HandlerRequest, body: dict[str, object]) -> IdempotencyKey | None:
        if not self._options.honor_idempotency:
            return None
        header = call.request.headers.get("Idempotency-Key")
        route = f"{call.request.method} {call.path}"
        return None if header is None else inputs.idempotency_key(readable(header), route, body)


def _reply(answer: WriteAnswer) -> Reply:
    return Reply(answer.status, answer.body)


def readable(text: str) -> str:
    """Replace bytes that are not UTF-8, which aiohttp keeps as lone surrogates."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")

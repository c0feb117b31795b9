"""What each route does: reads the request, asks the engine or the database, and words the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from . import inputs, lists, wire
from .bodies import read_body

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aiohttp import web

    from .database import Database
    from .engine import Engine
    from .registry import Registry
    from .store import IdempotencyKey, Tenant, WriteAnswer

__all__ = ["Call", "Handlers", "Intake", "Reply", "readable"]


@attrs.frozen
class Reply:
    """An answer, before a fault may spoil it.

    :ivar body: all of it, or its beginning.
    :ivar rest: what follows, where it is too large to be made at once.
    """

    status: int
    body: bytes
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    rest: AsyncGenerator[bytes] | None = None


@attrs.frozen
class Call:
    """One request as the handlers see it.

    :ivar path: below the base, ids and all.
    """

    request: web.BaseRequest
    tenant: Tenant
    path: str
    query: str
    execution_id: str


@attrs.define
class Intake:
    """How requests are taken.

    :ivar honor_idempotency: an `Idempotency-Key` does something; may be changed while the server runs.
    :ivar strict: executions of workflows that are not registered are refused.
    """

    honor_idempotency: bool = True
    strict: bool = False


class Handlers:
    """One method a route, named as its operation."""

    def __init__(self, engine: Engine, database: Database, workflows: Registry, options: Intake) -> None:
        self._engine = engine
        self._workflows = workflows
        self._database = database
        self._options = options

    def of(self, operation: str) -> Callable[[Call], Awaitable[Reply]]:
        """The handler of a route."""
        handler: Callable[[Call], Awaitable[Reply]] = getattr(self, operation)
        return handler

    async def list_executions(self, call: Call) -> Reply:
        query = inputs.list_query(call.query)

        def read(connection: sqlite3.Connection) -> tuple[list[lists.Later], bytes, bytes]:
            found = lists.page(
                connection,
                call.tenant,
                query.page,
                query.page_size,
                workflow_id=query.workflow_id,
                status=query.status,
            )
            tail = wire.tail(found, query.page, query.page_size)
            return found.rest, tail, wire.page(found, call.tenant, query.page, query.page_size)

        rest, tail, body = await self._database.read(read)
        return Reply(200, body, rest=self._rest(rest, tail, call.tenant) if rest else None)

    async def _rest(self, later: list[lists.Later], tail: bytes, tenant: Tenant) -> AsyncGenerator[bytes]:
        """The rows that would not fit into memory together."""
        while later:
            rows = await self._database.read(lambda c: lists.next_rows(c, later))
            while rows:
                yield b","
                yield wire.row(rows.pop(0), tenant)
        yield tail

    async def get_execution(self, call: Call) -> Reply:
        def read(connection: sqlite3.Connection) -> bytes:
            return wire.detail(*lists.detail(connection, call.tenant, call.execution_id), call.tenant)

        return Reply(200, await self._database.read(read))

    async def create_execution(self, call: Call) -> Reply:
        body = inputs.json_object(await read_body(call.request))
        new = inputs.submission(body)
        if self._options.strict and new.workflow_id not in self._workflows:
            raise inputs.unknown_workflow(new.workflow_id, self._workflows)
        return _reply(await self._engine.create(call.tenant, new, self._key(call, body)))

    async def replay_execution(self, call: Call) -> Reply:
        body = inputs.json_object(await read_body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        key = self._key(call, body)
        return _reply(await self._engine.replay(call.tenant, call.execution_id, checkpoint_id, key))

    async def rollback_execution(self, call: Call) -> Reply:
        body = inputs.json_object(await read_body(call.request))
        checkpoint_id = inputs.checkpoint_id(body)
        key = self._key(call, body)
        return _reply(await self._engine.rollback(call.tenant, call.execution_id, checkpoint_id, key))

    def _key(self, call: Call, body: dict[str, object]) -> IdempotencyKey | None:
        if not self._options.honor_idempotency:
            return None
        header = call.request.headers.get("Idempotency-Key")
        return None if header is None else inputs.idempotency_key(readable(header), call.path, body)


def _reply(answer: WriteAnswer) -> Reply:
    return Reply(answer.status, answer.body)


def readable(text: str) -> str:
    """What aiohttp kept as lone surrogates, bytes that are not UTF-8, as the character for what cannot be read."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")

"""What there is of a server between its start and its stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from aiohttp import web

from .app import App
from .containment import Containment
from .database import Database
from .engine import Engine
from .handlers import Handlers
from .keyring import load_keys
from .listener import Connection, Listener
from .sabotage import Saboteur
from .store import latest_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from .keyring import Keyring
    from .parts import Parts

__all__ = ["Started"]

_CLOSE_WITHIN = 0.5  # seconds for answers under way, when the server stops


class Started:
    """A database that is open, a port that is served, and what runs."""

    def __init__(self, parts: Parts, database: Database, keyring: Keyring, listener: Listener) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.database = database
        self.keyring = keyring
        self.listener = listener
        self.port = listener.port
        self.engine = Engine(database, parts.workflows, parts.types, parts.ids, parts.times.now)
        self._containment = Containment.of(self.loop)
        self.saboteur = Saboteur()
        self.app = App(
            Handlers(self.engine, database, parts.workflows, parts.options),
            keyring,
            faults=parts.faults,
            log=parts.log,
            saboteur=self.saboteur,
            date=parts.times.date,
        )
        self.http = web.Server(self._handle)
        self._parts = parts
        self._guard = self._closed_with_its_loop()
        self._changing = asyncio.Lock()

    @classmethod
    async def start(cls, parts: Parts, path: Path | None, port: int, keys: dict[str, str | None] | None) -> Started:
        """Opens the database, serves, and goes on with what was running.

        :raises LocalOmiumError: says why not; nothing is left open.
        """
        async with contextlib.AsyncExitStack() as undo:
            database = await Database.open(path)
            undo.push_async_callback(database.close)
            keyring = await database.write(lambda connection: load_keys(connection, keys))
            parts.ids.go_on_behind(await database.read(latest_id))
            listener = Listener(port)
            undo.push_async_callback(listener.close)
            started = cls(parts, database, keyring, listener)
            await anext(started._guard)
            started.begin()
            undo.pop_all()
            return started
        raise AssertionError  # pragma: no cover - an ExitStack without suppressors lets everything pass

    def begin(self) -> None:
        """Takes connections, and runs what waits; also what is registered from now on."""
        loop = self.loop
        self.listener.start(
            # As web.Server makes them, but for the class; None: no log of each request.
            lambda: Connection(self.http, loop=loop, access_log=None, auto_decompress=False)  # type: ignore[arg-type]
        )
        self._containment.begin()
        self._parts.workflows.tell(self._registered)
        self.engine.start()

    async def close(self) -> None:
        """Ends everything."""
        await self._guard.aclose()

    async def reset(self) -> None:
        """Cuts off what is under way, and forgets all but workflows, tenants and API keys."""
        async with self._changing:
            self.saboteur.stop()
            await self.app.shut()
            try:
                await self.engine.reset()
                self._parts.forget()
            finally:
                self.saboteur.start()
                self.app.reopen()

    def abandon(self) -> None:
        """Lets go of file and port when the loop has been closed without a stop."""
        self._parts.workflows.tell(None)
        self.listener.abandon()
        self.engine.abandon()
        self.database.abandon()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.app.handle(request)

    async def _stop_answering(self) -> None:
        self.saboteur.stop()
        self.http.pre_shutdown()
        await self.http.shutdown(_CLOSE_WITHIN)

    def _registered(self, workflow_id: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self.loop.call_soon_threadsafe(self.engine.adopt, workflow_id)

    async def _closed_with_its_loop(self) -> AsyncGenerator[None]:
        """Loops close generators that are still open before they end: so a server that nobody stopped frees its file
        and its port."""
        try:
            yield
        finally:
            async with self._changing:
                await self._end()

    async def _end(self) -> None:
        """In the order in which nothing is answered that was not done."""
        self._parts.workflows.tell(None)
        async with contextlib.AsyncExitStack() as each:  # what fails keeps none of the others from its end
            each.callback(self._containment.end, self.loop)
            each.push_async_callback(asyncio.sleep, 0)  # closed transports say good-bye in the next turn
            each.push_async_callback(self.database.close)
            each.push_async_callback(self.engine.stop)
            each.push_async_callback(self._stop_answering)
            each.push_async_callback(self.listener.close)

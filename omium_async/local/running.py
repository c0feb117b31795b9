"""A running server: the open database, the port, and the runs in progress."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from . import wire
from .app import App
from .clock import Ids, Times
from .database import Database
from .engine import Engine
from .errors import LocalOmiumError, PortInUseError
from .faults import FaultInjector, Faults
from .file_lock import close_in_children
from .handlers import Handlers, ServerOptions
from .keyring import load_keys
from .registry import Registry
from .request_log import RequestLog
from .store import latest_id
from .typed import Types

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from .keyring import Keyring

__all__ = ["HOST", "RunningServer", "ServerParts"]

_log = logging.getLogger("omium_async.local.http")

HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
_CLOSE_WITHIN: Final = 0.5  # seconds for responses in progress when the server stops


@attrs.frozen
class ServerParts:
    """The parts of a LocalOmium that each of its servers uses."""

    times: Times
    types: Types
    workflows: Registry = attrs.field(factory=Registry)
    options: ServerOptions = attrs.field(factory=ServerOptions)
    faults: Faults = attrs.field(factory=Faults)
    log: RequestLog = attrs.field(factory=RequestLog)
    ids: Ids = attrs.field(factory=Ids)


class RunningServer:
    """A running server. The event loop that started it closes it, if nothing else does."""

    def __init__(self, settings: ServerParts, database: Database, keyring: Keyring, listening: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.keyring = keyring
        self.port: int = listening.getsockname()[1]
        self._settings = settings
        self.database = database
        self._socket = listening
        self._engine = Engine(database, settings.workflows, settings.ids, settings.times.now)
        self._injector = FaultInjector()
        self._app = App(
            Handlers(self._engine, database, settings.workflows, settings.options),
            keyring,
            faults=settings.faults,
            log=settings.log,
            injector=self._injector,
            date=settings.times.date,
        )
        # None: no log of each request.
        self._http = _HTTPServer(self._app.handle, access_log=None, auto_decompress=False)
        self._runner = web.ServerRunner(self._http, shutdown_timeout=_CLOSE_WITHIN)
        self._guard = self._closed_with_its_loop()
        self._changing = asyncio.Lock()

    @classmethod
    async def start(
        cls, settings: ServerParts, path: Path | None, port: int, keys: dict[str, str | None] | None
    ) -> RunningServer:
        """Open the database, serve, and continue unfinished executions.

        :raises LocalOmiumError: it cannot; the message says why, and nothing is left open.
        """
        async with contextlib.AsyncExitStack() as undo:
            database = await Database.open(path)
            undo.push_async_callback(database.close)
            keyring = await database.write(lambda connection: load_keys(connection, keys))
            settings.ids.continue_after(await database.read(latest_id))
            listening = _listen(port)
            undo.callback(listening.close)
            server = cls(settings, database, keyring, listening)
            await anext(server._guard)
            await server._begin()
            undo.pop_all()
            return server
        raise AssertionError  # pragma: no cover - an ExitStack without suppressors raises

    async def close(self) -> None:
        """Stop serving and running."""
        await self._guard.aclose()

    async def reset(self) -> None:
        """Cut off requests in progress, and forget everything except workflows, tenants and API keys."""
        async with self._changing:
            self._injector.stop()
            await self._app.shut()
            try:
                await self._engine.reset()
                self._settings.faults.clear()
                self._settings.log.clear()
            finally:
                self._injector.start()
                self._app.reopen()

    def abandon(self) -> None:
        """Release file and port after the event loop was closed without a stop."""
        self._settings.workflows.notify(None)
        self._socket.close()
        self._engine.abandon()
        self.database.abandon()

    async def _begin(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket, backlog=_BACKLOG).start()
        self._settings.workflows.notify(self._registered)
        self._engine.start()

    def _registered(self, workflow_id: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self.loop.call_soon_threadsafe(self._engine.adopt, workflow_id)

    async def _closed_with_its_loop(self) -> AsyncGenerator[None]:
        """Close the server with its event loop, because a loop closes generators that are still open before it ends."""
        try:
            yield
        finally:
            async with self._changing:
                await self._end()

    async def _end(self) -> None:
        """Close the parts in an order in which no response claims what was not done."""
        self._settings.workflows.notify(None)
        async with contextlib.AsyncExitStack() as each:  # an error keeps no other part from its end
            each.push_async_callback(asyncio.sleep, 0)  # closed transports finish in the next turn
            each.push_async_callback(self.database.close)
            each.push_async_callback(self._engine.stop)
            each.push_async_callback(self._runner.cleanup)
            each.callback(self._injector.stop)


def _listen(port: int) -> socket.socket:
    try:
        listening = socket.create_server((HOST, port), backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"another program uses port {port} of {HOST}; choose another port, or 0 for any free one", port
            ) from None
        raise LocalOmiumError(f"port {port} of {HOST} cannot be served: {error.strerror or error}") from None
    close_in_children(listening)
    return listening


class _HTTPServer(web.Server):
    """aiohttp's low-level server, with connections that answer malformed requests in the form of the service."""

    def __call__(self) -> web.RequestHandler:
        return _QuietRequestHandler(self, loop=asyncio.get_running_loop(), **self._kwargs)


class _QuietRequestHandler(web.RequestHandler):
    """A connection that logs no content of malformed requests, because their lines hold keys."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be read, and close the connection after it."""
        del message  # it quotes the request
        if request.writer.output_size > 0:
            raise ConnectionError("a part of a response was sent already")
        if status >= 500:  # a defect of this server
            _log.error("a request could not be answered", exc_info=exc)
            detail = "Internal server error"
        else:
            _log.debug("a request could not be read: %s", type(exc).__name__)
            detail = "The request is not valid HTTP"
        body = wire.error(detail, secrets.token_hex(16))
        response = web.Response(status=status, body=body, content_type="application/json")
        response.force_close()
        return response

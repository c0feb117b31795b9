"""The port: opened, its connections taken, and closed."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import web

from . import wire
from .errors import LocalOmiumError, PortInUseError
from .forks import not_for_children

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HOST", "Connection", "Listener"]

_log = logging.getLogger("omium_async.local.http")

HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
_AT_ONCE: Final = 100
_PAUSE: Final = 1.0  # seconds, where the system has no descriptor left for one more connection


class Listener:
    """Takes connections on a port of this machine.

    asyncio's own servers try as often as there may be connections waiting when there is no descriptor for one, with a
    traceback each time; this one says it once, and tries again when a second has passed.
    """

    def __init__(self, port: int) -> None:
        try:
            self._socket = socket.create_server((HOST, port), backlog=_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(
                    f"port {port} of {HOST} is taken by another program; choose another, or 0 for any free one", port
                ) from None
            raise LocalOmiumError(f"port {port} of {HOST} cannot be served: {error.strerror or error}") from None
        self._socket.setblocking(False)
        not_for_children(self._socket)
        self.port: int = self._socket.getsockname()[1]
        self._started = False
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._out_of_room = False

    def start(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Takes connections from now on."""
        self._started = True
        self._listen(protocol)

    async def close(self) -> None:
        """Takes no more, and frees the port."""
        if self._started:
            asyncio.get_running_loop().remove_reader(self._socket)
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()
        if self._connecting:  # those just taken get their transports, which are closed with all others
            await asyncio.wait(self._connecting)

    def abandon(self) -> None:
        """Frees the port when the loop has been closed."""
        self._socket.close()

    def _listen(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._take, protocol)

    def _take(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return  # there is no other, or it went away before it was taken
            except OSError as error:
                if not self._out_of_room:
                    _log.warning(
                        "no connection can be taken (%s); it is tried again each second",
                        error,
                        extra={"omium_error": type(error).__name__},
                    )
                self._out_of_room = True
                loop.remove_reader(self._socket)
                self._pause = loop.call_later(_PAUSE, self._listen, protocol)
                return
            self._out_of_room = False
            connection.setblocking(False)
            task = loop.create_task(self._connect(protocol, connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, protocol: Callable[[], asyncio.Protocol], connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):
                raise


class Connection(web.RequestHandler):
    """aiohttp's side of one connection; what it cannot read is answered in the service's form, and not shown in logs:
    its lines hold keys."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers a request that could not be read, and closes the connection behind it."""
        del message  # it quotes what was sent
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer has been sent already")
        if status >= 500:  # a defect of this server
            _log.error("a request could not be answered", exc_info=exc)
            detail = "Internal server error"
        else:
            _log.debug("a request could not be read: %s", type(exc).__name__)
            detail = "The request is no HTTP that can be read"
        body = wire.trouble(detail, secrets.token_hex(16))
        response = web.Response(status=status, body=body, content_type="application/json")
        response.force_close()
        return response

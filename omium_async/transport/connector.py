"""Watches requests on their way out: whether a connection was handed over, from where on they may reach the server."""

from __future__ import annotations

import contextvars
import select
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.connector import Connection

__all__ = ["Connector", "Flight", "Watch", "flight"]

_POLL: Final = getattr(select, "poll", None)  # Windows has none; there aiohttp's own check must do
_READABLE: Final = getattr(select, "POLLIN", 1) | getattr(select, "POLLRDHUP", 0)


class Flight(Protocol):
    """What is told of the request under way.

    :ivar is_write: whether it must be known to reach the server at most once.
    :ivar sent: ``None`` until aiohttp asks for a connection, then whether it was handed one.
    """

    is_write: bool
    sent: bool | None


# Never reset: only `Connector` reads it, and a call sets it anew before every request. A coroutine that is thrown away
# half-way would have to reset it in a context which is not its own.
flight: contextvars.ContextVar[Flight | None] = contextvars.ContextVar("omium_flight", default=None)


class Connector(aiohttp.TCPConnector):
    """Hands over live connections only, and says when it does."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:  # noqa: ASYNC109 - aiohttp's name
        """A connection for ``req``, as aiohttp asks for it.

        :raises aiohttp.ClientConnectionError: a new connection was closed by the other side at once.
        """
        request = flight.get()
        if request is not None and request.sent is None:
            request.sent = False
        while True:
            connection = await super().connect(req, traces, timeout)
            try:
                live = _is_live(connection.protocol)
            except BaseException:
                connection.close()
                raise
            if live:
                break
            connection.close()
        if request is not None:
            request.sent = True
        return connection

    def __del__(self, *_: Any) -> None:
        # aiohttp warns here. `Connections` closes what it can before; nothing else is owed to anybody.
        self._closed = True


def _is_live(protocol: Any) -> bool:
    """Whether a connection can take a request.

    aiohttp takes a connection for alive whose end lies unread in the kernel, and an answer that nobody asked for
    (a 408 to an idle connection) for the answer to the next request. Whatever is readable before a request is sent
    makes a connection useless.
    """
    poller = getattr(protocol, "omium_poller", None)
    if poller is not None:
        return not protocol.should_close and not poller.poll(0)
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionError("the connection was closed as soon as it was made")
    if _POLL is None:
        return not protocol.should_close
    protocol.omium_poller = poller = _POLL()
    poller.register(transport.get_extra_info("socket").fileno(), _READABLE)
    # A new TLS connection may well be readable: its session tickets come then.
    if transport.get_extra_info("sslcontext") is None and poller.poll(0):
        raise aiohttp.ClientConnectionError("the connection was closed as soon as it was made")
    return True


class Watch:
    """The same for one request on a session of the user's own, as an aiohttp middleware: the innermost.

    It also stops aiohttp from silently sending an idempotent request (PUT and DELETE too) a second time when a reused
    connection breaks, without a change to the session that others would feel.
    """

    def __init__(self, request: Flight) -> None:
        self._flight = request
        self._failed: BaseException | None = None

    async def __call__(
        self,
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        if self._failed is not None:
            raise self._failed
        if self._flight.sent is None:
            self._flight.sent = False
        send = request.send

        async def send_and_tell(connection: Connection) -> aiohttp.ClientResponse:
            self._flight.sent = True
            return await send(connection)

        request.send = send_and_tell  # type: ignore[method-assign, assignment]
        try:
            return await handler(request)
        except BaseException as error:
            self._failed = error
            raise
        finally:
            del request.send

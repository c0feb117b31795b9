"""Notes when a request gets a connection: from then on it may reach the server."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 # pyright: ignore[reportUnusedImport] - a look-up of a host would import it
import contextvars
import encodings.idna  # noqa: F401 # pyright: ignore[reportUnusedImport] - a look-up of a host would import it
import select
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from multidict import istr

from .attempt import LiveAttempt

_POLL: Final = getattr(select, "poll", None)  # Windows has none; there aiohttp's own check must do
_READABLE: Final = getattr(select, "POLLIN", 1) | getattr(select, "POLLRDHUP", 0)
REQUEST_ID: Final = istr("X-Request-ID")


# Never reset: only a client's own session reads it, and each call sets it before every request. A coroutine that is
# thrown away half-way would have to reset it in a context which is not its own.
current_attempt: contextvars.ContextVar[LiveAttempt | None] = contextvars.ContextVar("omium_attempt", default=None)


# `super()` takes four times as long on Python 3.11. What they return is a coroutine to mypy, and more to pyright.
_connect: Final = aiohttp.TCPConnector.connect
_send: Final = aiohttp.ClientRequest.send


class Stale(aiohttp.ClientError):
    """An idle connection was closed by the server. Nothing was sent; another connection is needed."""


class Connector(aiohttp.TCPConnector):
    """The connections of a session that the client created."""

    def connect(self, req: Any, traces: Any, timeout: Any) -> CoroutineType[Any, Any, Connection]:
        """Return a connection for ``req``; aiohttp calls this."""
        attempt = current_attempt.get()
        if attempt is not None and attempt.sent is None:
            attempt.sent = False
        return _connect(self, req, traces, timeout)  # type: ignore[return-value]

    def __del__(self, *_: Any) -> None:
        # aiohttp warns here. `Connections` has closed the rest, so the user can do nothing about it.
        self._closed = True


class Outgoing(aiohttp.ClientRequest):
    """A request of the client's own session: sent only on a live connection, and noted in the attempt."""

    # Here and in `connect` no coroutine is put around aiohttp's: each would cost a hundredth of a call.
    def send(self, conn: Connection) -> CoroutineType[Any, Any, aiohttp.ClientResponse]:
        """Send the request; aiohttp calls this.

        :raises Stale: the connection died while it was idle.
        :raises aiohttp.ClientConnectionError: a new connection was closed by the other side at once.
        """
        protocol: Any = conn.protocol
        readable = getattr(protocol, "omium_readable", None)
        if readable is None:
            _begin(protocol)
        elif protocol.should_close or readable(0):
            raise Stale
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.sent = True
            # Here and not among the headers given to aiohttp, which would go through each of them twice more.
            attempt.request_id = str.__str__(self.headers.setdefault(REQUEST_ID, attempt.request_id))
        return _send(self, conn)  # type: ignore[return-value]


def _begin(protocol: Any) -> None:
    """Check a new connection, and store how to check it for readable data later.

    aiohttp takes a connection for alive whose end lies unread in the kernel, and an unsolicited response
    (a 408 to an idle connection) for the answer to the next request. Any data that is readable before a request is sent
    makes a connection useless.
    """
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionError("the connection was closed as soon as it was made")
    if _POLL is None:
        protocol.omium_readable = _cannot_tell
        return
    poller = _POLL()
    poller.register(transport.get_extra_info("socket").fileno(), _READABLE)
    protocol.omium_readable = poller.poll
    # A new TLS connection may well be readable: its session tickets come then.
    if transport.get_extra_info("sslcontext") is None and poller.poll(0):
        raise aiohttp.ClientConnectionError("the connection was closed as soon as it was made")


def _cannot_tell(_: int) -> bool:
    return False


class AttemptWatch:
    """The innermost aiohttp middleware of a request on a user's session: notes when it may reach the server.

    It also stops aiohttp from silently sending an idempotent request (PUT and DELETE too) a second time when a reused
    connection breaks. Other users of the session are not affected.
    """

    def __init__(self, attempt: LiveAttempt) -> None:
        self._attempt = attempt
        self._failed: BaseException | None = None

    async def __call__(
        self,
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        if self._failed is not None:
            raise self._failed
        if self._attempt.sent is None:
            self._attempt.sent = False
        send = request.send

        async def send_and_tell(connection: Connection) -> aiohttp.ClientResponse:
            self._attempt.sent = True
            return await send(connection)

        request.send = send_and_tell  # type: ignore[method-assign, assignment]
        try:
            return await handler(request)
        except BaseException as error:
            self._failed = error
            raise
        finally:
            del request.send

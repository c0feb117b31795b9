"""Connections: one aiohttp session for each event loop of a client, opened at its first call and closed with it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import select
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.connector import Connection

__all__ = ["Connections", "Flight", "Sessions", "flight"]

# Common servers close an idle connection after 5 seconds; a request must not go out just then.
_KEEPALIVE: Final = 4.0
_READABLE: Final = select.POLLIN | getattr(select, "POLLRDHUP", 0)


class Flight(Protocol):
    """What the connector tells of the request under way."""

    sent: bool


flight: contextvars.ContextVar[Flight | None] = contextvars.ContextVar("omium_flight", default=None)


class Connector(aiohttp.TCPConnector):
    """Hands over live connections only, and says when it does: from there on a request may reach the server."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        """A connection for ``req``, as aiohttp asks for it."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if _is_live(connection.protocol):
                break
            connection.close()
        request = flight.get()
        if request is not None:
            request.sent = True
        return connection

    def __del__(self, *_: Any) -> None:
        # aiohttp warns here. `Connections` closes what it can before; nothing else is owed to anybody.
        self._closed = True


def _is_live(protocol: Any) -> bool:
    """Whether a connection that lay idle can take a request.

    aiohttp takes a connection for alive whose end lies unread in the kernel, and an answer that nobody asked for
    (a 408 to an idle connection) for the answer to the next request. Whatever is readable before a request is sent
    makes a connection useless; on TLS that may be a harmless ticket, which costs a new connection.
    """
    poller = getattr(protocol, "omium_poller", None)
    if poller is not None:
        return not poller.poll(0) and not protocol.should_close
    transport = protocol.transport
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), _READABLE)
    protocol.omium_poller = poller  # from its second request on it is asked
    return True


class Slots:
    """At most so many requests at once, first come, first served; waiting is no part of an attempt."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.busy = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits."""
        if self.free <= 0 or self._waiters:
            return False
        self.free -= 1
        self.busy += 1
        return True

    async def take(self, seconds: float | None) -> None:
        """Wait for a slot.

        :raises TimeoutError: none came free within ``seconds``.
        """
        if self.take_now():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.give()
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            raise

    def give(self) -> None:
        """Give a slot back, to the one who has waited longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1
        self.busy -= 1


class Connections:
    """The connections of one event loop."""

    def __init__(self, session: aiohttp.ClientSession, size: int, *, owned: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = session
        self.owned = owned
        self.slots = Slots(size)
        self._keeper: AsyncGenerator[None, None] | None = None

    async def keep(self) -> None:
        """Let the loop close the session at its end, as `asyncio.run` closes the generators that it knows."""
        if self.owned:
            self._keeper = _keeper(self.session)
            await anext(self._keeper)

    async def close(self) -> None:
        """Close what was opened here; a session of the user's own stays open."""
        if self._keeper is not None:
            await self._keeper.aclose()

    def __del__(self) -> None:
        if self.owned and not self.session.closed and self.loop.is_closed():
            _close_orphans(self.session)


async def _keeper(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await session.close()


def _close_orphans(session: aiohttp.ClientSession) -> None:
    """Close the sockets of a loop that was closed without closing its generators; asyncio would warn of each."""
    connector: Any = session.connector
    session.detach()
    with contextlib.suppress(Exception):
        for idle in connector._conns.values():  # noqa: SLF001 - aiohttp has no way that needs no loop
            for protocol, _ in idle:
                _close_socket(protocol.transport)
        connector._conns.clear()  # noqa: SLF001


def _close_socket(transport: Any) -> None:
    inner = getattr(transport, "_ssl_protocol", None)
    if inner is not None:
        transport = inner._transport  # noqa: SLF001
    transport._sock.close()  # noqa: SLF001
    transport._sock = None  # noqa: SLF001


class Sessions:
    """The connections of a client on every loop on which it is used, at once or one after the other."""

    def __init__(self, size: int, session: aiohttp.ClientSession | None) -> None:
        self._size = size
        self._users_own = session
        self._lock = threading.Lock()
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Connections] = weakref.WeakKeyDictionary()
        self._last: Connections | None = None
        self.closed = False

    def known(self) -> Connections | None:
        """The running loop's connections, if it has any already."""
        loop = asyncio.get_running_loop()
        last = self._last
        if last is not None and last.loop is loop:
            return last
        with self._lock:
            found = self._by_loop.get(loop)
        if found is not None:
            self._last = found
        return found

    async def open(self) -> Connections:
        """The running loop's connections, opened now."""
        connections = Connections(self._checked_own() or _new_session(), self._size, owned=self._users_own is None)
        with self._lock:
            found = self._by_loop.setdefault(connections.loop, connections)
            self._last = found
        if found is connections:
            await found.keep()
        else:
            await connections.close()
        return found

    def _checked_own(self) -> aiohttp.ClientSession | None:
        session = self._users_own
        if session is None:
            return None
        if session.closed:
            raise RuntimeError("the session given to this client is closed")
        loop = getattr(session, "_loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "the session given to this client belongs to another event loop: use the client on that loop, or "
                "leave out `session` and the client opens one for each loop by itself"
            )
        return session

    async def close(self) -> None:
        """Close the connections of every loop: of this one now, of others as soon as they run."""
        with self._lock:
            self.closed = True
            all_connections = list(self._by_loop.values())
            self._by_loop.clear()
            self._last = None
        here = asyncio.get_running_loop()
        for connections in all_connections:
            if connections.loop is here:
                await connections.close()
            else:
                with contextlib.suppress(RuntimeError):  # a closed loop closed its connections itself
                    asyncio.run_coroutine_threadsafe(connections.close(), connections.loop)


def _new_session() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=Connector(limit=0, keepalive_timeout=_KEEPALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=True,
        raise_for_status=False,
        trust_env=False,
    )
    # aiohttp sends an idempotent request again by itself when a reused connection breaks; only a call knows whether
    # it may. There is no public switch: a test pins this one.
    session._retry_connection = False  # noqa: SLF001
    return session

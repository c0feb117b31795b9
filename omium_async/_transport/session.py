"""Connections: one aiohttp session for each event loop of a client, opened at its first call and closed with it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, NoReturn

import aiohttp
from multidict import CIMultiDict

from .._outage import Outage
from .admission import Gate
from .attempt import LONGEST_PAUSE, Timeouts
from .connector import Connector, Outgoing
from .pacing import Pacer

_KEEPALIVE: Final = 4.0  # common servers close an idle connection after 5 seconds; a request must not go out just then


class Connections:
    """The connections of one event loop.

    :ivar outage: the one that the client's operations on this loop share.
    :ivar waits: the time-outs of calls that wait for a key; they expire when the client is closed.
    """

    def __init__(self, session: aiohttp.ClientSession, gate: Gate, *, owned: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = session
        self.owned = owned
        self.gate = gate
        self.outage = Outage()
        self.timeouts = Timeouts()
        self.waits: set[asyncio.Timeout] = set()
        self._close_session = functools.partial(_close_once, session, asyncio.Lock())
        self._keeper: AsyncGenerator[None, None] | None = None
        self._pauses: set[asyncio.Future[None]] = set()

    async def keep(self, sessions: Sessions) -> None:
        """Let the loop close the session at its end, as `asyncio.run` closes the generators that it knows."""
        if self.owned:
            self._keeper = _keeper(self._close_session, weakref.ref(self), weakref.ref(sessions))
            await anext(self._keeper)

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than the client is open."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        timer = self.loop.call_later(min(seconds, LONGEST_PAUSE), _wake, waiter)
        self._pauses.add(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._pauses.discard(waiter)

    async def close(self) -> None:
        """Close what was opened here, and wake all waiters; a session of the user stays open."""
        self.gate.close()
        self.outage.let_all_go()
        for waiter in self._pauses:
            _wake(waiter)
        for limit in self.waits:
            if not limit.expired():
                limit.reschedule(self.loop.time())
        if self._keeper is not None:
            await self._close_session()
            with contextlib.suppress(RuntimeError):  # the loop's own end is closing it at this moment
                await self._keeper.aclose()

    def close_soon(self) -> None:
        """Close what was opened here from another thread or loop: as soon as this loop runs."""
        with contextlib.suppress(RuntimeError):  # a closed loop closed its connections itself
            self.loop.call_soon_threadsafe(self._begin_close)

    def _begin_close(self) -> None:
        task = self.loop.create_task(self.close())
        _held.add(task)
        task.add_done_callback(_held.discard)

    def __del__(self) -> None:
        # The client was not closed, and the loop was closed without closing its generators: give no warning.
        if self.owned and not self.session.closed and self.loop.is_closed():
            _close_orphans(self.session)


async def _close_once(session: aiohttp.ClientSession, lock: asyncio.Lock) -> None:
    """Close a session; return when it is closed.

    Its user and the end of the loop may close it at once. If the first is cancelled, the next takes over.
    """
    async with lock:
        if not session.closed:
            _abort_closing_connections(session)
            await session.close()


_held: set[asyncio.Task[None]] = set()  # the loop has only weak references to its tasks


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _keeper(
    close: Callable[[], Awaitable[None]], of: weakref.ref[Connections], among: weakref.ref[Sessions]
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        connections, sessions = of(), among()
        if connections is not None and sessions is not None:
            sessions.forget(connections)
        del connections, sessions
        await close()


def _protocols_of(connector: Any) -> list[Any]:
    idle = [protocol for kept in connector._conns.values() for protocol, _ in kept]  # noqa: SLF001
    return [*idle, *connector._acquired]  # noqa: SLF001


def _abort_closing_connections(session: aiohttp.ClientSession) -> None:
    """Abort the connections that are closing already.

    If a server sends more than its response, aiohttp closes the connection twice; with TLS, `ClientSession.close` would
    then raise.
    """
    with contextlib.suppress(Exception):  # private names of aiohttp's
        for protocol in _protocols_of(session.connector):
            if protocol.transport is not None and protocol.transport.is_closing():
                protocol.abort()


def _close_orphans(session: aiohttp.ClientSession) -> None:
    """Close the sockets of a loop that was closed without closing its generators; asyncio would warn of each."""
    connector: Any = session.connector
    session.detach()
    with contextlib.suppress(Exception):  # private names of two libraries: a change there does no harm
        for protocol in _protocols_of(connector):
            if protocol.transport is not None:
                _close_socket(protocol.transport)


def _close_socket(transport: Any) -> None:
    inner = getattr(transport, "_ssl_protocol", None)
    if inner is not None:
        transport._closed = True  # noqa: SLF001 - the TLS layer warns of itself
        transport = inner._transport  # noqa: SLF001
    transport._sock.close()  # noqa: SLF001
    transport._sock = None  # noqa: SLF001


class Sessions:
    """The connections of a client on every loop on which it is used, at once or one after the other."""

    def __init__(
        self, pacer: Pacer, size: int, session: aiohttp.ClientSession | None, headers: CIMultiDict[str]
    ) -> None:
        self._pacer = pacer
        self._size = size
        self._headers = headers
        self._users_own = session
        self._lock = threading.RLock()
        self._by_loop: dict[asyncio.AbstractEventLoop, Connections] = {}
        self.closed = False

    def known(self) -> Connections | None:
        """The running loop's connections, if it has any already.

        :raises RuntimeError: no loop of asyncio's is running.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "no asyncio loop is running here: await the call in a coroutine that asyncio.run(...) runs; on trio or "
                "without a loop use omium_sync.Omium, on trio by trio.to_thread.run_sync"
            ) from None
        return self._by_loop.get(loop)

    async def open(self) -> Connections:
        """The running loop's connections, opened now.

        :raises RuntimeError: the client is closed, or its session cannot be used here.
        """
        if self.closed:
            self.raise_closed()
        session = self._checked_own() or _new_session(self._headers)
        gate = Gate(self._pacer, _size_for(session, self._size))
        connections = Connections(session, gate, owned=self._users_own is None)
        with self._lock:
            for loop in [loop for loop in self._by_loop if loop.is_closed()]:
                self.forget(self._by_loop[loop])
            self._by_loop[connections.loop] = connections
        await connections.keep(self)
        return connections

    def forget(self, connections: Connections) -> None:
        """``connections`` are closed; a later call on their loop opens others."""
        with self._lock:
            if self._by_loop.get(connections.loop) is connections:
                del self._by_loop[connections.loop]

    def raise_closed(self) -> NoReturn:
        """Say why nothing can be sent.

        :raises RuntimeError: always.
        """
        if self.closed:
            raise RuntimeError("this client is closed (aclose was called); make a new one") from None
        raise RuntimeError(
            "the session given to this client is closed"
            if self._users_own is not None
            else "the event loop closed this client's connections (its asynchronous generators were shut down)"
        ) from None

    def _checked_own(self) -> aiohttp.ClientSession | None:
        session = self._users_own
        if session is None:
            return None
        if session.closed:
            self.raise_closed()
        loop = getattr(session, "_loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "the session given to this client belongs to another event loop: use the client on that loop, or "
                "leave out `session` and the client opens one for each loop by itself"
            )
        return session

    async def close(self) -> None:
        """Close the connections of every loop: this one's now, the others' as soon as they run."""
        with self._lock:
            self.closed = True
            all_connections = list(self._by_loop.values())
            self._by_loop.clear()
        here = asyncio.get_running_loop()
        for connections in all_connections:
            if connections.loop is not here:
                connections.close_soon()
        for connections in all_connections:
            if connections.loop is here:
                await connections.close()


def _size_for(session: aiohttp.ClientSession, size: int) -> int:
    """How many requests a session takes at once: what waits in its own line would count as an attempt's time."""
    connector = session.connector
    limits = (getattr(connector, "limit", 0), getattr(connector, "limit_per_host", 0)) if connector else ()
    return min([size, *(limit for limit in limits if limit)])


def _new_session(headers: CIMultiDict[str]) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        headers=headers,
        connector=Connector(limit=0, keepalive_timeout=_KEEPALIVE),
        request_class=Outgoing,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=True,
        raise_for_status=False,
        trust_env=False,
    )
    # aiohttp sends an idempotent request again by itself when a reused connection breaks; only a call knows whether
    # it may. aiohttp has no public option for it; a test checks this one.
    session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return session

"""A running server: the open database, the port, and the runs in progress."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import ipaddress
import logging
import os
import threading
import weakref
from collections.abc import Callable
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from .app import App, RequestLog
from .database import Database
from .engine import Engine
from .errors import LocalOmiumError, PortInUseError
from .faults import FaultInjector, Faults
from .handlers import Handlers, ServerOptions
from .keyring import load_keys
from .quota import Quota
from .registry import Registry
from .typed import Types

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from .keyring import Keyring

_log = logging.getLogger("omium_async.local.http")

_BACKLOG: Final = 1024
_CLOSE_WITHIN: Final = 0.5  # seconds for responses in progress when the server stops

#: For aiohttp, which would log malformed requests with their lines, which hold keys.
_SILENT: Final = logging.Logger("omium_async.local.http")  # noqa: LOG001 - no configuration of logging reaches it
_SILENT.disabled = True

#: Returns the current time as an aware datetime.
Clock = Callable[[], dt.datetime]

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_serving: Final[weakref.WeakSet[RunningServer]] = weakref.WeakSet()


class Times:
    """Reads the clock of a server: a user's clock once to check it, then once for each write.

    :param clock: the user's clock; ``None``: the clock of the system.
    :raises TypeError: the clock is not a function that returns a datetime. :raises ValueError: it returns a naive one.
    """

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._last = None if clock is None else _moment(clock)

    def now(self) -> str:
        """Return the time in RFC 3339, in UTC with microseconds, so that texts sort as the times do."""
        if self._clock is None:
            moment = dt.datetime.now(dt.UTC)
        else:
            moment = self._last = _moment(self._clock)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def date(self) -> str | None:
        """Return the ``Date`` header: the last reading of a user's clock; ``None`` lets aiohttp add its own."""
        return None if self._last is None else format_datetime(self._last, usegmt=True)


def _moment(clock: Clock) -> dt.datetime:
    if not callable(clock):
        raise TypeError(f"clock must be a function that returns the current time, not {clock!r}")
    moment = clock()
    if not isinstance(moment, dt.datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the clock of a LocalOmium must return an aware datetime, not {moment!r:.80}")
    if moment.utcoffset() is None:
        raise ValueError("the clock of a LocalOmium must return an aware datetime, such as datetime.now(UTC)")
    return moment.astimezone(dt.UTC)


@attrs.frozen
class Address:
    """Where a server listens. The host is an IP address, or a name of this machine."""

    host: str
    port: int

    @property
    def reachable(self) -> str:
        """The host for clients on this machine. They cannot connect to a wildcard address."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - it is compared

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        host = f"[{self.reachable}]" if ":" in self.reachable else self.reachable
        return f"http://{host}:{self.port}"


@attrs.frozen
class ServerParts:
    """The parts of a LocalOmium that each of its servers uses."""

    times: Times
    types: Types
    max_running: int | None = None
    workflows: Registry = attrs.field(factory=Registry)
    options: ServerOptions = attrs.field(factory=ServerOptions)
    faults: Faults = attrs.field(factory=Faults)
    log: RequestLog = attrs.field(factory=RequestLog)


class RunningServer:
    """A running server. The event loop that started it closes it, if nothing else does.

    :ivar address: where it listens; once it is started, with the port that it has taken.
    """

    def __init__(self, settings: ServerParts, address: Address, database: Database, keyring: Keyring) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.thread = threading.get_ident()
        self.keyring = keyring
        self.database = database
        self.address = address
        self._settings = settings
        self._engine = Engine(database, Quota(settings.max_running, settings.workflows), settings.times.now)
        self._injector = FaultInjector()
        self._app = App(
            Handlers(self._engine, database, settings.workflows, settings.options),
            keyring,
            faults=settings.faults,
            log=settings.log,
            injector=self._injector,
            date=settings.times.date,
        )
        http = web.Server(self._app.handle, access_log=None, logger=_SILENT, auto_decompress=False)
        self._runner = web.ServerRunner(http, shutdown_timeout=_CLOSE_WITHIN)
        self._guard = self._closed_with_its_loop()
        self._changing = asyncio.Lock()

    @classmethod
    async def start(
        cls, settings: ServerParts, path: Path | None, address: Address, keys: dict[str, str | None] | None
    ) -> RunningServer:
        """Open the database, serve, and continue unfinished executions.

        :raises LocalOmiumError: it cannot; the message says why, and nothing is left open.
        """
        async with contextlib.AsyncExitStack() as undo:
            database = await Database.open(path)
            undo.push_async_callback(database.close)
            keyring = await database.do(lambda connection: load_keys(connection, keys))
            server = cls(settings, address, database, keyring)
            undo.push_async_callback(server._runner.cleanup)
            await server._listen()
            await anext(server._guard)
            settings.workflows.notify(server._registered)
            server._engine.start()
            _serving.add(server)
            undo.pop_all()
            return server
        raise AssertionError  # pragma: no cover - an ExitStack without suppressors raises

    @property
    def is_blocked_here(self) -> bool:
        """Whether it cannot respond while the current thread blocks."""
        if self.pid != os.getpid():
            return False
        if not self.loop.is_running():
            return self.thread == threading.get_ident()
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:  # another thread runs the loop
            return False

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

    async def _listen(self) -> None:
        host, port = self.address.host, self.address.port
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, backlog=_BACKLOG).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(
                    f"another program uses port {port} of {host}; choose another port, or 0 for any free one", port
                ) from None
            raise LocalOmiumError(f"port {port} of {host} cannot be served: {error.strerror or error}") from None
        except UnicodeError:  # a name that no resolver accepts
            raise LocalOmiumError(f"the host {host!r} is neither an IP address nor a name") from None
        self.address = Address(host, self._runner.addresses[0][1])
        if not all(ipaddress.ip_address(bound[0]).is_loopback for bound in self._runner.addresses):
            _log.warning(
                "LocalOmium listens on port %d of %s, for all machines that can reach this one: requests need a key, "
                "and are not encrypted",
                self.address.port, host, extra={"omium_host": host, "omium_port": self.address.port},
            )  # fmt: skip

    def _registered(self, workflow_id: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self.loop.call_soon_threadsafe(self._engine.resume, workflow_id)

    async def _closed_with_its_loop(self) -> AsyncGenerator[None]:
        """Close the server with its event loop, because a loop closes generators that are still open before it ends."""
        try:
            yield
        finally:
            async with self._changing:
                await self._end()

    async def _end(self) -> None:
        """Close the parts in such an order that no response reports a write that was not made."""
        _serving.discard(self)
        self._settings.workflows.notify(None)
        async with contextlib.AsyncExitStack() as each:  # an error keeps no other part from its end
            each.push_async_callback(asyncio.sleep, 0)  # closed transports finish in the next turn
            each.push_async_callback(self.database.close)
            each.push_async_callback(self._engine.stop)
            each.push_async_callback(self._runner.cleanup)
            each.callback(self._injector.stop)


def check_not_blocked(base_url: str) -> None:
    """Check a URL before this thread blocks for its response.

    :raises RuntimeError: a LocalOmium serves it from an event loop of this thread.
    """
    parts = urlsplit(base_url)
    for server in list(_serving):
        host, port = server.address.reachable, server.address.port
        is_it = parts.hostname == host or {parts.hostname, host} <= _LOOPBACK
        if is_it and parts.port == port and server.is_blocked_here:
            raise RuntimeError(
                f"this call would wait for itself: the LocalOmium at {server.address.url} runs on the event loop of "
                "this thread, which the call blocks; use AsyncOmium here, or omium_sync.LocalOmium, which runs in "
                "another thread"
            )

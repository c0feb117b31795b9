"""The way of one client, and of its copies, to the loop of the process: taken at the first call."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from omium_async import AsyncOmium, Execution
from omium_async._caller import Caller, Shared

from .ahead import Ahead
from .call import Call
from .portal import Portal
from .process import process
from .sources import Groups, Source

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Line"]

P = ParamSpec("P")
T = TypeVar("T")

_OWN_END: Final = 0.1  # seconds for a call to end by itself, with a verdict, when its client is closed under it


class _Open:
    """What of a client its loop holds, so that it can be closed when the client was collected and not closed.

    Neither options nor hooks: these may lead back to the client, which then never would be collected.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        #: What iterators read, and the task that does so just now.
        self.sources: dict[Source, asyncio.Task[Any] | None] = {}


class Line:
    """What a client shares with its copies, and with its iterators, which keep it from being collected."""

    def __init__(self, core: AsyncOmium, session: aiohttp.ClientSession | None) -> None:
        self._core = core
        self._session = session
        self._copies = weakref.WeakSet([core])
        self._portal: Portal | None = None
        self._number = process.number
        self._open = _Open(core._caller.shared)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._closed = False

    def add_copy(self, core: AsyncOmium) -> None:
        """A copy of the client, with other options."""
        self._copies.add(core)

    # -- in the threads of the user ----------------------------------------------------------------------------------

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``await function(*args, **kwargs)`` gives.

        :raises RuntimeError: the client is closed, or this is the loop's own thread.
        """
        portal = self._portal
        if portal is None or not portal.alive:
            portal = self._connect()
        return portal.call(self, function, *args, **kwargs)

    def read(self, source: Groups[T]) -> Sequence[T]:
        """The next group of a source, which is closed with the client at the latest."""
        return self.call(self._read, source)

    def begin(self, source: Ahead) -> Call:
        """Let a source read ahead, until it is ended or the client closed."""
        return self._connect().begin(self, functools.partial(self._pump, source), source.pump_ended)

    def take(self, source: Ahead, pump: Call) -> Sequence[Execution]:
        """The next batch of a source that reads ahead.

        :param pump: what `begin` gave for it. :raises StopAsyncIteration: there is none.
        """
        self.check_open()
        portal = self._portal
        if portal is None or not portal.alive:
            raise RuntimeError("the loop that this iterator reads on has ended: begin a new one")
        portal.check_thread()
        rows = source.take()
        if rows is not None:
            return rows
        if pump.error is None:
            raise StopAsyncIteration
        if isinstance(pump.error, asyncio.CancelledError):
            self.check_open()  # the client was closed just before this asked
        raise pump.take_error()

    def end(self, source: Source) -> None:
        """End a source that was read, and wait for that."""
        portal = self._portal
        if portal is not None and portal.alive:
            portal.call(self, self._end, source)

    @property
    def is_used(self) -> bool:
        """Whether there is a loop that works for this client."""
        return self._portal is not None and self._portal.alive

    def end_soon(self, source: Source) -> None:
        """The same for finalizers: takes no lock and never blocks."""
        portal = self._portal
        if portal is not None and portal.alive:
            portal.post(self._end, source)

    def notify(self, function: Callable[[], None]) -> None:
        """Run a function on the loop soon, if that still runs."""
        portal = self._portal
        if portal is not None and portal.alive:
            portal.notify(function)

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self._closed:
            raise RuntimeError("this client is closed (close was called); make a new one")

    def close(self) -> None:
        """Close the client, once. A call under way in another thread ends: by itself within a moment, or cancelled."""
        portal = self._portal
        if portal is not None and portal.alive:
            portal.check_thread()
        with process.lock:
            self._closed, self._portal = True, None
        if portal is not None and portal.alive:
            try:
                portal.call(self, self._shut, portal)
            finally:
                portal.held.discard(self._open)
                process.leave(portal)

    def _connect(self) -> Portal:
        with process.lock:
            self.check_open()
            portal = self._portal
            if portal is None or not portal.alive:  # else another thread was faster
                if self._number != process.number:
                    self._begin_anew()
                portal = process.join()
                portal.held.add(self._open)
                self._portal = portal
            return portal

    def _begin_anew(self) -> None:
        """In a forked child: the connections, locks and queues of the client are the parent's."""
        shared = Shared(self._open.shared.settings)
        for copy in list(self._copies):
            caller = Caller(shared, copy._caller.options)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            copy._caller = copy.executions._caller = caller  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._open = _Open(shared)
        self._number = process.number

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def _read(self, source: Groups[T]) -> Sequence[T]:
        self._open.sources[source] = asyncio.current_task()
        try:
            return await source.next()
        except BaseException:
            self._open.sources.pop(source, None)
            raise
        finally:
            if source in self._open.sources:
                self._open.sources[source] = None

    async def _pump(self, source: Ahead) -> None:
        self._open.sources[source] = None
        try:
            await source.pump()
        finally:
            self._open.sources.pop(source, None)

    async def _end(self, source: Source) -> None:
        reader = self._open.sources.pop(source, None)
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        await source.aclose()

    async def _shut(self, portal: Portal) -> None:
        for source, reader in list(self._open.sources.items()):
            if reader is None and not (isinstance(source, Ahead) and source.waiting):
                await self._end(source)
        await self._open.shared.transport.close()
        await self._settle(portal)
        for call in portal.calls_of(self):
            call.cancel("this client was closed while the call was under way")
        await self._settle(portal)

    async def _settle(self, portal: Portal) -> None:
        tasks = [call.task for call in portal.calls_of(self) if call.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_OWN_END)

    def __del__(self) -> None:
        portal = self._portal
        if portal is not None and portal.alive and self._number == process.number:
            portal.post(_close_collected, self._open, portal)


async def _close_collected(client: _Open, portal: Portal) -> None:
    """Close a client that was collected. Its iterators were as well, for they would have kept it."""
    try:
        for source in list(client.sources):
            with contextlib.suppress(Exception):  # nobody is there to be told
                await source.aclose()
        await client.shared.transport.close()
    finally:
        portal.held.discard(client)
        process.leave(portal)

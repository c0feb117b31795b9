"""What a client of the facade shares with its copies: its place on the process's loop, taken at its first call.

One loop thread serves all clients of a process. Two loops are no faster, for Python runs one thread at a time, and a
program that makes a client for each task would have as many threads; a thread a client keeps only slow hooks apart.
The thread ends with the last client that is closed or collected, so that a program that closed its clients forks with
one thread only.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from omium_async import AsyncOmium

from .portal import Portal

__all__ = ["Line"]

P = ParamSpec("P")
T = TypeVar("T")

_OWN_END: Final = 0.1  # seconds for a call to end by itself, with a verdict, when its client is closed under it


class _Process:
    """The loop of this process. A forked child starts with none."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may call while this thread holds it.
        self.lock = threading.RLock()
        self.portal: Portal | None = None
        self.number = 0
        self.inherited: list[Portal] = []

    def take_portal(self) -> Portal:
        """Holding the lock: the running portal, or a new one."""
        portal = self.portal
        if portal is None or not portal.alive:
            if sys.is_finalizing():
                raise RuntimeError("the interpreter is shutting down: no call can be begun any more")
            portal = Portal("omium_sync")
            portal.start()
            self.portal = portal
        return portal

    def give_back(self, portal: Portal) -> None:
        """A client has left; the last one ends the loop."""
        with self.lock:
            portal.users -= 1
            last = portal.users == 0 and portal.alive
            if last and self.portal is portal:
                self.portal = None
        if last:
            portal.stop()

    def after_fork(self) -> None:
        """In the child: the loop's thread is gone, and its locks are as they were at that moment.

        What was inherited is kept as it is: closing the parent's loop here would take sockets out of the parent's
        poller, which both processes share.
        """
        self.lock = threading.RLock()
        self.number += 1
        if self.portal is not None:
            self.portal.alive = False
            self.inherited.append(self.portal)
            self.portal = None

    def at_exit(self) -> None:
        """Cancel what is under way and end the loop, so that no thread is cut off in the middle of a line."""
        portal, self.portal = self.portal, None
        if portal is not None:
            portal.stop()


_process: Final = _Process()
atexit.register(_process.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)


class Line:
    """The way of one client, and of its copies, to the loop."""

    def __init__(self, core: AsyncOmium) -> None:
        self._core = core
        self._portal: Portal | None = None
        self._process = _process.number
        self._sources: set[AsyncGenerator[Any]] = set()
        self._closed = False

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``await function(*args, **kwargs)`` gives."""
        portal = self._portal
        if portal is None or not portal.alive:
            portal = self._connect()
        return portal.call(self, function, *args, **kwargs)

    def post(self, function: Callable[..., Awaitable[None]], /, *args: Any) -> None:
        """Run it on the loop some time, if that still runs. For finalizers: takes no lock and never blocks."""
        portal = self._portal
        if portal is not None and portal.alive:
            portal.post(function, *args)

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self._closed:
            _raise_closed()

    def check_process(self, number: int | None) -> int:
        """The number of this process, which must be ``number`` if one is given.

        :raises RuntimeError: it is another: what was begun there cannot go on here.
        """
        if number is not None and number != _process.number:
            raise RuntimeError("this iterator was begun in another process, before a fork: begin a new one here")
        return _process.number

    def close(self) -> None:
        """Close the client, once."""
        portal = self._portal
        if portal is not None and portal.alive:
            with _process.lock:
                closed, self._closed = self._closed, True
            if not closed:
                try:
                    portal.call(self, self._shut, portal)
                finally:
                    self._portal = None
                    _process.give_back(portal)
        self._closed = True

    def _connect(self) -> Portal:
        with _process.lock:
            self.check_open()
            portal = _process.take_portal()
            if self._process != _process.number:
                self._process = _process.number
                self._sources = set()
                _renew(self._core)
            if self._portal is not portal:
                self._portal = portal
                portal.users += 1
        return portal

    # -- on the loop -------------------------------------------------------------------------------------------------

    def opened(self, source: AsyncGenerator[Any]) -> None:
        """An async generator was begun; it is closed with the client."""
        self._sources.add(source)

    async def end(self, source: AsyncGenerator[Any]) -> None:
        """It is needed no longer."""
        self._sources.discard(source)
        await source.aclose()

    async def _shut(self, portal: Portal) -> None:
        await self._end_sources()
        await self._core.aclose()
        left = portal.calls_of(self)
        if left:
            await asyncio.wait([call.task for call in left if call.task is not None], timeout=_OWN_END)
        left = portal.calls_of(self)
        for call in left:
            call.cancel("this client was closed while the call was under way")
        if left:
            await asyncio.wait([call.task for call in left if call.task is not None], timeout=_OWN_END)
        await self._end_sources()

    async def _end_sources(self) -> None:
        for source in list(self._sources):
            with contextlib.suppress(RuntimeError):  # it runs: then the call that reads it is ended instead
                await self.end(source)

    def __del__(self) -> None:
        portal = getattr(self, "_portal", None)
        if portal is not None and portal.alive:
            portal.post(_farewell, self._core, portal)


async def _farewell(core: AsyncOmium, portal: Portal) -> None:
    """Close a client that was collected: nothing of it runs any more."""
    try:
        await core.aclose()
    finally:
        _process.give_back(portal)


def _renew(core: AsyncOmium) -> None:
    """Let a client inherited by a fork begin anew: its connections, locks and queues are the parent's."""
    shared = core._caller.shared  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    shared._transport = None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    shared._lock = threading.Lock()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _raise_closed() -> NoReturn:
    raise RuntimeError("this client is closed (close was called); make a new one")

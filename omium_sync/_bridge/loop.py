"""A thread whose event loop runs an anyio portal.

The thread is ours and not `start_blocking_portal`'s, whose context manager keeps the interpreter from ending when a
global or a cycle holds it, and hangs when Ctrl-C meets its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["LoopThread", "User"]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("omium_sync")
_PATIENCE: Final = 5.0  # seconds for a loop to end; a hook of the user's may block it for ever


class User(Protocol):
    """A client whose calls run on a loop."""

    def leave_to_parent(self) -> None:
        """In a forked child: its calls run in the parent alone."""


class LoopThread:
    """A loop that runs until `stop`, or is left behind when the interpreter ends or the process forks.

    :param keep_signals: whether Ctrl-C may be delivered to this thread, as to the processes that it starts.
    :ivar alive: the portal takes tasks, or will. Never again once it was stopped, or in a forked child.
    :ivar exiting: it was stopped because the interpreter ends.
    :ivar users: the clients that use it; what is in here is not collected before it is closed on the loop.
    """

    def __init__(self, name: str, *, keep_signals: bool = False) -> None:
        self.alive = True
        self.exiting = False
        self.users: set[User] = set()
        self._keep_signals = keep_signals
        self._loop: asyncio.AbstractEventLoop | None = None
        self._portal: BlockingPortal | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._ident: int | None = None

    # -- in other threads --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Who asks for the portal then waits until it runs."""
        try:
            self._thread.start()
        except BaseException:
            self.alive = False  # interrupted: should the thread run after all, it ends by itself
            raise

    def portal(self) -> BlockingPortal:
        """Its portal, as soon as that runs.

        :raises RuntimeError: it could not start, or was stopped.
        """
        self._ready.wait()
        if self._portal is None:
            raise RuntimeError(f"the loop of omium_sync could not start: {self._failure!r}") from self._failure
        return self._portal

    @property
    def is_current(self) -> bool:
        """Whether this is its own thread."""
        return get_ident() == self._ident

    def check_other_thread(self) -> None:
        """:raises RuntimeError: this is the loop's own thread."""
        if get_ident() == self._ident:
            raise RuntimeError(
                "this call is made on the loop's own thread (by a hook such as on_attempt), where it would wait for "
                "itself: make it from another thread"
            )

    def notify(self, function: Callable[[], object]) -> bool:
        """Run a function on the loop soon; whether it will be. For finalizers too: takes no lock and never blocks."""
        try:
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(function)
        except (AttributeError, RuntimeError):  # there is none yet, or it was closed in this very moment
            return False
        return True

    def stop(self, *, patience: float = _PATIENCE, exiting: bool = False) -> None:
        """End the portal, cancelling what runs, and wait for that; on the loop's own thread it is only begun.

        :param exiting: the interpreter ends: those who wait for a call are not told.
        """
        self.alive = False
        self.exiting = exiting
        self._ready.wait(patience)
        self.notify(self._stopping.set)
        if not self.is_current:
            self._thread.join(patience)

    # -- in its thread -----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            if not self._keep_signals and hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            # The first call pays for this import, but not the loop: nothing else may wait for it.
            from anyio.from_thread import BlockingPortal  # noqa: PLC0415

            self._loop = loop = _new_loop()
            main = loop.create_task(self._serve(BlockingPortal))
            while not main.done():
                # What a hook raised in a task of the core's own must not end the loop for all others.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(main)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for the start
            self._failure = error
        finally:
            self.alive = False
            self._ready.set()
        if self._loop is not None:
            _close(self._loop)

    async def _serve(self, new_portal: type[BlockingPortal]) -> None:
        async with new_portal() as self._portal:
            self._ident = get_ident()
            self._ready.set()
            if self.alive:
                await self._stopping.wait()
            await self._portal.stop(cancel_remaining=True)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_PATIENCE))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


class _LookUps(ThreadPoolExecutor):
    """Looks up names in daemon threads: one that hangs must not keep the interpreter from ending."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it belongs to who awaits
                future.set_exception(error)
            else:
                future.set_result(result)

        future.set_running_or_notify_cancel()
        threading.Thread(target=run, name="omium_sync-lookup", daemon=True).start()
        return future


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's when ``OMIUM_UVLOOP`` asks for it and it is installed."""
    loop = None
    if os.environ.get("OMIUM_UVLOOP", "") not in {"", "0"}:
        try:
            import uvloop  # noqa: PLC0415 - an optional dependency
        except ImportError:
            _logger.warning("OMIUM_UVLOOP is set, and uvloop is not installed: asyncio's own loop is used")
        else:
            loop = cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())
    loop = loop or asyncio.new_event_loop()
    loop.set_default_executor(_LookUps())
    return loop

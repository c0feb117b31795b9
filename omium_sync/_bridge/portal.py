"""An event loop on a thread of its own, and the way across: a thread hands a call over and sleeps until it has ended.

The loop's main task is an anyio portal. Its thread is ours and not `start_blocking_portal`'s, whose context manager
keeps the interpreter from ending when a global or a cycle holds it, and hangs when Ctrl-C meets its start. Calls cross
by a way faster than `portal.call` (`benchmarks/facade.py`): whatever was handed over meanwhile is begun in one turn of
the loop, and one lock wakes each caller. A `SystemExit` in a task of anyio's would end the portal for all threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import threading
from _thread import get_ident
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from .call import Call

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["Portal"]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("omium_async")
_PATIENCE: Final = 5.0  # seconds for a loop to end; a hook of the user's may block it for ever
_EAGER: Final[Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class _Wake:
    """A turn of the loop in which it takes what was handed over; ``due`` until it begins with that."""

    __slots__ = ("due",)

    def __init__(self) -> None:
        self.due = True


class Portal:
    """A loop that runs until `stop`, or is left behind when the interpreter ends or the process forks.

    :param farewell: awaited on the loop before it ends.
    :param keep_signals: whether Ctrl-C may be delivered to this thread, as to the processes that it starts.
    :ivar alive: calls may be made. Never again once it was stopped, or in a forked child.
    :ivar users: how many clients use it. :ivar held: what must not be collected before it is closed on the loop.
    """

    def __init__(
        self, name: str, farewell: Callable[[], Awaitable[None]] | None = None, *, keep_signals: bool = False
    ) -> None:
        self.alive = True
        self.users = 0
        self.held: set[object] = set()
        self._farewell = farewell
        self._keep_signals = keep_signals
        self._loop: asyncio.AbstractEventLoop | None = None
        self._portal: BlockingPortal | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread_id: int | None = None
        self._handed: deque[Call] = deque()
        self._wake = _Wake()
        self._wake.due = False
        self._running: set[Call] = set()
        self._exiting = False

    # -- in the threads of the user ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Who calls then waits until the loop runs."""
        try:
            self._thread.start()
        except BaseException as error:
            self.alive = False  # interrupted: should the thread run after all, it ends by itself
            if isinstance(error, RuntimeError) and "shutdown" in str(error):
                raise RuntimeError("no call can be begun any more: the interpreter is shutting down") from error
            raise

    def call(self, owner: object, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``await function(*args, **kwargs)`` gives, run on the loop in the context of this thread."""
        if get_ident() == self._thread_id:
            self.check_thread()
        call = Call(owner, function, args, kwargs)
        try:
            self._hand_over(call)
            call.wait()
        except BaseException:
            self._abandon(call)
            raise
        if call.error is not None:
            error = call.take_error()
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return cast("T", call.result)

    def begin(self, owner: object, function: Callable[[], Awaitable[None]], on_end: Callable[[], None]) -> Call:
        """Run ``function`` on the loop, in the context of this thread, until it ends or is cancelled there."""
        self.check_thread()
        call = Call(owner, function, (), {}, on_end)
        try:
            self._hand_over(call)
        except BaseException:
            self._abandon(call)
            raise
        return call

    def check_thread(self) -> None:
        """:raises RuntimeError: this is the loop's own thread."""
        if get_ident() == self._thread_id:
            raise RuntimeError(
                "this call is made on the loop's own thread (by a hook such as on_attempt), where it would wait for "
                "itself: make it from another thread"
            )

    def post(self, function: Callable[..., Awaitable[None]], /, *args: Any) -> None:
        """Run it on the loop some time, waited for by nobody. For finalizers: takes no lock and never blocks."""
        self.notify(functools.partial(self._begin, Call(None, function, args, {})))

    def notify(self, function: Callable[[], None]) -> None:
        """Run a function on the loop soon."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed in this very moment
                self._loop.call_soon_threadsafe(function)

    def stop(self, *, patience: float = _PATIENCE, exiting: bool = False) -> None:
        """End the loop, cancelling what runs, and wait for that; on the loop's own thread it is only begun.

        :param exiting: the interpreter ends: those who wait for a call are not told.
        """
        self.alive = False
        self._exiting = exiting
        self._ready.wait(patience)
        self.post(self._stop)
        if get_ident() != self._thread_id:
            self._thread.join(patience)

    def leave_to_parent(self) -> None:
        """In a forked child: it runs in the parent alone. A call that this thread was waiting for has no end here."""
        self.alive = False
        for call in [*self._running, *self._handed]:
            call.task = None
            call.cancel("the process forked while this call was under way: it goes on in the parent alone")

    def _hand_over(self, call: Call) -> None:
        if self._thread_id is None:
            self._ready.wait()
            if self._failure is not None:
                raise RuntimeError(f"the loop of omium_sync could not start: {self._failure!r}") from self._failure
        self._handed.append(call)
        # Set only once it is sure to come: an interrupt between the two lines costs one wake too many.
        if not self._wake.due:
            self._wake = self._wake_up()
        if not self.alive:
            call.cancel("this client was closed")

    def _wake_up(self) -> _Wake:
        wake = _Wake()
        with contextlib.suppress(RuntimeError):  # it was closed in this very moment: then it is not alive
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(self._take, wake)
        return wake

    def _abandon(self, call: Call) -> None:
        """An interrupt: cancel the call, and wait until it has ended. A second interrupt gets through."""
        if self._loop is not None and self.alive:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._cancel, call)
                call.wait()

    # -- in the thread of the loop -----------------------------------------------------------------------------------

    def calls_of(self, owner: object) -> list[Call]:
        """What runs for ``owner``, but for the call that asks."""
        here = asyncio.current_task()
        return [call for call in self._running if call.owner is owner and call.task is not here]

    def _take(self, wake: _Wake) -> None:
        wake.due = False
        while self._handed:
            self._begin(self._handed.popleft())

    def _begin(self, call: Call) -> None:
        if not call.ended:
            running = self._running
            running.add(call)
            call.task = asyncio.Task(call.run(running), loop=self._loop, context=call.context, **_EAGER)

    def _cancel(self, call: Call) -> None:
        call.cancel("interrupted")
        self._take(self._wake)

    def _main(self) -> None:
        try:
            # The first call pays for this import, but not the loop: nothing else may wait for it.
            from anyio.from_thread import BlockingPortal  # noqa: PLC0415

            if not self._keep_signals and hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            loop = self._loop = _new_loop()
            main = loop.create_task(self._serve(BlockingPortal))
            while not main.done():
                # What a hook raised in a task of the core's own must not end the loop for all others.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(main)
            main.result()
            self._close(loop)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for the start
            self._failure = error
        finally:
            self.alive = False
            self._ready.set()
            while self._handed:
                self._handed.popleft().cancel("this client was closed")

    async def _serve(self, new_portal: type[BlockingPortal]) -> None:
        async with new_portal() as portal:
            self._portal = portal
            self._thread_id = get_ident()
            self._ready.set()
            if self.alive:
                await portal.sleep_until_stopped()

    async def _stop(self) -> None:
        for call in [call for call in self._running if call.owner is not None]:
            if self._exiting:
                call.drop()
            else:
                call.cancel("this client was closed while the call was under way")
        try:
            if self._farewell is not None:
                await self._farewell()
        finally:
            if self._portal is not None:
                await self._portal.stop()

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
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

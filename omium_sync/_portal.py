"""The event loop of the process: a daemon thread that runs an anyio `BlockingPortal` and serves all clients.

One loop is enough: two are no faster, because Python runs one thread at a time. The loop ends when the last client is
closed or garbage-collected, and when the interpreter exits. A forked child starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar, cast

from anyio.from_thread import BlockingPortal

from omium_async._caller import Shared

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("omium_sync")
_STOP_TIMEOUT: Final = 5.0  # seconds for a loop to end; a hook of the user may block it forever
_STOP_TIMEOUT_AT_EXIT: Final = 1.0
_ANSWER_TIMEOUT: Final = 1.0  # seconds that an ending loop still answers threads that just start a task
#: Seconds that a waiting thread sleeps at a time. A signal that arrives just before the thread falls asleep does not
#: wake it, so the exception of its handler, such as `KeyboardInterrupt`, is raised when the thread wakes by itself.
_NAP: Final = 0.5


# anyio imports this at the first use of a portal. A child that is forked meanwhile would wait for the import forever.
with contextlib.suppress(ImportError):
    importlib.import_module("anyio._backends._asyncio")

_uvloop: Any = None
if os.environ.get("OMIUM_UVLOOP", "") not in {"", "0"}:
    try:
        _uvloop = importlib.import_module("uvloop")
    except ImportError:
        _logger.warning("OMIUM_UVLOOP is set, but uvloop is not installed: asyncio's own loop is used")


class LoopThread:
    """A daemon thread with an event loop and a portal.

    anyio's `start_blocking_portal` is not used: its context manager keeps the interpreter from exiting while a global
    variable or a cycle refers to it, and it hangs when Ctrl-C interrupts its start.

    :param keep_signals: whether Ctrl-C may be delivered to this thread and to the processes that it starts.
    :ivar alive: whether calls can be started; false after the thread was stopped, and in a forked child.
    :ivar users: the connections of the clients that use the loop.
    """

    def __init__(self, name: str, *, keep_signals: bool = False) -> None:
        self.alive = True
        self.users: set[Shared] = set()
        self.ident: int | None = None
        self._keep_signals = keep_signals
        self._forked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._portal: BlockingPortal | None = None
        self._ready: Future[None] = Future()
        self._stopping = asyncio.Event()
        self._closing: dict[asyncio.Task[None], Shared] = {}
        self._starting: set[object] = set()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    # -- in other threads --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, and do not wait for that: in a child forked by a signal handler it would never start.

        :raises RuntimeError: the interpreter is shutting down.
        """
        try:
            start_new_thread(self._start, ())
        except BaseException:
            self.alive = False  # if the thread starts after all, it ends at once
            raise

    def _start(self) -> None:
        try:
            self._thread.start()
        except BaseException as error:  # noqa: BLE001 - raised to the threads that wait for the portal
            self._end(error)

    @property
    def has_started(self) -> bool:
        """Whether the portal runs, or did."""
        return self._portal is not None

    @property
    def portal(self) -> BlockingPortal:
        """The portal, once it runs.

        :raises RuntimeError: the loop could not start, or this is a forked child.
        """
        if self._portal is None:
            self.wait(self._ready)
            self._ready.result()
        return cast("BlockingPortal", self._portal)

    def start_task(self, function: Callable[..., Awaitable[T]], *args: Any) -> Future[T]:
        """Run a coroutine function in the loop, in the context of this thread.

        :raises RuntimeError: the loop does not run any more.
        """
        start = object()
        try:
            portal = self.portal
            try:
                self._starting.add(start)
                return portal.start_task_soon(function, *args)
            finally:
                self._starting.discard(start)
        except BaseException as error:  # noqa: BLE001 - raised again
            interrupt = _repaired(error)
            if interrupt is error and isinstance(error, RuntimeError):
                sleep_at_exit()
            raise interrupt from interrupt.__cause__

    def wait(self, *futures: Future[Any]) -> None:
        """Wait until one of the futures is done. The handler of a signal may raise an exception here.

        :raises RuntimeError: this is a forked child, where the loop does not run.
        """
        woken = allocate_lock()
        woken.acquire()

        def wake(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # another future was done first
                woken.release()

        try:
            for future in futures:
                future.add_done_callback(wake)
            while not woken.acquire(timeout=_NAP):
                if self._forked:
                    raise RuntimeError(  # noqa: TRY301
                        "the process forked while this call was in progress: it continues in the parent process only"
                    )
        except BaseException as error:  # noqa: BLE001 - raised again
            interrupt = _repaired(error)
            raise interrupt from interrupt.__cause__
        sleep_at_exit()

    def check_other_thread(self) -> None:
        """:raises RuntimeError: this is the thread of the loop."""
        if get_ident() == self.ident:
            raise RuntimeError(
                "this call is made on the loop's own thread (by a hook such as on_attempt), where it would wait for "
                "itself: make it from another thread"
            )

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the loop soon, if the loop runs. Takes no lock and never blocks, for finalizers."""
        with contextlib.suppress(AttributeError, RuntimeError):  # there is no loop yet, or it was closed just now
            cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(function, *args)

    def stop(self, timeout: float = _STOP_TIMEOUT) -> None:
        """Cancel all calls and end the loop. Waits until it has ended, except in its own thread."""
        self.alive = False
        state.running.discard(self)
        self.call_soon(self._stopping.set)
        if get_ident() != self.ident and self._thread.is_alive():
            self._thread.join(timeout)

    def join_ended(self) -> None:
        """Wait for the end of the thread if its last client has left."""
        if not self.alive:
            self._thread.join(_STOP_TIMEOUT)

    def leave_to_parent(self) -> None:
        """In a forked child: the thread runs in the parent only."""
        self.alive = False
        self._forked = True

    # -- in the loop -------------------------------------------------------------------------------------------------

    def leave(self, user: Shared) -> None:
        """Forget a client whose connections are closed. The last client ends the loop."""
        with state.lock:
            self.users.discard(user)
            self.alive = self.alive and bool(self.users)
        if not self.alive:
            self._stopping.set()

    def close_soon(self, user: Shared) -> None:
        """Close the connections of a client that was garbage-collected, then forget it."""
        task = asyncio.get_running_loop().create_task(user.transport.close())
        self._closing[task] = user  # the loop itself refers to its tasks only weakly
        task.add_done_callback(lambda task: self.leave(self._closing.pop(task)))

    def _main(self) -> None:
        try:
            if not self._keep_signals and hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            self._loop = loop = _new_loop()
            main = loop.create_task(self._serve())
            while not main.done():
                # A hook that raises one of these in a task of the core must not end the loop of all clients.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(main)
        except BaseException as error:  # noqa: BLE001 - raised to the threads that wait for the portal
            self._end(error)
        else:
            self._end()
        if self._loop is not None:
            _close(self._loop)

    def _end(self, error: BaseException | None = None) -> None:
        self.alive = False
        state.running.discard(self)
        if not self._ready.done():
            failure = RuntimeError(f"the event loop of omium_sync could not start: {error!r}")
            failure.__cause__ = error
            self._ready.set_exception(failure)

    async def _serve(self) -> None:
        async with BlockingPortal() as self._portal:
            self.ident = get_ident()
            self._ready.set_result(None)
            if self.alive:
                await self._stopping.wait()
            await self._portal.stop(cancel_remaining=True)
        # The portal makes a thread that starts a task wait for the loop, without a limit.
        last = monotonic() + _ANSWER_TIMEOUT
        while self._starting and monotonic() < last:  # noqa: ASYNC110 - other threads change it
            await asyncio.sleep(0.001)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    remaining = asyncio.all_tasks(loop)
    for task in remaining:
        task.cancel()
    if remaining:
        loop.run_until_complete(asyncio.wait(remaining, timeout=_STOP_TIMEOUT))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


class _DaemonExecutor(ThreadPoolExecutor):
    """Resolves host names in daemon threads: a lookup that hangs must not keep the interpreter from exiting."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised to the task that awaits the future
                future.set_exception(error)
            else:
                future.set_result(result)

        future.set_running_or_notify_cancel()
        threading.Thread(target=run, name="omium_sync-lookup", daemon=True).start()
        return future


def _new_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = asyncio.new_event_loop() if _uvloop is None else _uvloop.new_event_loop()
    loop.set_default_executor(_DaemonExecutor())
    return loop


def _repaired(error: BaseException) -> BaseException:
    """Return an interrupt after releasing the locks of futures that it left locked.

    The handler of a signal may raise just after a future's condition was acquired, or was released for a wait, and
    before the ``with`` block is entered. The loop would then wait for that condition forever, and the `RuntimeError`
    of a second release would hide the interrupt. Without this, 7 of 12 programs with 200 random interrupts failed.
    """
    hidden = error.__context__
    if isinstance(error, RuntimeError) and hidden is not None and _conditions_of(hidden):
        error = hidden  # not an exception that the caller was handling, which passed through no condition
    for condition in _conditions_of(error):
        while condition._is_owned():  # noqa: SLF001
            condition.release()
    return error


def _conditions_of(error: BaseException) -> list[Any]:
    """Return the conditions whose methods the exception passed through."""
    found: list[Any] = []
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        condition = frame.f_locals.get("self")
        if isinstance(condition, threading.Condition) and frame.f_code.co_name != "__init__":
            found.append(condition)
        trace = trace.tb_next
    return found


# -- the process -----------------------------------------------------------------------------------------------------


class _State:
    """The loops of this process.

    :ivar lock: reentrant, because the handler of a signal may make a call while its thread holds the lock. Nothing
        waits for a loop while it holds this lock.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.shared: LoopThread | None = None
        self.running: set[LoopThread] = set()
        self.inherited: list[object] = []  # objects of the parent that a forked child must neither use nor collect
        self.exiting = False


state: Final = _State()
_EXITING: Final = "no call can be started any more: the interpreter is shutting down"


def sleep_at_exit() -> None:
    """Put a daemon thread to sleep when the interpreter exits, because it would otherwise print an error."""
    if state.exiting and threading.current_thread().daemon:
        threading.Event().wait()


def shared_thread() -> LoopThread:
    """Return the thread of all clients, started if necessary. Hold `state.lock` until the client is one of its users.

    :raises RuntimeError: the interpreter is shutting down.
    """
    if sys.is_finalizing():
        raise RuntimeError(_EXITING)
    if state.shared is None or not state.shared.alive:
        state.shared = start_thread(LoopThread("omium_sync"))
    return state.shared


def start_thread(thread: LoopThread) -> LoopThread:
    """Start a thread. It ends when it is stopped, at the latest when the process exits."""
    state.running.add(thread)
    try:
        thread.start()
    except BaseException as error:
        state.running.discard(thread)
        if state.exiting and isinstance(error, RuntimeError):  # from Python 3.12 on no thread starts at this time
            raise RuntimeError(_EXITING) from error
        raise
    return thread


def _at_exit() -> None:
    """Cancel all calls and end the loops, before Python stops daemon threads at arbitrary lines.

    Runs after the handlers that were registered since the import of this module: they may make calls.
    """
    state.exiting = True
    state.shared = None
    for thread in list(state.running):
        thread.stop(_STOP_TIMEOUT_AT_EXIT)


def _after_fork() -> None:
    """In the child: the threads of the loops do not exist, and a lock that was held at the fork stays locked.

    The inherited loops are kept forever: closing one would remove sockets from the poller, which both processes share.
    """
    state.lock = threading.RLock()
    state.shared = None
    for thread in state.running:
        thread.leave_to_parent()
        state.inherited.append(thread)
    state.running = set()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

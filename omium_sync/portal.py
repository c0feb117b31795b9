"""An event loop on a thread of its own, and the way across: a thread hands a call over and sleeps until it has ended.

The loop's main task is an anyio portal. The thread is ours and not `start_blocking_portal`'s, whose context manager
blocks the interpreter's exit when a global or a cycle holds it, and hangs when Ctrl-C meets its start. Calls cross by
a faster way than `portal.call` too: one callback makes the task, one lock wakes the caller (`benchmarks/facade.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
from _thread import allocate_lock, get_ident
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["Portal"]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("omium_async")
_JOIN: Final = 5.0  # seconds for a loop to end; a hook of the user's may block it for ever


class _Call:
    """One call on its way: made by a thread, run by the loop, waited for by the thread."""

    __slots__ = ("_begun", "_ended", "_lock", "arguments", "context", "error", "function", "owner", "reason", "result",
                 "task")  # fmt: skip

    def __init__(self, owner: object, function: Callable[..., Awaitable[Any]], arguments: Any) -> None:
        self.owner = owner
        self.function = function
        self.arguments = arguments
        self.context = contextvars.copy_context()
        self.task: asyncio.Task[None] | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.reason: str | None = None
        self._begun = self._ended = False
        self._lock = allocate_lock()
        self._lock.acquire()

    async def run(self) -> None:
        self._begun = True
        try:
            args, kwargs = self.arguments
            self.result = await self.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - a SystemExit of a hook belongs to the caller, not to the loop
            self.fail(error)
        finally:
            self.end()

    def fail(self, error: BaseException) -> None:
        if self.reason is not None and isinstance(error, asyncio.CancelledError):
            error = RuntimeError(self.reason)
        elif error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # begins where the call does, not here
        self.error = error

    def cancel(self, reason: str) -> None:
        """On the loop: end it, and say why to whoever waits for it."""
        self.reason = reason
        if self.task is None:
            self.fail(asyncio.CancelledError())
            self.end()
        elif not self.task.done():
            self.task.cancel()
            if not self._begun:  # then no line of `run` will ever run
                self.fail(asyncio.CancelledError())
                self.task.add_done_callback(self.end)

    def end(self, _: object = None) -> None:
        if not self._ended:
            self._ended = True
            self._lock.release()

    @property
    def ended(self) -> bool:
        return self._ended

    def wait(self) -> None:
        """In the thread: sleep until it has ended. A signal's handler may raise out of here."""
        if not self._ended:
            self._lock.acquire()
            self._lock.release()  # whoever waits again, after an interrupt, must not wait for ever


class Portal:
    """A running loop. It ends with `stop`, or is left behind when the interpreter ends or the process forks.

    :ivar alive: calls may be made. Never again once it was stopped, or in a forked child.
    :ivar users: how many clients use it.
    """

    def __init__(self, name: str) -> None:
        self.alive = True
        self.users = 0
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._portal: BlockingPortal | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread_id: int | None = None
        self._handed: deque[_Call] = deque()
        self._running: set[_Call] = set()

    # -- in the threads of the user ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; what is called waits until the loop runs."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self.alive = False
            raise RuntimeError("no call can be begun any more: the interpreter is shutting down") from error
        except BaseException:
            self.alive = False  # interrupted: should the thread run after all, it ends by itself
            raise

    def call(self, owner: object, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``await function(*args, **kwargs)`` gives, run on the loop in the context of this thread."""
        if get_ident() == self._thread_id:
            raise RuntimeError(
                "this call was made on the loop's own thread (by a hook such as on_attempt) and would wait for itself: "
                "make it from another thread"
            )
        call = _Call(owner, function, (args, kwargs))
        try:
            self._hand_over(call)
            call.wait()
        except BaseException:
            self._abandon(call)
            raise
        error = call.error
        if error is not None:
            call.error = None
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return cast("T", call.result)

    def post(self, function: Callable[..., Awaitable[None]], /, *args: Any) -> None:
        """Run it on the loop some time, waited for by nobody. For finalizers: takes no lock and never blocks."""
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._begin, _Call(None, function, (args, {})))

    def stop(self) -> None:
        """End the loop, cancelling what runs, and wait for that. On the loop's own thread it is only begun."""
        self.alive = False
        self._ready.wait()
        self.post(self._stop)
        if get_ident() != self._thread_id:
            self._thread.join(_JOIN)

    def calls_of(self, owner: object) -> list[_Call]:
        """On the loop: what runs for ``owner``, without the call that asks."""
        here = asyncio.current_task()
        return [call for call in self._running if call.owner is owner and call.task is not here]

    def _hand_over(self, call: _Call) -> None:
        if self._thread_id is None:
            self._ready.wait()
            if self._failure is not None:
                raise self._failure
        self._handed.append(call)
        if self.alive:
            try:
                self._loop.call_soon_threadsafe(self._take)  # type: ignore[union-attr]
            except RuntimeError:  # closed in this very moment
                self.alive = False
        if not self.alive:
            call.cancel("this client was closed")

    def _abandon(self, call: _Call) -> None:
        """An interrupt: cancel the call and wait until it has ended. A second interrupt gets through."""
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call.cancel, "interrupted")
                call.wait()

    # -- in the thread of the loop -----------------------------------------------------------------------------------

    def _take(self) -> None:
        with contextlib.suppress(IndexError):
            self._begin(self._handed.popleft())

    def _begin(self, call: _Call) -> None:
        if not call.ended:
            call.task = asyncio.get_running_loop().create_task(call.run(), context=call.context)
            self._running.add(call)
            call.task.add_done_callback(lambda _: self._running.discard(call))

    def _main(self) -> None:
        try:
            loop = self._loop = _new_loop()
            main = loop.create_task(self._serve())
            while not main.done():
                # One that a hook raised in a task of the core's own must not end the loop for all others.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(main)
            self._close(loop)
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the start
            self._failure = error
        finally:
            self.alive = False
            self._ready.set()
            while self._handed:
                self._handed.popleft().cancel("this client was closed")

    async def _serve(self) -> None:
        from anyio.from_thread import BlockingPortal  # noqa: PLC0415 - the first call pays for it, not the import

        async with BlockingPortal() as portal:
            self._portal = portal
            self._thread_id = get_ident()
            self._ready.set()
            if self.alive:
                await portal.sleep_until_stopped()

    async def _stop(self) -> None:
        for call in [call for call in self._running if call.owner is not None]:
            call.cancel("this client was closed while the call was under way")
        if self._portal is not None:
            await self._portal.stop()

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_JOIN))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's when ``OMIUM_UVLOOP`` asks for it."""
    if os.environ.get("OMIUM_UVLOOP", "") not in ("", "0"):
        try:
            import uvloop  # noqa: PLC0415 - an optional dependency
        except ImportError:
            _logger.warning("OMIUM_UVLOOP is set, and uvloop is not installed: asyncio's own loop is used")
        else:
            return cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())
    return asyncio.new_event_loop()

"""The calls of one client: started by any thread, run in the event loop of the process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, NoReturn, Protocol

from omium_async import Execution
from omium_async import _arguments as check
from omium_async._caller import Shared

from ._portal import LoopThread, shared_thread, sleep_at_exit, state

_GRACE: Final = 0.1  # seconds for a call to end by itself, with an outcome, when another thread closes its client

OnCreated = Callable[[Execution], object]


class Closable(Protocol):
    """The generator behind an iterator, as the client closes it."""

    async def close_unread(self) -> None:
        """Cancel the work of the generator and wait until it has ended, unless a thread waits for an item."""


class CreatedHook:
    """Remembers the execution that a call creates. The thread that waits for the call calls ``on_created``."""

    def __init__(self, on_created: OnCreated | None) -> None:
        self.created: Future[Execution] = Future()
        self._on_created = on_created
        self._answer: Future[None] = Future()

    def report(self, execution: Execution) -> asyncio.Future[None] | None:
        """In the loop: give the execution to the thread. The call continues when the returned future is done."""
        self.created.set_result(execution)
        return None if self._on_created is None else asyncio.wrap_future(self._answer)

    def wait(self, thread: LoopThread, ended: Future[None]) -> None:
        """In the thread: wait for the create, then call ``on_created``.

        Its `Exception` is raised by the call; any other, such as `KeyboardInterrupt`, interrupts the thread.
        """
        if self._on_created is None:
            return
        thread.wait(self.created, ended)
        if not self.created.done():
            return
        error = None
        try:
            self._on_created(self.created.result())
        except StopIteration:  # a future refuses it
            raise
        except Exception as raised:  # noqa: BLE001 - raised by the call
            error = raised
        with contextlib.suppress(InvalidStateError):  # the call was cancelled meanwhile
            self._answer.set_result(None) if error is None else self._answer.set_exception(error)


class Call:
    """One call: a coroutine function with its arguments, its task, and its result or exception."""

    def __init__(self, function: Callable[..., Awaitable[Any]], args: Any, kwargs: dict[str, Any]) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.hook: CreatedHook | None = None
        if "on_created" in kwargs:
            check.plain_function(kwargs["on_created"], "on_created")
            self.hook = CreatedHook(kwargs["on_created"])
            kwargs["on_created"] = self.hook.report
        self.task: asyncio.Task[Any] | None = None
        self.cancelled = False
        self.result: Any = None
        self.error: BaseException | None = None

    async def run(self) -> None:
        """Run the function and keep its exception: a `KeyboardInterrupt` of a hook must not end the loop."""
        self.task = asyncio.current_task()
        try:
            if self.cancelled:  # before it sent anything
                raise asyncio.CancelledError  # noqa: TRY301
            self.result = await self.function(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - raised in the thread
            trace = error.__traceback__
            self.error = error.with_traceback(trace and trace.tb_next)

    async def cancel(self) -> None:
        """Cancel the call and wait until it has ended. Cancels only once: a second time would interrupt its cleanup."""
        if not self.cancelled and self.task is not None:
            self.task.cancel()
        self.cancelled = True
        if self.task is not None:
            await asyncio.wait([self.task])

    def add_notes(self, interrupt: BaseException) -> None:
        """Add notes with the id of the execution to an interrupt, because the call cannot return it any more."""
        notes = getattr(self.error, "__notes__", [])
        created = self.hook.created.result() if self.hook is not None and self.hook.created.done() else self.result
        about = getattr(created, "id", None) or getattr(self.error, "execution_id", None)
        if not notes and about is not None:
            notes = [f"the call for execution {about} had ended before this interrupt"]
        for note in notes:
            interrupt.add_note(note)


def run_call(thread: LoopThread, call: Call) -> Any:
    """Run a call in the loop, wait for it and return its result.

    If an interrupt, such as Ctrl-C, ends the wait, the call is cancelled and has ended before the interrupt is raised.
    """
    try:
        future = thread.start_task(call.run)
        if call.hook is not None:
            call.hook.wait(thread, future)
        thread.wait(future)
    except BaseException as interrupt:
        with contextlib.suppress(RuntimeError):  # the loop ended meanwhile, and the call with it
            if thread.alive and thread.has_started:  # otherwise the call has not begun
                thread.wait(thread.start_task(call.cancel))
        call.add_notes(interrupt)
        raise
    error = call.error
    if error is None:
        return call.result
    try:
        raise error
    finally:
        call.error = error = None  # its traceback refers to this frame


class Dispatcher:
    """Starts the calls of one client and its copies. Their iterators refer to it, so that it is not collected."""

    def __init__(self, shared: Shared) -> None:
        self.closed = False
        self.iterators: weakref.WeakSet[Closable] = weakref.WeakSet()
        self._shared = shared
        self._thread: LoopThread | None = None
        self._calls: set[Call] = set()

    def call(self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """Run a coroutine function in the loop and return its result.

        :raises RuntimeError: the client is closed, or the call would wait for itself.
        """
        thread = self.connect()
        call = Call(function, args, kwargs)
        self._calls.add(call)
        try:
            return run_call(thread, call)
        except (asyncio.CancelledError, RuntimeError) as error:
            if self.closed and (call.task is None or isinstance(error, asyncio.CancelledError)):
                closed = RuntimeError("this client was closed while the call was in progress")
                for note in getattr(error, "__notes__", ()):  # the id of a new execution
                    closed.add_note(note)
                raise closed from None
            raise
        finally:
            self._calls.discard(call)

    def connect(self) -> LoopThread:
        """Return the thread of the loop, which is started if necessary.

        :raises RuntimeError: the client is closed, or the call would wait for itself.
        """
        thread = self._thread
        if thread is None or not thread.alive:
            thread = self._start()
        thread.check_other_thread()
        local = sys.modules.get("omium_async.local.running")  # if LocalOmium was imported
        if local is not None:
            local.check_not_blocked(self._shared.settings.base_url)
        return thread

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self.closed:
            raise RuntimeError("this client is closed (close was called); make a new one")

    def close(self) -> None:
        """Close the client. Calls of other threads that do not end soon by themselves are cancelled."""
        thread = self._thread
        if thread is not None and thread.alive:
            thread.check_other_thread()
        with state.lock:
            self.closed = True
            thread, self._thread = self._thread, None
        if thread is not None and thread.alive:
            with contextlib.suppress(RuntimeError):  # the loop ends just now
                thread.wait(thread.start_task(self._close, thread))
            thread.join_ended()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "Omium cannot be pickled, because it has a key and connections; create one in the other process, from its "
            "own settings"
        )

    def __del__(self) -> None:
        if self._thread is not None and self._thread.alive:
            self._thread.call_soon(self._thread.close_soon, self._shared)

    def _start(self) -> LoopThread:
        sleep_at_exit()
        with state.lock:
            self.check_open()
            if self._thread is None or not self._thread.alive:  # otherwise another thread was faster
                if self._thread is not None:  # in a forked child, connections and locks belong to the parent
                    state.inherited.append(self._shared.transport)
                    self._shared.replace_transport()
                thread = shared_thread()
                thread.users.add(self._shared)
                self._thread = thread
            return self._thread

    async def _close(self, thread: LoopThread) -> None:
        try:
            for iterator in list(self.iterators):
                await iterator.close_unread()
            await self._shared.transport.close()
            tasks = [call.task for call in list(self._calls) if call.task is not None]
            if tasks:
                await asyncio.wait(tasks, timeout=_GRACE)
            await asyncio.gather(*(call.cancel() for call in list(self._calls)))
        finally:
            thread.leave(self._shared)

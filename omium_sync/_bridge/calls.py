"""The calls of one client: made by threads, run as tasks of one group in anyio's portal, waited for by the threads.

They cross by a way faster than `BlockingPortal.call` (`benchmarks/facade.py`), which crosses twice for each: whatever
was handed over meanwhile is begun in one turn of the loop, and one lock wakes each caller. The group is asyncio's,
which begins a task in the caller's context at a third of the cost, and a call is cancelled as a task: a scope of its
own would make it take a fifth more. So each is cancelled by itself, and once.

Imported at the first call, as anyio is.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .call import Call

if TYPE_CHECKING:
    from .loop import LoopThread
    from .reading import Reading

__all__ = ["Calls"]

_OWN_END: Final = 0.1  # seconds for a call to end by itself, with a verdict, when its client is closed under it


class _Wake:
    """A turn of the loop in which it takes what was handed over; ``due`` until it begins with that."""

    __slots__ = ("due",)

    def __init__(self, *, due: bool) -> None:
        self.due = due


class Calls:
    """Served by a task of the portal, which ends when the client is closed or was collected.

    It holds nothing that leads back to the client, such as options and hooks, for then that would never be collected.

    :param shut: closes the client's connections, on the loop; its calls then end by themselves, with verdicts.
    :param leave: called at the end, perhaps twice.
    :ivar thread: where they run. :ivar closed: no call is begun any more.
    """

    def __init__(
        self, thread: LoopThread, shut: Callable[[], Awaitable[None]], leave: Callable[[Calls], object]
    ) -> None:
        self.thread = thread
        self.closed = False
        self._shut = shut
        self._leave = leave
        self._handed: deque[Call] = deque()
        self._running: set[Call] = set()
        self._wake = _Wake(due=False)
        self._group: asyncio.TaskGroup | None = None  # while calls are begun
        self._closing = asyncio.Event()
        self._over = asyncio.Event()
        self._served: Future[None] | None = None
        self._lock = threading.RLock()  # reentrant: the handler of a signal may call while its thread holds it

    @property
    def alive(self) -> bool:
        """Whether calls may be made."""
        return self.thread.alive and not self.closed

    # -- in the threads of the user ----------------------------------------------------------------------------------

    def make(self, call: Call) -> Any:
        """What a call gives, run on the loop in the context of this thread."""
        self.thread.check_other_thread()
        try:
            self._hand_over(call)
            call.wait()
        except BaseException as interrupt:
            self.end(call)
            call.note_what_is_lost(interrupt)
            raise
        error = call.error
        if error is None:
            return call.result
        call.error = None
        try:
            if self.closed and isinstance(error, asyncio.CancelledError):
                closed = RuntimeError("this client was closed while the call was under way")
                for note in getattr(error, "__notes__", ()):  # such as the id of what was created
                    closed.add_note(note)
                raise closed from None
            raise error
        finally:
            del error  # its traceback holds this frame

    def read(self, reading: Reading[Any, Any]) -> Call:
        """Begin to read, until that is ended or the client closed."""
        self.thread.check_other_thread()
        call = Call(reading.pump, reading=reading)
        try:
            self._hand_over(call)
        except BaseException:
            self.end(call)
            raise
        return call

    def end(self, call: Call) -> None:
        """Cancel a call, and wait until it has ended, if not on the loop. A second interrupt gets through."""
        if self.end_soon(call) and not self.thread.is_current:
            call.wait(to_the_end=True)

    def end_soon(self, call: Call) -> bool:
        """Cancel a call; whether there is a loop to do so. For finalizers too: takes no lock and never blocks."""
        return not call.ended and self.thread.alive and self.thread.notify(call.cancel)

    def close(self) -> None:
        """Close the client, and wait for that."""
        self.close_soon()
        if self._served is not None:
            with suppress(FutureCancelledError):  # the process ends
                self._served.result()
        self._leave(self)

    def close_soon(self) -> None:
        """Close the client. For finalizers too: takes no lock and never blocks."""
        self.closed = True
        self.thread.notify(self._closing.set)
        if self._served is None:  # an interrupt came before its first call
            self.thread.users.discard(self)

    def leave_to_parent(self) -> None:
        """In a forked child: they run in the parent alone. A call that this thread was waiting for has no end here."""
        for call in [*self._running, *self._handed]:
            call.error = RuntimeError(
                "the process forked while this call was under way: it goes on in the parent alone"
            )
            call.end()

    def _hand_over(self, call: Call) -> None:
        if self._group is None:
            self._begin()
        self._handed.append(call)
        # Set only once it is sure to come: an interrupt between the two lines costs one wake too many.
        if not self._wake.due:
            self._wake = self._wake_up()
        if self._over.is_set():
            self._refuse()

    def _begin(self) -> None:
        with self._lock:
            if self._served is None:
                self._served = self.thread.portal().start_task_soon(self._serve)

    def _wake_up(self) -> _Wake:
        wake = _Wake(due=True)
        self.thread.notify(functools.partial(self._take, wake))
        return wake

    def _refuse(self) -> None:
        while self._handed:
            self._handed.popleft().end(RuntimeError("this client was closed"))

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        if self._group is not None or self._over.is_set():  # begun twice: an interrupt, or its handler, came between
            await self._over.wait()
            return
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._take(self._wake)
                await self._closing.wait()
                self._group = None
                for call in self._running:
                    if call.reading is not None and not call.reading.waiting:  # nobody waits to be told its end
                        call.cancel()
                await self._shut()
                asyncio.get_running_loop().call_later(_OWN_END, self._cancel_running)
        finally:
            self._group = None
            self._over.set()
            self._refuse()
            self._leave(self)

    def _cancel_running(self) -> None:
        for call in self._running:
            call.cancel()

    def _take(self, wake: _Wake) -> None:
        wake.due = False
        group = self._group
        while group is not None and self._handed:
            call = self._handed.popleft()
            if not call.ended:
                self._running.add(call)
                group.create_task(self._run(call), context=call.context)

    async def _run(self, call: Call) -> None:
        try:
            if not call.ended:  # cancelled before this first step
                call.task = asyncio.current_task()
                await call.run()
        finally:
            self._running.discard(call)
            if not self.thread.exiting:  # a thread that woke then would only complain
                call.end()

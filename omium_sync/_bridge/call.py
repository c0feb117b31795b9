"""One call on its way from a thread to the loop and back."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from _thread import allocate_lock
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from omium_async import Execution, ReplayResult, RollbackResult, Run

from .reading import NAP, Reading

__all__ = ["Call"]

T = TypeVar("T")


class Call:
    """Made by a thread, run by the loop, waited for by the thread. One lock wakes the thread; nothing else is shared.

    :param reading: what it reads, of a call that nobody waits for but its reader.
    :ivar created: the execution that it created, of a call that says so before its end.
    :ivar error: what it raised. :ivar ended: who waits was woken. :ivar task: what runs it, from its first step on.
    """

    __slots__ = (
        "_asked",
        "_cancelled",
        "_lock",
        "args",
        "context",
        "created",
        "ended",
        "error",
        "function",
        "kwargs",
        "reading",
        "result",
        "task",
    )

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = {},
        reading: Reading[Any, Any] | None = None,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.reading = reading
        self.context = contextvars.copy_context()
        self.task: asyncio.Task[None] | None = None
        self.created: Execution | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self._asked: Callable[[], None] | None = None
        self._cancelled = False
        self._lock = allocate_lock()
        self._lock.acquire()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def wait(self, *, to_the_end: bool = False) -> None:
        """Sleep until it has ended. The handler of a signal may raise out of here; then wait once more.

        :param to_the_end: whatever it asks of this thread meanwhile.
        """
        while not self.ended:
            if not self._lock.acquire(timeout=NAP):
                continue
            asked, self._asked = self._asked, None
            if asked is not None and not to_the_end:
                asked()

    def note_what_is_lost(self, interrupt: BaseException) -> None:
        """Have what interrupts the thread say what it would have been told: above all, the id of what was created.

        It may have come to its end just then, and its result or error is told to nobody.
        """
        notes = getattr(self.error, "__notes__", [])
        if not notes and (execution_id := self._execution_id()) is not None:
            notes = [f"the call had ended before this came, about execution {execution_id}"]
        for note in notes:
            interrupt.add_note(note)

    def _execution_id(self) -> str | None:
        if self.created is not None:
            return self.created.id
        tells_of_one = isinstance(self.result, (Execution, ReplayResult, RollbackResult, Run))
        return self.result.id if tells_of_one else getattr(self.error, "execution_id", None)

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do it, and keep what it raises: also a `KeyboardInterrupt` of a hook is the caller's, not the loop's."""
        try:
            self.result = await self.function(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001
            trace = error.__traceback__  # it is to begin in what was called
            self.error = error.with_traceback(trace and trace.tb_next)

    def tell_created(
        self, on_created: Callable[[Execution], object] | None, created: Execution
    ) -> asyncio.Future[None] | None:
        """Remember what it created, and have the thread that waits told, if it wants to be."""
        self.created = created
        return None if on_created is None else self.ask(on_created, created)

    def ask(self, function: Callable[[T], object], value: T) -> asyncio.Future[None]:
        """Have the thread that waits call a function with a value.

        :return: done when it has; an error of the function is its own, other interrupts of the thread cancel the call.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()

        def tell(error: Exception | None) -> None:
            if not answer.done():  # it may be cancelled
                answer.set_result(None) if error is None else answer.set_exception(error)

        def asked() -> None:
            error = None
            try:
                function(value)
            except StopIteration:  # no future takes it
                raise
            except Exception as raised:  # noqa: BLE001 - it comes back as the call's own
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the call with it
                loop.call_soon_threadsafe(tell, error)

        self._asked = asked
        self._wake()
        return answer

    def cancel(self) -> None:
        """Cancel it. If it was not begun yet it never will be: not even its first step, which may send something.

        Once, however often it is asked for: a second time would cut what it does to come to its end.
        """
        if self.task is None:
            self.end(asyncio.CancelledError())
        elif not self._cancelled:
            self._cancelled = True
            self.task.cancel()

    def end(self, error: BaseException | None = None) -> None:
        """Wake who waits, once.

        :param error: why, if it did not come to its own end.
        """
        if not self.ended:
            self.error = self.error or error
            self.ended = True
            if self.reading is not None:
                self.reading.end(self.error)
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is awake
            self._lock.release()

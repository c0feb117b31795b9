"""One call on its way from a thread to a loop and back."""

from __future__ import annotations

import asyncio
import contextvars
from _thread import allocate_lock
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["Call", "show_core"]


def show_core(error: BaseException) -> None:
    """Let an error's traceback begin in the core: the facade's frames before that say nothing of its cause."""
    found = error.__traceback__
    while found is not None and str(found.tb_frame.f_globals.get("__package__")).partition(".")[0] == "omium_sync":
        found = found.tb_next
    error.__traceback__ = found


class Call:
    """Made by a thread, run by a loop, waited for by the thread. One lock wakes the thread; nothing else is shared.

    :ivar owner: the client that it belongs to. :ivar error: what it raised. :ivar task: ``None`` until it runs.
    :ivar on_end: called on the loop at its end, for who does not wait for that alone.
    """

    __slots__ = ("_begun", "_ended", "_lock", "_reason", "args", "context", "error", "function", "kwargs", "on_end",
                 "owner", "result", "task")  # fmt: skip

    def __init__(
        self,
        owner: object,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.owner = owner
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.on_end = on_end
        self.context = contextvars.copy_context()
        self.task: asyncio.Task[None] | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._reason = ""
        self._begun = self._ended = False
        self._lock = allocate_lock()
        self._lock.acquire()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Sleep until it has ended. The handler of a signal may raise out of here; then wait once more."""
        if not self._ended:
            self._lock.acquire()

    def take_error(self) -> BaseException:
        """Its error, for this thread to raise."""
        error = self.error
        assert error is not None  # noqa: S101 - the caller has looked
        self.error = None
        return error

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def run(self, running: set[Call]) -> None:
        """What its task does."""
        self._begun = True
        self.task = asyncio.current_task()  # an eager task runs before it is known to whoever made it
        try:
            self.result = await self.function(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - also the SystemExit of a hook is the caller's, not the loop's
            self._fail(error)
        finally:
            running.discard(self)
            self.end()

    def cancel(self, reason: str) -> None:
        """Cancel it, and say ``reason`` to whoever waits. If it does not run yet it never will."""
        self._reason = reason
        if self.task is None:
            self._fail(asyncio.CancelledError())
            self.end()
        elif not self.task.done():
            self.task.cancel()
            if not self._begun:  # then no line of `run` will be run
                self._fail(asyncio.CancelledError())
                self.task.add_done_callback(self.end)

    def drop(self) -> None:
        """Cancel it without waking who waits: the interpreter ends, and a thread that woke would only complain."""
        self._ended = True
        if self.task is not None:
            self.task.cancel()

    def end(self, _: object = None) -> None:
        """Wake who waits."""
        if not self._ended:
            self._ended = True
            if self.on_end is not None:
                self.on_end()
            self._lock.release()

    @property
    def ended(self) -> bool:
        """Whether who waits was woken."""
        return self._ended

    def _fail(self, error: BaseException) -> None:
        if self._reason and isinstance(error, asyncio.CancelledError):
            error = RuntimeError(self._reason)
        else:
            show_core(error)
        self.error = error

"""The way of one client, and of its copies, to the loop of the process: taken at the first call."""

from __future__ import annotations

import functools
import sys
import weakref
from typing import TYPE_CHECKING, Any

from omium_async import AsyncOmium
from omium_async._caller import Caller, Shared

from .call import Call
from .process import process

if TYPE_CHECKING:
    from .calls import Calls

__all__ = ["Line"]


class Line:
    """What a client shares with its copies, and with its iterators, which keep it from being collected."""

    def __init__(self, core: AsyncOmium) -> None:
        self._shared = core._caller.shared  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._copies = weakref.WeakSet([core])
        self._calls: Calls | None = None
        self._number = process.number
        self._closed = False

    def add_copy(self, core: AsyncOmium) -> None:
        """A copy of the client, with other options."""
        self._copies.add(core)

    def make(self, call: Call) -> Any:
        """What a call gives.

        :raises RuntimeError: the client is closed, or the call would wait for itself.
        """
        self.check_not_blocked()
        return (self.calls or self.connect()).make(call)

    def check_not_blocked(self) -> None:
        """:raises RuntimeError: the service is a LocalOmium that this thread keeps from answering."""
        blocked = sys.modules.get("omium_async.local.blocked")  # where it was never imported there is none
        if blocked is not None:
            blocked.check_not_blocked(self._shared.settings.base_url)

    @property
    def calls(self) -> Calls | None:
        """Where calls are made, if one was and more may be."""
        calls = self._calls
        return calls if calls is not None and calls.alive else None

    def connect(self) -> Calls:
        """Where calls are made, from now on if need be."""
        process.check_running()
        from .calls import Calls  # noqa: PLC0415 - imports anyio

        with process.lock:
            self.check_open()
            calls = self.calls
            if calls is None:  # else another thread was faster
                if self._number != process.number:
                    self._begin_anew()
                thread = process.shared()
                calls = Calls(thread, self._shared.transport.close, functools.partial(process.leave, thread))
                thread.users.add(calls)
                self._calls = calls
            return calls

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self._closed:
            raise RuntimeError("this client is closed (close was called); make a new one")

    def close(self) -> None:
        """Close the client, once. A call under way in another thread ends: by itself within a moment, or cancelled."""
        if self.calls is not None:
            self.calls.thread.check_other_thread()
        with process.lock:
            self._closed = True
            calls, self._calls = self.calls, None
        if calls is not None:
            calls.close()

    def __del__(self) -> None:
        if self.calls is not None and self._number == process.number:
            self.calls.close_soon()

    def _begin_anew(self) -> None:
        """In a forked child: the connections, locks and queues of the client are the parent's."""
        self._shared = Shared(self._shared.settings)
        for copy in list(self._copies):
            caller = Caller(self._shared, copy._caller.options)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            copy._caller = copy.executions._caller = caller  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._number = process.number

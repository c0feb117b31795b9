"""The keys that the user's ``api_key`` function returns, for all event loops of a client."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from types import TracebackType
from typing import Any, NamedTuple

from .._data.masked import Secret, SecretFunction, Unusable, masked
from .._errors.others import ConfigurationError
from .._settings.checks import is_async
from .._settings.configure import checked_key
from .._settings.secret import Redactor


class IssuedKey(NamedTuple):
    """A key that the function returned.

    :ivar number: counts the keys from 1; another call may have returned the same text.
    """

    text: Secret
    number: int


class _Outcome(NamedTuple):
    """How one call of the function ended; without a value and an error, it was cancelled.

    :ivar value: masked.
    """

    value: Any = None
    error: BaseException | None = None
    traceback: TracebackType | None = None


class Keys:
    """Calls the function when a key is needed, once for all requests that need one meanwhile.

    An async function runs in the call that needs the key first. If that is cancelled, the next one that waits calls the
    function again. A plain function runs in a thread, which no cancellation ends.

    :ivar current: the key of the next request; ``None`` before the first.
    """

    def __init__(self, function: SecretFunction, redactor: Redactor) -> None:
        self._function: Callable[[], Any] = function.function
        self._redactor = redactor
        self._lock = threading.Lock()
        self._call: Future[_Outcome] | None = None  # the call of the function in progress
        self._accepted = 0  # the number of the newest key that the service accepted
        self.current: IssuedKey | None = None

    def accept(self, key: IssuedKey) -> None:
        """Note that the service accepted a key."""
        self._accepted = max(self._accepted, key.number)

    def was_accepted(self, key: IssuedKey) -> bool:
        """Whether the service accepted this key or a newer one."""
        return key.number <= self._accepted

    async def after(self, refused: IssuedKey | None) -> IssuedKey:
        """Return a key that the function returned after the refused one; its text may be the same.

        :param refused: ``None``: any key will do.
        :raises ConfigurationError: the function returned something that is no key.
        :raises BaseException: what the function raised.
        """
        while True:
            with self._lock:
                if self.current is not None and self.current is not refused:
                    return self.current
                call, begins = self._call, self._call is None
                if call is None:
                    call = self._call = Future()
                    call.set_running_or_notify_cancel()  # from now on a cancelled waiter does not cancel it
            if begins:
                await self._begin(call)
            outcome = await asyncio.wrap_future(call)
            try:
                if outcome.error is not None:
                    raise outcome.error.with_traceback(outcome.traceback)  # without the frames of other waiters
                if outcome.value is not None:
                    checked_key(outcome.value)
            finally:
                del call, outcome  # the error's traceback has this frame: it would be a cycle

    async def _begin(self, call: Future[_Outcome]) -> None:
        """Call the function, and let ``call`` have its outcome; that of a plain function comes later."""
        if not is_async(self._function):
            try:
                # A thread of its own: a loop and the interpreter would not end before the threads of executors.
                run = threading.Thread(target=copy_context().run, args=(self._run, call), name="api_key", daemon=True)
                run.start()
            except RuntimeError as error:  # there can be no more threads
                self._end(call, _failed(error))
            return
        try:
            outcome = _Outcome(_masked(await self._function()))
        except Exception as error:  # noqa: BLE001 - the function may raise anything
            outcome = _failed(error)
        except BaseException:
            self._end(call, _Outcome())
            raise
        self._end(call, outcome)

    def _run(self, call: Future[_Outcome]) -> None:
        try:
            outcome = _Outcome(_masked(self._function()))
        except BaseException as error:  # noqa: BLE001 - as above
            outcome = _failed(error)
        self._end(call, outcome)

    def _end(self, call: Future[_Outcome], outcome: _Outcome) -> None:
        with self._lock:
            self._call = None
            try:
                text = None if outcome.value is None else checked_key(outcome.value)
            except ConfigurationError:
                text = None  # each call that waits raises its own
            if text is not None:
                self._redactor.add(text)
                self.current = IssuedKey(text, 1 if self.current is None else self.current.number + 1)
        call.set_result(outcome)


def _failed(error: BaseException) -> _Outcome:
    return _Outcome(error=error, traceback=error.__traceback__)


def _masked(value: Any) -> Any:
    """Mask what the function returned; ``None`` and coroutines too."""
    if inspect.iscoroutine(value):
        value.close()
    return Unusable(value) if value is None else masked(value)

"""Signals: a first Ctrl-C lets what is under way end, a second one ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType, TracebackType
from typing import Any, Final, Self

from .failures import INTERRUPTED

__all__ = ["Interrupts", "stop_signals"]


_SAID: Final = b"omiumctl: stopping: what is under way is waited for (Ctrl-C again: end at once)\n"


class Interrupts:
    """While it is entered, the first Ctrl-C only sets ``stopping``."""

    def __init__(self) -> None:
        self.stopping = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _first(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not by way of sys.stderr: the signal may have come in the middle of a line that is being written there.
        with contextlib.suppress(OSError):
            os.write(2, _SAID)


@contextlib.contextmanager
def stop_signals() -> Generator[asyncio.Future[int]]:
    """What serves until it is stopped awaits this: the exit status, once a signal says to stop.

    Ctrl-C gives 130; SIGTERM, and SIGHUP of a terminal that goes away, 0.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def set_result(code: int) -> None:
        if not stopped.done():
            stopped.set_result(code)

    def stop(number: int, _frame: FrameType | None) -> None:
        # Not by the loop's own means: a second Ctrl-C must end what does not end, also when a workflow blocks the loop.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loop.call_soon_threadsafe(set_result, INTERRUPTED if number == signal.SIGINT else 0)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it: then it is to go on
        numbers.append(signal.SIGHUP)
    before: dict[int, Any] = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

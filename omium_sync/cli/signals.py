"""Signals: the first Ctrl-C lets work in progress end, the second ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType, TracebackType
from typing import Any, Final, Self

from .endings import INTERRUPTED

_MESSAGE: Final = b"omiumctl: stopping: requests in progress are finished first (Ctrl-C again: stop at once)\n"


class FirstInterrupt:
    """A context in which the first Ctrl-C only sets ``stopping``."""

    def __init__(self) -> None:
        self.stopping = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _on_first(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not through sys.stderr: the signal may have interrupted a write to it.
        with contextlib.suppress(OSError):
            os.write(2, _MESSAGE)


@contextlib.contextmanager
def stop_signals() -> Generator[asyncio.Future[int]]:
    """Return a future that a signal sets to the exit status.

    Ctrl-C gives 130. SIGTERM gives 0, and so does SIGHUP when the terminal closes.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def set_result(code: int) -> None:
        if not stopped.done():
            stopped.set_result(code)

    def stop(number: int, _frame: FrameType | None) -> None:
        # Not `loop.add_signal_handler`: a second Ctrl-C must end the program also if a workflow blocks the loop.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loop.call_soon_threadsafe(set_result, INTERRUPTED if number == signal.SIGINT else 0)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it to keep the program running
        numbers.append(signal.SIGHUP)
    before: dict[int, Any] = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

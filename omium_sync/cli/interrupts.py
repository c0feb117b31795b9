"""A first Ctrl-C lets what is under way end; a second one ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final, Self

__all__ = ["Interrupts"]


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

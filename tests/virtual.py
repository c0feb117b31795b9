"""Virtual time: an event loop whose clock jumps to the next timer when nothing else is left to do."""

from __future__ import annotations

import asyncio
import random
import selectors
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class Clock:
    """Replaces ``time.monotonic``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    clock: Clock

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            return super().select(None)
        if not found:
            self.clock.now += timeout or 0.0
        return found


def run(work: Coroutine[Any, Any, T], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> T:
    """Run ``work`` as ``asyncio.run`` does, in virtual time and with the same random numbers each time."""
    random.seed(0)
    real = time.monotonic

    def new_loop() -> asyncio.AbstractEventLoop:
        selector = _Jumping()
        selector.clock = clock
        return asyncio.SelectorEventLoop(selector)

    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", clock)
        for name, module in [*sys.modules.items()]:
            if name.startswith("omium_async._") and getattr(module, "monotonic", None) is real:
                patched.setattr(module, "monotonic", clock)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(work)

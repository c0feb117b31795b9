"""A clock for tests of time-outs: one strikes when nothing else happens any more, however busy the machine is.

For client, console and server in one event loop; what has a loop or a thread of its own keeps its own time.
"""

from __future__ import annotations

import functools
import importlib
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import omium_async


class PatientClock:
    """The time of an event loop, of which a busy machine takes nearly none: it passes in waits that nothing ends.

    :ivar a_turn: seconds at most for what a turn of the loop does, whose real time may be any.
    """

    def __init__(self, loop: Any) -> None:
        self.a_turn = 0.005
        self._real = time.monotonic
        self._wait = loop._selector.select
        self._now = self._seen = self._real()

    def __call__(self) -> float:
        return self._now

    def select(self, timeout: float | None = None) -> Any:
        found = self._wait(timeout)
        before, self._seen = self._seen, self._real()
        self._now += min(self._seen - before, self.a_turn) if found or not timeout else timeout
        return found


class VirtualClock(PatientClock):
    """A clock that jumps over waits: no test without threads waits for real."""

    def select(self, timeout: float | None = None) -> Any:
        found = self._wait(0.001 if timeout is None or timeout > 0.001 else timeout)
        if not found and timeout is None:
            return self._wait(None)
        if not found:
            self._now += timeout or 0.0
        return found


class _TimeModule:
    """Stands in for the module ``time``, with another clock."""

    def __init__(self, clock: PatientClock) -> None:
        self.monotonic = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def be_patient(loop: Any, monkeypatch: pytest.MonkeyPatch, kind: type[PatientClock] = PatientClock) -> PatientClock:
    """Let such a clock be that of an event loop, and of the client."""
    clock = kind(loop)
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    # Here and there, and not `time.monotonic` itself: what is imported meanwhile would keep this clock for ever.
    for module in _modules_of_the_client():
        for name, real, patient in (("time", time, _TimeModule(clock)), ("monotonic", time.monotonic, clock)):
            if getattr(module, name, None) is real:
                monkeypatch.setattr(module, name, patient)
    return clock


@functools.cache
def _import_the_client() -> None:
    root = Path(omium_async.__file__).parent
    for path in [*root.glob("_[!_]*.py"), *root.glob("_*/**/[!_]*.py")]:
        importlib.import_module(".".join(("omium_async", *path.relative_to(root).with_suffix("").parts)))


def _modules_of_the_client() -> list[ModuleType]:
    """And of the console; but not the journal, which waits in a thread for others to let its file go."""
    _import_the_client()
    own = [name for name in sys.modules if name.startswith(("omium_async._", "omium_async.ui."))]
    return [sys.modules[name] for name in own if "._journal" not in name]

"""Clocks for tests of time-outs: a time-out ends a wait only if nothing else happens, on a busy machine too.

They are for a client, a console and a server in one event loop. Other loops and threads keep the real time.
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
    """The clock of an event loop. It advances by waits that end by a time-out, and only a little by work.

    :ivar a_turn: by how many seconds one turn of the loop advances it at most, however long the turn takes.
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
    """A clock that jumps to the next timer, so that a test without threads never waits."""

    def select(self, timeout: float | None = None) -> Any:
        found = self._wait(0.001 if timeout is None or timeout > 0.001 else timeout)
        if not found and timeout is None:
            return self._wait(None)
        if not found:
            self._now += timeout or 0.0
        return found


class _TimeModule:
    """Replaces the module ``time``, with another clock."""

    def __init__(self, clock: PatientClock) -> None:
        self.monotonic = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def be_patient(loop: Any, monkeypatch: pytest.MonkeyPatch, kind: type[PatientClock] = PatientClock) -> PatientClock:
    """Set the clock of an event loop and of the client."""
    clock = kind(loop)
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    # Not `time.monotonic` itself: modules that are imported meanwhile would keep this clock.
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
    """Return the modules of client and console, except the journal, which waits in a thread for a lock."""
    _import_the_client()
    own = [name for name in sys.modules if name.startswith(("omium_async._", "omium_async.ui."))]
    return [sys.modules[name] for name in own if "._journal" not in name]

"""What holds for all tests."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import omium_async

# The same examples at each run, and no clock in what passes: machines are slow at times.
settings.register_profile("omium", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("omium")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Reports go from process to process as UTF-8, and some tests speak of lone surrogates, in their logs too."""
    report = yield
    return _encodable(report)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_encodable(each) for each in value])
    return value


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """A level that a test sets ends with it: later tests look at all that is logged."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("omium_")]
    before = {logger: logger.level for logger in loggers}
    yield
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("omium_")]:
        logging.getLogger(name).setLevel(before.get(logging.getLogger(name), logging.NOTSET))


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


class _TimeModule:
    """Stands in for the module ``time``, with another clock."""

    def __init__(self, clock: PatientClock) -> None:
        self.monotonic = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
async def patient(monkeypatch: pytest.MonkeyPatch) -> PatientClock:
    """The clock of the test's event loop and of the client: a time-out strikes when nothing else happens any more.

    For tests in which client and server share that loop.
    """
    loop: Any = asyncio.get_running_loop()
    clock = PatientClock(loop)
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    # Here and there, and not `time.monotonic` itself: what is imported meanwhile would keep this clock for ever.
    for module in _modules_of_the_client():
        for name, real, patient in (("time", time, _TimeModule(clock)), ("monotonic", time.monotonic, clock)):
            if getattr(module, name, None) is real:
                monkeypatch.setattr(module, name, patient)
    return clock


def _modules_of_the_client() -> list[ModuleType]:
    """And of the console; but not the journal, which waits in a thread for others to let its file go."""
    root = Path(omium_async.__file__).parent
    for path in [*root.glob("_[!_]*.py"), *root.glob("_*/**/[!_]*.py")]:
        importlib.import_module(".".join(("omium_async", *path.relative_to(root).with_suffix("").parts)))
    own = [name for name in sys.modules if name.startswith(("omium_async._", "omium_async.ui."))]
    return [sys.modules[name] for name in own if "._journal" not in name]

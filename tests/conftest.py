"""Settings and fixtures of all tests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from .patient import PatientClock, VirtualClock, be_patient

_begin_hypothesis: Callable[[], None] | None = None

with contextlib.suppress(ImportError):  # the tests of the documentation run without Hypothesis
    from hypothesis import HealthCheck, given, settings, strategies

    # Each run tries the same examples, without a deadline for each: a busy machine is slow.
    _COMMON: Any = {"derandomize": True, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("quick", max_examples=20, stateful_step_count=20, **_COMMON)
    settings.register_profile("full", max_examples=100, **_COMMON)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

    @given(strategies.none())
    def _one_example(_: None) -> None: ...

    _begin_hypothesis = _one_example


# Interpreters that tests start, and workers of pytest-xdist, compile the packages once, not each time: images of
# containers often set this variable.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """Exempt all modules and collected tests from garbage collection: each one takes 0.2 s otherwise.

    Hypothesis asks the garbage collector for references to its source of random numbers when it tries its first
    example, so this must happen before.
    """
    if _begin_hypothesis is not None:
        _begin_hypothesis()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape lone surrogates, which some tests log: pytest-xdist sends reports as UTF-8."""
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
def _loggers() -> Iterator[None]:
    """Restore the levels and handlers of loggers after each test: later tests read all records."""

    def state() -> dict[str, tuple[int, list[logging.Handler]]]:
        names = ["", *(name for name in logging.root.manager.loggerDict if name.startswith("omium_"))]
        return {name: (logging.getLogger(name).level, [*logging.getLogger(name).handlers]) for name in names}

    before = state()
    yield
    for name in state():
        level, handlers = before.get(name, (logging.NOTSET, []))
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


@pytest.fixture
async def patient(monkeypatch: pytest.MonkeyPatch) -> PatientClock:
    """A clock for the test's event loop and the client, which a busy machine hardly advances."""
    return be_patient(asyncio.get_running_loop(), monkeypatch)


@pytest.fixture
async def virtual_time(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock for the test's event loop and the client, which jumps to the next timer; for tests without threads."""
    clock = be_patient(asyncio.get_running_loop(), monkeypatch, VirtualClock)
    assert isinstance(clock, VirtualClock)
    return clock

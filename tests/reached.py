"""A plugin of pytest for `mutants.py`: notes which test reaches which line, and how long each test takes."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import Phase, settings

_seconds: dict[str, float] = {}
_failed: set[str] = set()


def pytest_collection() -> None:
    """That a property fails is enough: nobody reads the smallest example here."""
    settings.register_profile("mutants", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    watching = coverage.Coverage.current()
    if watching is not None:
        watching.switch_context(item.nodeid)
    began = time.monotonic()
    result = yield
    _seconds[item.nodeid] = time.monotonic() - began
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """What fails without any change cannot tell anything: it is left out."""
    if coverage.Coverage.current() is not None:
        passed = {test: took for test, took in _seconds.items() if test not in _failed}
        Path("seconds.json").write_text(json.dumps(passed), encoding="utf-8")

"""A plugin of pytest for `mutants.py`: notes which test reaches which line, takes how long, and starts processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import coverage
import pytest
from hypothesis import Phase, settings

NOW: Final = Path("now.txt")  # the test that runs, or failed last; then also why
_seconds: dict[str, float] = {}
_failed: set[str] = set()
_processes: set[str] = set()  # tests that start some: what they reach there is not seen
_running: list[str] = []


def _notice(event: str, _: tuple[Any, ...]) -> None:
    if event in {"subprocess.Popen", "os.fork", "os.posix_spawn"}:
        _processes.update(_running)


def pytest_collection() -> None:
    """That a property fails is enough: nobody reads the smallest example here."""
    settings.register_profile("mutants", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    if coverage.Coverage.current() is not None:
        sys.addaudithook(_notice)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    watching = coverage.Coverage.current()
    if watching is not None:
        watching.switch_context(item.nodeid)
    _running[:] = [item.nodeid]
    NOW.write_text(item.nodeid, encoding="utf-8")
    began = time.monotonic()
    result = yield
    _seconds[item.nodeid] = time.monotonic() - began
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)
        NOW.write_text(f"{report.nodeid}\n{report.longreprtext}", encoding="utf-8")


def pytest_sessionfinish() -> None:
    """What fails without any change cannot tell anything: it is left out."""
    if coverage.Coverage.current() is not None:
        passed = {test: took for test, took in _seconds.items() if test not in _failed}
        told = {"seconds": passed, "processes": sorted(_processes & passed.keys())}
        Path("reached.json").write_text(json.dumps(told), encoding="utf-8")

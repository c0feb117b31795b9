"""A plugin of pytest for `mutants.py`: collects once, then tries each change in a forked process of its own.

What is slow about a change is a new process that imports and collects everything. A fork has that behind it: in it the
code of the functions that a change is in is swapped, and the tests run.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import psutil
import pytest

SURVIVED, NOTICED, NOT_SWAPPED = range(3)  # exit statuses of the forked process
_COLLECTING: Final = 120.0  # seconds until the first test


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those within it, in the order of the text."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _swap(path: str, before: str, functions: list[FunctionType]) -> bool:
    """Give the functions that came from a file the code that it has now; whether that was possible."""
    old, new = (
        list(_codes(compile(text, path, "exec", dont_inherit=True)))
        for text in (before, Path(path).read_text(encoding="utf-8"))
    )
    if len(old) != len(new):
        return False
    taking = dict(zip(old, new, strict=True))
    if any(function.__code__ not in taking for function in functions):
        return False
    for function in functions:
        function.__code__ = taking[function.__code__]
    return True


def _run(items: list[pytest.Item]) -> bool:
    """Run tests to the first that fails; whether none did."""
    failed: list[str] = []

    class Watching:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

    items[0].config.pluginmanager.register(Watching())
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failed:
            return False
    return True


def _try(change: tuple[str, str], functions: list[FunctionType], items: list[pytest.Item]) -> int:
    """In the forked process: its exit status."""
    os.setpgid(0, 0)
    try:
        if not _swap(*change, functions):
            return NOT_SWAPPED
    except (SyntaxError, ValueError):  # ValueError: it closes over other names
        return NOT_SWAPPED
    try:
        return SURVIVED if _run(items) else NOTICED
    except BaseException:
        return NOTICED  # pytest itself was ended


def end(process: psutil.Process, limit: float | None) -> int | None:
    """The exit status of a process; None where it did not end in time. All that it started ends with it."""
    try:
        return process.wait(limit)
    except psutil.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


def watched(process: psutil.Process, limits: dict[str, float], now: Path) -> int | None:
    """The exit status of a process that runs tests; None where one takes more seconds than it may.

    :param now: names the test that runs.
    """
    while True:
        with contextlib.suppress(psutil.TimeoutExpired):
            return process.wait(1)
        test, since = now.read_text(encoding="utf-8").partition("\n")[0], now.stat().st_mtime
        if time.time() - since > limits.get(test, _COLLECTING):
            return end(process, 0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try each change that is asked for, until there are no more."""
    reached: Any = session.config.pluginmanager.get_plugin("tests.reached")
    items = {item.nodeid: item for item in session.items}
    functions: dict[str, list[FunctionType]] = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            functions.setdefault(each.__code__.co_filename, []).append(each)
    with Client(os.environ["OMIUM_MUTANTS"], "AF_UNIX") as asked:
        while (given := asked.recv()) is not None:
            change, limits = given
            pid = os.fork()
            if not pid:
                os._exit(_try(change, functions.get(change[0], []), [items[test] for test in limits]))
            asked.send(watched(psutil.Process(pid), limits, reached.NOW))
    return True

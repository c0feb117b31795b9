"""Public names have their public module, are all listed, and `get_type_hints` works on them."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
import typing
from collections.abc import Generator, Iterator
from typing import Any

import pytest

import omium_async as om

PACKAGES = [
    "omium_async",
    "omium_async.local",
    "omium_async.cluster",
    "omium_async.otel",
    "omium_async.pytest_plugin",
    "omium_async.ui",
    "omium_sync",
    "omium_sync.cli",
]

MADE_BY_US = {"Executions", "WorkflowRun"}  # users call their methods, and make none


def exported(package: str) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(package)
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            yield name, found


def functions_of(found: Any) -> Iterator[Any]:
    yield found
    for name, member in vars(found).items() if inspect.isclass(found) else ():
        if (name == "__init__" and found.__name__ not in MADE_BY_US) or not name.startswith("_"):
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield function


@pytest.mark.parametrize("package", PACKAGES)
def test_names_say_their_public_module(package: str) -> None:
    for name, found in exported(package):
        home = found.__module__
        assert home in PACKAGES, name
        assert getattr(importlib.import_module(home), name) is found
        assert package in {home, "omium_sync"}


def test_what_is_of_the_facade_says_so() -> None:
    import omium_sync

    assert {name: getattr(omium_sync, name).__module__ for name in ("Omium", "Executions", "LocalOmium")} == {
        "Omium": "omium_sync",
        "Executions": "omium_sync",
        "LocalOmium": "omium_sync",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_type_hints_work_on_everything(package: str) -> None:
    for name, found in exported(package):
        for function in functions_of(found):
            hints = typing.get_type_hints(function)
            assert not [hint for hint in hints.values() if isinstance(hint, str)], (name, function)


def test_type_hints_work_on_fixtures() -> None:
    import omium_async.pytest_plugin as plugin
    import omium_sync

    hints = {name: typing.get_type_hints(getattr(plugin, name)) for name in plugin.__all__}
    assert hints["omium"] == {"local_omium": omium_sync.LocalOmium, "return": Generator[omium_sync.Omium]}
    assert hints["async_omium"]["return"] == Generator[om.AsyncOmium]
    assert hints["omium_env"]["return"] is omium_sync.LocalOmium


def test_asking_for_hints_is_what_imports_and_nothing_before() -> None:
    script = (
        "import sys, typing, omium_async as om; assert 'aiohttp' not in sys.modules;"
        " hints = typing.get_type_hints(om.AsyncOmium.__init__); import aiohttp;"
        " assert hints['session'] == aiohttp.ClientSession | None"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_pickles_name_the_public_module() -> None:
    values = [
        om.Execution("e"),
        om.Attempt(1),
        om.ServerError("no"),
        om.ExecutionStatus.FAILED,
        om.WriteOutcome.APPLIED,
    ]
    for value in values:
        body = pickle.dumps(value, 0)
        assert b"omium_async\n" in body
        assert pickle.loads(body) == value or str(pickle.loads(body)) == str(value)

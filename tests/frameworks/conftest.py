"""Fixtures that run the programs under ``examples/`` with the real frameworks, which `nox -s slow` installs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from omium_sync import LocalOmium

from ..ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ALL = os.environ.get("OMIUM_TEST_FRAMEWORKS") == "all"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(120))
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def local() -> Iterator[LocalOmium]:
    local = LocalOmium()

    @local.workflow("report")
    async def report(run):
        return {"day": run.input_data["day"]}

    with local:
        yield local


@pytest.fixture
def environment(local: LocalOmium, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the examples, in this process and in processes that tests start."""
    monkeypatch.setenv("OMIUM_API_KEY", local.api_key)
    monkeypatch.setenv("OMIUM_API_URL", local.url)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(ROOT)])}


@pytest.fixture
def example(environment: dict[str, str]) -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports an example again, so that its client uses this test's server."""

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def serve(environment: dict[str, str]) -> Callable[..., object]:
    """Return a context manager that runs a server's command; ``{port}`` in it stands for a free port."""

    @contextmanager
    def run(*command: str) -> Iterator[str]:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        words = [sys.executable, "-m", *(word.format(port=port) for word in command)]
        process = subprocess.Popen(words, env=environment, cwd=EXAMPLES)
        try:
            until_up(process, address)
            yield address
        finally:
            process.terminate()
            assert process.wait(20) in (0, -15)

    return run


def until_up(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{address}/", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not respond"
            time.sleep(0.05)
        else:
            return

"""Importing a package imports nothing that a call, an extra or a server needs; using a client imports all of it."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import omium_async
import omium_sync

UNWANTED = [
    "aiohttp", "anyio", "asyncio", "attrs", "cattrs", "click", "dask", "distributed", "msgspec", "omium_async._client",
    "omium_async.local", "omium_sync.cli", "rich", "sqlite3",
]  # fmt: skip

CALLS = """
import asyncio, sys
from omium_async import AsyncOmium, ExecutionRequest
from omium_async.local import Fault, LocalOmium

async def main():
    async with LocalOmium() as local:
        omium = AsyncOmium(local.api_key, base_url=local.url.replace("127.0.0.1", "localhost"), backoff=(0, 0))
        before = {*sys.modules}
        for body in ("<!doctype html><title>no</title>", "{", "{}"):
            headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
            local.inject(Fault(path="/executions", status=429, body=body, headers=headers))
        execution = await omium.executions.create("w")
        await omium.executions.get(execution.id)
        [each async for each in omium.executions.list()]
        [each async for each in omium.executions.create_many([ExecutionRequest("w")])]
        [each async for each in omium.executions.wait_many([execution.id], until="pending")]
        [each async for each in omium.executions.replay_many(dry_run=True, status="pending")]
        await omium.aclose()
        print(*({*sys.modules} - before))

asyncio.run(main())
"""


FIRST_USE = """
import os, signal, sys, threading
import omium_sync

class InTheMiddle:
    def find_spec(self, name, path=None, target=None):
        if name == "omium_async._client":
            sys.meta_path.remove(self)
            reached()

def call():
    try:
        omium_sync.Omium("omium_0123456789", base_url="http://127.0.0.1:9", max_retries=0).executions.get("e")
    except Exception as error:
        os.write(1, f"{type(error).__name__}\\n".encode())  # at once: a child would inherit what is buffered

sys.meta_path.insert(0, InTheMiddle())
"""

FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
inside, forks = threading.Event(), threading.Event()
reached = lambda: (inside.set(), forks.wait())
os.register_at_fork(before=forks.set)
thread = threading.Thread(target=call)
thread.start()
inside.wait()
child = os.fork()
signal.alarm(30)
call() if child == 0 else (thread.join(), os.waitpid(child, 0))
"""

SIGNAL = """
reached = lambda: signal.raise_signal(signal.SIGUSR1)
signal.signal(signal.SIGUSR1, lambda *_: call())
call()
call()
"""


def output_of(script: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()


@pytest.mark.parametrize("package", ["omium_async", "omium_sync"])
def test_importing_a_package_imports_little(package: str) -> None:
    modules = output_of(f"import {package}, sys; print(*sys.modules)")
    assert package in modules
    assert [name for name in modules for other in UNWANTED if name == other or name.startswith(f"{other}.")] == []


def test_using_the_sync_client_imports_no_server() -> None:
    modules = output_of("import omium_sync, sys; omium_sync.Omium; print(*sys.modules)")
    assert "omium_sync._client" in modules
    assert "omium_async.local" not in modules


def test_calls_import_nothing() -> None:
    assert output_of(CALLS) == []


def test_a_fork_during_the_first_use_in_another_thread_leaves_the_child_a_whole_package() -> None:
    assert output_of(FIRST_USE + FORK) == ["APIConnectionError"] * 2


def test_a_signal_handler_that_interrupts_the_first_use_gets_an_error_and_later_calls_work() -> None:
    assert output_of(FIRST_USE + SIGNAL) == ["ImportError", "APIConnectionError", "APIConnectionError"]


@pytest.mark.parametrize("package", [omium_async, omium_sync])
def test_a_star_import_brings_every_public_name_and_no_other(package: ModuleType) -> None:
    names: dict[str, object] = {}
    exec(f"from {package.__name__} import *", names)
    assert set(package.__all__) == names.keys() - {"__builtins__"}
    assert set(package.__all__) <= set(dir(package))
    assert (hasattr(package, "nothing"), hasattr(package, "_nothing")) == (False, False)


def test_the_command_line_imports_no_client_before_it_can_be_interrupted() -> None:
    assert output_of("import omium_sync.cli, sys; print('omium_async._client' in sys.modules)") == ["False"]

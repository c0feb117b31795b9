"""Importing a package imports nothing that only a call, an extra or a server needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Found by name or as the first part of one.
UNWANTED = [
    "aiohttp",
    "anyio",
    "cattrs",
    "sqlite3",
    "click",
    "rich",
    "distributed",
    "dask",
    "omium_async.local",
    "omium_sync.cli",
    "multiprocessing",
    "concurrent.futures.process",
    "xml",
    "unittest",
    "asyncio",
    "hashlib",
    "html",
    "omium_async._batch",
    "omium_async._lists",
    "omium_async._streaming.streams",
    "omium_async._waiting",
]


@pytest.mark.parametrize("package", ["omium_async", "omium_sync"])
def test_import_stays_small(package: str) -> None:
    script = f"import {package}, sys; print(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    modules = ran.stdout.split()
    assert package in modules
    assert [name for name in modules for other in UNWANTED if name == other or name.startswith(f"{other}.")] == []


def test_the_facade_imports_the_core_and_never_the_other_way_round() -> None:
    script = "import omium_async, sys; sys.exit('omium_sync' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_name_of_the_package_is_there() -> None:
    script = "import omium_async; [getattr(omium_async, name) for name in omium_async.__all__]"
    assert subprocess.run([sys.executable, "-W", "error", "-c", script], check=False).returncode == 0


def test_every_name_of_the_facade_is_there_and_listed() -> None:
    script = (
        "import omium_sync; assert {*omium_sync.__all__} <= {*dir(omium_sync)}; from omium_sync import *;"
        " [globals()[name] for name in omium_sync.__all__]; assert Omium is omium_sync._client.Omium"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", script], check=False).returncode == 0


def test_the_command_line_imports_nothing_before_it_can_be_interrupted() -> None:
    script = "import omium_sync.cli, sys; sys.exit('omium_async' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

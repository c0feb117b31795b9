"""Every code block of the README and of the documentation runs as it is printed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from .blocks import Block, blocks, run

BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]

#: Languages of fences: code that runs, recorded terminal sessions, data, and MyST's directives in braces.
KINDS = {"python", "sh", "console", "text", "json", "toml", "ini", "yaml"}

#: What a block imports, and the module that must be installed for it: otherwise its test is skipped.
OPTIONAL = {
    "opentelemetry.sdk": "opentelemetry.sdk",
    "omium_async.otel": "opentelemetry",
    "omium_async.ui": "jinja2",
    "import truststore": "truststore",
}


def missing(block: Block) -> list[str]:
    """Return the optional modules that the block needs and that are not installed."""
    return [module for name, module in OPTIONAL.items() if name in block.code and not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_every_fence_names_a_known_language() -> None:
    unknown = [f"{block}: {block.language!r}" for block in BLOCKS if block.language not in KINDS]
    assert [name for name in unknown if "'{" not in name] == []
    assert PYTHON


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_runs_and_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    if lacking := missing(block):
        pytest.skip(f"not installed: {', '.join(lacking)}")
    status, printed, errors = run(block, tmp_path)
    assert status == 0, printed + errors
    assert errors == ""
    lines = printed.splitlines()
    assert [shown for shown in block.prints if shown not in lines] == [], printed


class Absent:
    """Finds no module of an optional package, as if it were not installed."""

    NAMES = ("hypothesis", "opentelemetry.sdk")

    def find_spec(self, name: str, *_: object) -> None:
        if name in self.NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}")


@pytest.mark.parametrize("module", ["tests.conftest", "tests.docs.conftest", "tests.docs.test_blocks"])
def test_this_folder_needs_neither_hypothesis_nor_the_sdk_of_opentelemetry(monkeypatch, module: str) -> None:
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    for name in Absent.NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert {name for block in PYTHON for name in missing(block)} == {"opentelemetry.sdk"}

"""Imports follow the table of layers in ARCHITECTURE.md and form no cycle; the document names only existing files."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "ARCHITECTURE.md"
PACKAGES = ("omium_async", "omium_sync")


@functools.cache
def imports() -> dict[str, set[str]]:
    """Return for each file the files that it imports, also in functions and for type checkers only."""
    files = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found: dict[str, set[str]] = {}
    for file in files:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        targets = {home(module, files) for module in imported(tree, file)}
        found[file] = {target for target in targets if target} - {file}
    return found


def imported(tree: ast.AST, file: str) -> Iterator[str]:
    """Yield the modules that a file imports; of ``from a import b`` both, because ``b`` may be a module.

    The version is left out: it is text, which every file may take from its package.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "/".join(file.split("/")[: -node.level]) if node.level else ""
            base = "/".join(filter(None, [above, (node.module or "").replace(".", "/")]))
            yield from (f"{base}/{alias.name}" for alias in node.names if alias.name != "__version__")


def home(module: str, files: set[str]) -> str | None:
    """Return the file of a module, or of the module that defines this name."""
    parent = module.rpartition("/")[0]
    candidates = (f"{module}.py", f"{module}/__init__.py", f"{parent}.py", f"{parent}/__init__.py")
    return next((each for each in candidates if each in files), None)


def room(file: str) -> str:
    """Return the folder of a file below its package; a file at the top of a package is its own room."""
    package, rest = file.split("/", 1)
    return f"{package}/{rest.split('/')[0]}"


def folders(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the same arrows between rooms."""
    found: dict[str, set[str]] = {}
    for file, targets in arrows.items():
        found.setdefault(room(file), set()).update(room(target) for target in targets if room(target) != room(file))
    return found


@pytest.mark.parametrize("level", [lambda arrows: arrows, folders], ids=["files", "folders"])
def test_no_import_leads_back_to_where_it_began(level):
    try:
        graphlib.TopologicalSorter(level(imports())).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a cycle: {' <- '.join(error.args[1])}")


class Layer(NamedTuple):
    """A row of the table of layers.

    :ivar names: its files and folders; a folder ends with ``/``.
    :ivar may_import: the files and folders of other rows from which it may import; ``None``: of all rows below.
    """

    names: frozenset[str]
    may_import: frozenset[str] | None


def layers() -> list[Layer]:
    """Read the table of layers, whose top layer is the first row."""
    section = MAP.read_text(encoding="utf-8").partition("## Layers")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [Layer(names_in(row[0]), None if row[2] == "all below" else names_in(row[2])) for row in rows]


def names_in(cell: str) -> frozenset[str]:
    names = re.findall(r"`([^`]+)`", cell)
    assert names or cell == "nothing"
    return frozenset(name if name.startswith(PACKAGES) else f"omium_async/{name}" for name in names)


def is_of(file: str, names: Iterable[str]) -> bool:
    return any(file == name or (name.endswith("/") and file.startswith(name)) for name in names)


def test_every_file_is_in_one_layer_and_imports_only_what_the_table_allows():
    table = layers()
    level = {file: [number for number, layer in enumerate(table) if is_of(file, layer.names)] for file in imports()}
    assert {file: found for file, found in level.items() if len(found) != 1} == {}
    wrong: list[str] = []
    for file, targets in imports().items():
        (own,) = level[file]
        allowed = table[own].may_import
        for target in targets:
            (other,) = level[target]
            if other != own and not (other > own if allowed is None else is_of(target, allowed)):
                wrong.append(f"{file} imports {target}")
    assert sorted(wrong) == []


def test_the_rows_that_name_what_they_import_name_layers_below_except_the_plugin():
    table = layers()
    for number, layer in enumerate(table[1:], 1):
        below = [name for other in table[number + 1 :] for name in other.names]
        assert layer.may_import is None or set(layer.may_import) <= set(below)


def test_only_private_modules_of_the_first_level_begin_with_an_underscore():
    public = {
        "omium_async": {"local", "cluster", "otel", "ui", "pytest_plugin", "__init__", "py.typed"},
        "omium_sync": {"cli", "__init__", "py.typed"},
    }
    for package, names in public.items():
        found = {path.name.removesuffix(".py") for path in (ROOT / package).iterdir() if path.name != "__pycache__"}
        assert {name for name in found if not name.startswith("_")} | {"__init__"} == names


def test_the_map_names_only_what_exists():
    named = re.findall(r"`([\w/]+(?:\.py|/))`", MAP.read_text(encoding="utf-8"))
    assert len(named) > 40
    paths = [path for package in PACKAGES for path in (ROOT / package, *(ROOT / package).rglob("*"))]
    existing = [f"/{path.relative_to(ROOT).as_posix()}" for path in [*paths, *(ROOT / "tests").rglob("*")]]
    assert [name for name in named if not any(path.endswith(f"/{name.rstrip('/')}") for path in existing)] == []

"""Imports between files and between folders form no cycle, and ARCHITECTURE.md names only files that exist."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "ARCHITECTURE.md"
PACKAGES = ("omium_async", "omium_sync")
#: The public names are gathered here. Other files take only the version from them.
FRONT_DOORS = {f"{package}/__init__.py" for package in PACKAGES}


@functools.cache
def imports() -> dict[str, set[str]]:
    """Return for each file the files that it imports, also in functions and for type checkers only."""
    files = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found: dict[str, set[str]] = {}
    for file in files - FRONT_DOORS:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        targets = {home(module, files) for module in imported(tree, file)}
        found[file] = {target for target in targets if target} - FRONT_DOORS - {file}
    return found


def imported(tree: ast.AST, file: str) -> Iterator[str]:
    """Yield the modules that a file imports; of ``from a import b`` both, because ``b`` may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "/".join(file.split("/")[: -node.level]) if node.level else ""
            base = "/".join(filter(None, [above, (node.module or "").replace(".", "/")]))
            for alias in node.names:
                yield f"{base}/{alias.name}"


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


def rooms_used_by(files: Iterable[str]) -> set[str]:
    arrows = imports()
    return {room(target) for file in files for target in arrows[file]}


def test_local_omium_shares_only_the_rules_for_data_with_the_client():
    own = [file for file in imports() if file.startswith("omium_async/local/")]
    shared = {"_data", "_errors", "_public.py", "_statuses.py", "_tasks.py"}  # of errors: ConfigurationError
    assert rooms_used_by(own) <= {f"omium_async/{name}" for name in (*shared, "local")}


def test_the_core_does_not_import_the_facade():
    core = [file for file in imports() if file.startswith("omium_async/") and "pytest_plugin" not in file]
    assert not [used for used in rooms_used_by(core) if used.startswith("omium_sync")]


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

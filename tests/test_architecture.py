"""The house is as its map says: no circle between files, and every place that the map names is there."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = ROOT / "ARCHITECTURE.md"
PACKAGES = ("omium_async", "omium_sync")
#: What is public is gathered here; a version is all that the rooms take from it.
FRONT_DOORS = {f"{package}/__init__.py" for package in PACKAGES}


def arrows() -> dict[str, set[str]]:
    """Of each file the files that it imports, also late and for type checkers only."""
    files = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found: dict[str, set[str]] = {}
    for file in files - FRONT_DOORS:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        found[file] = {
            target for module in imported(tree, file) if (target := home(module, files)) and target not in FRONT_DOORS
        } - {file}
    return found


def imported(tree: ast.AST, file: str) -> Iterator[str]:
    """The modules that a file imports; of ``from a import b`` both, for ``b`` may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "/".join(file.split("/")[: -node.level]) if node.level else ""
            base = "/".join(filter(None, [above, (node.module or "").replace(".", "/")]))
            for alias in node.names:
                yield f"{base}/{alias.name}"


def home(module: str, files: set[str]) -> str | None:
    """The file of a module, or of the module that has this name in it."""
    parent = module.rpartition("/")[0]
    candidates = (f"{module}.py", f"{module}/__init__.py", f"{parent}.py", f"{parent}/__init__.py")
    return next((each for each in candidates if each in files), None)


def test_no_file_imports_itself_by_way_of_others():
    try:
        graphlib.TopologicalSorter(arrows()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_local_omium_takes_only_errors_and_the_rules_for_data_of_the_core():
    taken = {
        target for file, targets in arrows().items() if file.startswith("omium_async/local/") for target in targets
    }
    rooms = {target.split("/")[1] for target in taken}
    assert {"_data", "local"} <= rooms <= {"_data", "_errors", "_public.py", "local"}


def test_the_map_names_only_what_is_there():
    named = re.findall(r"`([\w/]+(?:\.py|/))`", MAP.read_text(encoding="utf-8"))
    assert len(named) > 50
    paths = [path for package in PACKAGES for path in (ROOT / package, *(ROOT / package).rglob("*"))] + [Path(__file__)]
    everything = [f"/{path.relative_to(ROOT).as_posix()}" for path in paths]
    missing = [name for name in named if not any(path.endswith(f"/{name.rstrip('/')}") for path in everything)]
    assert missing == []


def test_each_status_has_a_colour_and_a_shape_wherever_it_is_shown() -> None:
    """A status is declared in one place, and drawn in others, which must not forget one."""
    from omium_async import ExecutionStatus
    from omium_async.local.columns import STATUSES as SERVED
    from omium_async.ui.view import STATUSES as COUNTED
    from omium_sync.cli.render import _STYLES

    statuses = {str(status) for status in ExecutionStatus}
    assert set(SERVED) == set(COUNTED) == statuses
    assert statuses <= set(_STYLES)
    console = ROOT / "omium_async" / "ui"
    colours = (console / "static" / "console.css").read_text(encoding="utf-8")
    shapes = (console / "templates" / "shapes.html").read_text(encoding="utf-8")
    assert [status for status in statuses if f".is-{status}" not in colours or f'id="s-{status}"' not in shapes] == []

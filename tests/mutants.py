"""Small changes to the code, one at a time, and whether the tests notice them. No test itself: it takes long.

    python tests/mutants.py omium_async/_transport --count 20 --seed 1

A comparison is turned, a `not` removed or added, a `raise` or a call whose result nobody takes removed, a whole number
moved by one. Each change is made to a copy of the project, on which the tests of the room run to their first failure.
The same seed gives the same changes. What survives is listed: read each, and write the test that notices it, unless the
change does not matter. Of those that matter, 19 of 20 are to be noticed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

ROOT: Final = Path(__file__).parents[1]
#: The tests of each room.
TESTS: Final = {
    "omium_async/_transport": ["tests/transport"],
    "omium_async/_streaming": ["tests/streaming"],
    "omium_async/_batch": ["tests/batch"],
    "omium_async/_pool": ["tests/batch"],
    "omium_async/_journal": ["tests/batch"],
    "omium_async/local": ["tests/local"],
    "omium_sync/_": ["tests/sync", "tests/lifecycle"],
}
TURNED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@attrs.frozen
class Mutant:
    """One change: the text from ``start`` to ``end``, in bytes, becomes another."""

    path: Path
    start: int
    end: int
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (" ".join(text.split())[:100] for text in (self.before, self.after))
        return f"{self.path}:{self.line}  {before}  ->  {after}"

    def made(self) -> bytes:
        """The file with the change."""
        source = (ROOT / self.path).read_bytes()
        return source[: self.start] + self.after.encode() + source[self.end :]


def changed(node: ast.AST) -> Iterator[tuple[Any, str]]:
    """What may take the place of a node, or of a part of it."""
    match node:
        case ast.Compare(ops=[operator]):
            turned = copy.copy(node)
            turned.ops = [TURNED[type(operator)]()]
            yield node, f"({ast.unparse(turned)})"
        case ast.UnaryOp(op=ast.Not()):
            yield node, f"({ast.unparse(node.operand)})"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            if not isinstance(test, (ast.Compare, ast.UnaryOp)):  # they have changes of their own
                yield test, f"(not ({ast.unparse(test)}))"
        case ast.Raise():
            yield node, "pass"
        case ast.Expr(value=ast.Call() as call) | ast.Expr(value=ast.Await(value=ast.Call() as call)):
            if not ast.unparse(call.func).startswith("_log."):
                yield node, "pass"
        case ast.Constant(value=int()) if not isinstance(node.value, bool):
            yield node, str(node.value + 1)
        case _:
            pass


def nodes_of(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that do something when the code runs, and have a place of their own in the text."""
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in field if isinstance(field, list) else [field]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.JoinedStr, ast.Assert)):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            yield child
            yield from nodes_of(child)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change that can be made to a file."""
    source = (ROOT / path).read_bytes()
    lines = source.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    for node in nodes_of(ast.parse(source)):
        for place, after in changed(node):
            start = begins[place.lineno - 1] + place.col_offset
            end = begins[place.end_lineno - 1] + place.end_col_offset
            if b"pragma: no cover" not in lines[place.lineno - 1]:
                yield Mutant(path, start, end, place.lineno, source[start:end].decode(), after)


def run(tests: list[str], folder: Path, limit: float | None) -> int | None:
    """The exit status of the tests; None where they did not end in time."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def copied(folder: Path) -> None:
    """The project, as far as its tests need it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def hunt(mutants: list[Mutant], tests: list[str], limit: float | None) -> list[Mutant]:
    """Those that the tests let pass."""
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        began = time.monotonic()
        if run(tests, folder, None) != 0:
            raise SystemExit(f"the tests fail without any change:\n{(folder / 'output.txt').read_text()[-3000:]}")
        took = time.monotonic() - began
        print(f"{len(mutants)} changes; without any, {' '.join(tests)} takes {took:.0f} s", flush=True)
        for mutant in mutants:
            (folder / mutant.path).write_bytes(mutant.made())
            status = run(tests, folder, limit or 2 * took + 60)
            (folder / mutant.path).write_bytes((ROOT / mutant.path).read_bytes())
            print({0: "SURVIVED", None: "hung    "}.get(status, "noticed "), mutant, flush=True)
            if status == 0:
                survivors.append(mutant)
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("room", help="a file or folder, such as omium_async/_transport")
    parser.add_argument("tests", nargs="*", help="what to run; unless given, the tests of the room")
    parser.add_argument("--count", type=int, default=20, help="how many changes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: %(default)s)")
    parser.add_argument("--limit", type=float, help="seconds for one run (default: twice what it takes, and a minute)")
    given = parser.parse_args()
    room = ROOT / given.room
    paths = [room] if room.is_file() else sorted(room.rglob("*.py"))
    every = [mutant for path in paths for mutant in mutants_of(path.relative_to(ROOT))]
    tests = given.tests or next((found for name, found in TESTS.items() if given.room.startswith(name)), [])
    if not every or not tests:
        parser.error(f"{given.room}: nothing to change, or no tests known of it")
    chosen = random.Random(given.seed).sample(every, min(given.count, len(every)))
    survivors = hunt(sorted(chosen, key=lambda mutant: (str(mutant.path), mutant.start)), tests, given.limit)
    print(f"\nnoticed {len(chosen) - len(survivors)} of {len(chosen)}")
    for mutant in survivors:
        print(mutant)


if __name__ == "__main__":
    main()

"""Small changes to the code, one at a time, and whether the tests notice them. No test itself: it takes long.

    python tests/mutants.py transport --count 40 --seed 1
    python tests/mutants.py omium_async/_transport/call.py:120

A comparison is turned, a `not` removed or added, a `raise` or a call whose result nobody takes removed, a whole number
moved by one. Each change is made to a copy of the project, on which tests run to their first failure. A first run, of
all tests of the room without any change, tells which test reaches which line, and how long it takes. For a change in a
function the tests that reach it are run, the quickest first, then those that start processes; for one that runs at
import, or that no test reaches in its own process, all. What runs at import takes a new process; for the others one
process has collected the tests, and forks (`swapped.py`). A test notices a change when it fails with it twice, the
second time alone, and passes alone without it: once may be the load of the machine, or what a test before it left.

A seed gives the same changes each time, also after a change of other lines. What survives is listed: read each, and
write the test that notices it, unless the change does not matter. Of those that matter, 19 of 20 are to be noticed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, Final

import attrs
import coverage
import psutil
import reached
import swapped

ROOT: Final = Path(__file__).parents[1]
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
WHOLE_RUN: Final = "a run that ends before its tests"  # an import that fails, pytest that is ended


@attrs.frozen
class Room:
    """A part of the code, and the folders of its tests."""

    code: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """Its files, from the root."""
        found = [[place] if place.is_file() else place.rglob("*.py") for place in (ROOT / name for name in self.code)]
        return sorted(path.relative_to(ROOT) for paths in found for path in paths)


FACADE: Final = [f"omium_sync/{path.name}" for path in (ROOT / "omium_sync").glob("*.py")]
ROOMS: Final = {
    "transport": Room(("omium_async/_transport",), ("tests/transport",)),
    "streaming": Room(("omium_async/_streaming",), ("tests/streaming",)),
    "batch": Room(("omium_async/_batch", "omium_async/_pool"), ("tests/batch",)),
    "journal": Room(("omium_async/_journal",), ("tests/batch",)),
    "local": Room(("omium_async/local",), ("tests/local",)),
    "facade": Room(
        ("omium_sync/_bridge", *FACADE), ("tests/sync", "tests/lifecycle", "tests/models/test_public_names.py")
    ),
}


@attrs.frozen
class Mutant:
    """One change: the text from ``start`` to ``end``, in bytes, becomes another."""

    path: Path
    start: int
    end: int
    lines: range
    around: str  # its first line
    before: str
    after: str
    imported: bool  # runs at import

    def __str__(self) -> str:
        before, after = (" ".join(text.split())[:100] for text in (self.before, self.after))
        return f"{self.path}:{self.lines[0]}  {before}  ->  {after}"

    def made(self) -> bytes:
        """The file with the change."""
        source = (ROOT / self.path).read_bytes()
        return source[: self.start] + self.after.encode() + source[self.end :]

    def order(self, seed: int) -> str:
        """Its place among all of a seed."""
        return hashlib.sha256(f"{seed} {self.path} {self.around} {self.before} {self.after}".encode()).hexdigest()


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


def nodes_of(node: ast.AST, imported: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """The nodes that do something when the code runs, and have a place of their own in the text; do they at import?"""
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        called = name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in field if isinstance(field, list) else [field]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.JoinedStr, ast.Assert)):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            yield child, imported and not called
            yield from nodes_of(child, imported and not called)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change that can be made to a file."""
    source = (ROOT / path).read_bytes()
    lines = source.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    for node, imported in nodes_of(ast.parse(source)):
        for place, after in changed(node):
            start = begins[place.lineno - 1] + place.col_offset
            end = begins[place.end_lineno - 1] + place.end_col_offset
            around = lines[place.lineno - 1].decode().strip()
            if "pragma: no cover" not in around:
                rows = range(place.lineno, place.end_lineno + 1)
                yield Mutant(path, start, end, rows, around, source[start:end].decode(), after, imported)


class Copy:
    """A copy of the project, in which tests run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._passing: dict[str, bool] = {}
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def start(self, runner: list[str], arguments: list[str], **environment: str) -> psutil.Popen:
        """Start pytest."""
        (self._folder / "arguments.txt").write_text("\n".join(arguments), encoding="utf-8")
        command = [sys.executable, "-m", *runner, "-q", "-p", "no:cacheprovider", "-p", "tests.reached"]
        with (self._folder / "output.txt").open("wb") as output:
            return psutil.Popen(
                [*command, "@arguments.txt"],
                cwd=self._folder,
                env=os.environ
                | {"PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1", "OMIUM_TEST_HASTE": "1"}
                | environment,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        """The last of what pytest said."""
        return (self._folder / "output.txt").read_text(encoding="utf-8", errors="replace")[-3000:]

    def watch(self, room: Room) -> Reach:
        """Run the tests of a room without any change."""
        source = ",".join(sorted({Path(name).parts[0] for name in room.code}))
        status = self.start(["coverage", "run", f"--source={source}", "-m", "pytest"], list(room.tests)).wait()
        if status not in {0, 1}:
            raise SystemExit(f"the tests did not run:\n{self.output()}")
        data = coverage.CoverageData(str(self._folder / ".coverage"))
        data.read()
        reached = {path: data.contexts_by_lineno(str(self._folder / path)) for path in room.files}
        return Reach(**json.loads((self._folder / "reached.json").read_text()), reached=reached)

    @contextlib.contextmanager
    def forking(self, room: Room) -> Iterator[Connection]:
        """A pytest that has collected the tests of a room, and forks for each change that it is asked to try."""
        address = str(self._folder / "mutants.socket")
        with Listener(address, "AF_UNIX") as listener:
            process = self.start(["pytest", "-p", "tests.swapped"], list(room.tests), OMIUM_MUTANTS=address)
            try:
                with listener.accept() as connection:
                    yield connection
                    connection.send(None)
                process.wait(60)
            finally:
                swapped.end(process, 0)

    def noticing(self, mutant: Mutant, reach: Reach, forking: Connection) -> str | None:
        """The first test that notices a change: it fails with it also alone, and not without it; None if none does."""
        now, tests = self._folder / reached.NOW, reach.tests_of(mutant)
        while tests:
            now.write_text(WHOLE_RUN, encoding="utf-8")
            status = self._tried(mutant, reach.limits(tests), forking)
            if status == swapped.SURVIVED:
                return None
            found = now.read_text(encoding="utf-8").partition("\n")[0]
            if found not in tests:
                return found
            alone = reach.limits([found])
            again = self._tried(mutant, alone, forking)
            if again != swapped.SURVIVED and self._passes(alone, forking):
                return found if again is not None else f"{found}, which hangs"
            tests = tests[tests.index(found) + 1 :]
        return None

    def _passes(self, alone: dict[str, float], forking: Connection) -> bool:
        """Whether a test passes without any change: it may need another before it, which is a defect of its own."""
        (test,) = alone
        if test not in self._passing:
            path = ROOT / "tests/swapped.py"
            forking.send(((str(path), path.read_text(encoding="utf-8")), alone))
            self._passing[test] = forking.recv() == swapped.SURVIVED
            if not self._passing[test]:
                print(f"tells nothing, for it fails alone without any change: {test}", flush=True)
        return self._passing[test]

    def _tried(self, mutant: Mutant, limits: dict[str, float], forking: Connection) -> int | None:
        """How a run of these tests on a change ends: an exit status, None where one hangs."""
        changed, before = self._folder / mutant.path, (ROOT / mutant.path).read_text(encoding="utf-8")
        changed.write_bytes(mutant.made())
        try:
            if not mutant.imported:
                forking.send(((str(changed), before), limits))
                status = forking.recv()
                if status != swapped.NOT_SWAPPED:
                    return status
            return swapped.watched(self.start(["pytest", "-x"], list(limits)), limits, self._folder / reached.NOW)
        finally:
            changed.write_bytes(before.encode())


@attrs.frozen
class Reach:
    """How long each test takes, in seconds, which start processes, and which reach each line of each file."""

    seconds: dict[str, float]
    processes: set[str] = attrs.field(converter=set)
    reached: dict[Path, dict[int, list[str]]]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Those that may notice a change, in the order in which to run them."""
        lines = self.reached[mutant.path]
        reaching = {test for line in mutant.lines for test in lines.get(line, [])}
        some = reaching | self.processes
        everywhere = mutant.imported or "" in reaching or not reaching  # "": outside of any test
        return sorted(
            self.seconds if everywhere else self.seconds.keys() & some,
            key=lambda test: (test not in reaching, self.seconds[test]),
        )

    def limits(self, tests: list[str]) -> dict[str, float]:
        """Seconds after which each of these tests is taken to hang."""
        return {test: 15 + 5 * self.seconds[test] for test in tests}


def chosen(room: Room, place: str, count: int, seed: int) -> list[Mutant]:
    """The changes to make: of the whole room, or of ``path`` or ``path:line``."""
    name, _, line = place.partition(":")
    paths = [path for path in room.files if place in ROOMS or path.is_relative_to(name)]
    every = [mutant for path in paths for mutant in mutants_of(path)]
    if line:
        return [mutant for mutant in every if int(line) in mutant.lines]
    return sorted(every, key=lambda mutant: mutant.order(seed))[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("place", help=f"a room ({', '.join(ROOMS)}), a file or folder of one, or file:line")
    parser.add_argument("--count", type=int, default=40, help="how many changes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: %(default)s)")
    given = parser.parse_args()
    in_room = (room for name, room in ROOMS.items() if given.place == name or given.place.startswith(room.code))
    room = next(in_room, None)
    mutants = chosen(room, given.place, given.count, given.seed) if room else []
    if room is None or not mutants:
        parser.error(f"{given.place}: nothing to change there, or no tests known of it")
    # Also where it was started in the background, with Ctrl-C ignored: tests send it to processes of theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as name:
        project = Copy(Path(name))
        reach = project.watch(room)
        print(f"{len(reach.seconds)} tests, {sum(reach.seconds.values()):.0f} s; {len(mutants)} changes", flush=True)
        with project.forking(room) as forking:
            for mutant in mutants:
                began = time.monotonic()
                noticing = project.noticing(mutant, reach, forking)
                if noticing is None:
                    survivors.append(mutant)
                said = "SURVIVED" if noticing is None else "noticed "
                print(f"{said} {time.monotonic() - began:4.0f} s  {mutant}", flush=True)
                if noticing is not None:
                    print(f"                 by {noticing}", flush=True)
    print(f"\nnoticed {len(mutants) - len(survivors)} of {len(mutants)}")
    for mutant in survivors:
        print(mutant)


if __name__ == "__main__":
    main()

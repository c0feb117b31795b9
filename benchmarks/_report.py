"""Reports of the benchmarks: text for people, and with `--json` a file for the charts of the documentation.

Absolute times differ between machines. So a benchmark alternates between its subject and its peers, and reports the
median over the rounds of the ratio to a peer in the same round. `--json` takes a file or a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import cattrs

#: Libraries whose versions are recorded if they are installed.
LIBRARIES = (
    "aiohttp",
    "anyio",
    "attrs",
    "cattrs",
    "httpx2",
    "msgspec",
    "omium",
    "openai",
    "orjson",
    "pydantic",
)


@attrs.frozen
class Comparison:
    """A comparison of subjects over several rounds.

    :ivar values: for each subject one number a round. :ivar ours: the subject that is compared with the others.
    :ivar bounds: floors for the ratio to some peers: at least this if `more` is better, otherwise at most this.
    """

    what: str
    unit: str
    ours: str
    values: dict[str, list[float]]
    more: bool = False
    bounds: dict[str, float] = attrs.field(factory=dict)

    @property
    def peers(self) -> list[str]:
        """The other subjects; charts use the first as unit."""
        return [name for name in self.values if name != self.ours]

    def ratios(self, peer: str, of: str = "") -> list[float]:
        """Return the ratio to a peer in each round, because the speed of a machine drifts."""
        return [one / other for one, other in zip(self.values[of or self.ours], self.values[peer], strict=True)]

    def ratio(self, peer: str, of: str = "") -> float:
        """Return the median ratio to a peer."""
        return statistics.median(self.ratios(peer, of))

    def bound(self, peer: str) -> str:
        """Describe the floor for a peer, or return an empty text."""
        return f"at {'least' if self.more else 'most'} {self.bounds[peer]:.2f}" if peer in self.bounds else ""

    def missed(self) -> list[str]:
        """Describe each missed floor."""
        found = []
        for peer, bound in self.bounds.items():
            ratio = self.ratio(peer)
            if ratio < bound if self.more else ratio > bound:
                found.append(f"{self.what}: {ratio:.3f} of {peer}, {self.bound(peer)} wanted")
        return found

    def __str__(self) -> str:
        lines = [f"{self.what} ({self.unit}, {'more' if self.more else 'less'} is better)"]
        for name, values in self.values.items():
            line = f"  {name:28}{statistics.median(values):>12,.4g}"
            if name != self.ours:
                ratios = self.ratios(name)
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                line += f"   ours to it {self.ratio(name):.2f} ({spread}) {self.bound(name)}"
            lines.append(line.rstrip())
        return "\n".join(lines)


@attrs.frozen
class Figure:
    """A number without a peer, such as memory that must not grow."""

    what: str
    unit: str
    value: float
    at_most: float | None = None

    def missed(self) -> list[str]:
        """Describe the bound if it is missed."""
        kept = self.at_most is None or self.value <= self.at_most
        return [] if kept else [f"{self.what}: {self.value:.3g} {self.unit}, at most {self.at_most:g} wanted"]

    def __str__(self) -> str:
        bound = "" if self.at_most is None else f" (at most {self.at_most:g})"
        return f"{self.what}: {self.value:.3g} {self.unit}{bound}"


@attrs.frozen
class Result:
    """The content of a result file. `run` holds date, commit and machine."""

    program: str
    run: dict[str, Any]
    comparisons: list[Comparison]
    figures: list[Figure]

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read a result file."""
        return cattrs.structure(json.loads(path.read_text()), cls)

    def write(self, path: Path) -> None:
        """Write a result file, with each list of numbers on one line."""
        text = json.dumps(cattrs.unstructure(self), indent=2, ensure_ascii=False)
        path.write_text(re.sub(r"\[\s+([^][{}]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")


def options(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks.

    :param about: the docstring of the program; its first paragraph is shown.
    """
    parser = argparse.ArgumentParser(description=(about or "").partition("\n\n")[0])
    parser.add_argument("--smoke", action="store_true", help="one short round that checks no floor")
    parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to this file or folder")
    return parser


class Report:
    """Collects the results of one program and prints each at once."""

    def __init__(self, program: str, given: argparse.Namespace) -> None:
        self._program, self._given = Path(program).name, given
        self._found: list[Comparison | Figure] = []
        self._load = os.getloadavg()[0]  # before the load of the program itself

    def add(self, found: Comparison | Figure) -> None:
        """Print a result and keep it."""
        self._found.append(found)
        print(found, flush=True)

    def end(self) -> int:
        """Write the result file, if requested. Return 1 if a floor was missed in a full run, otherwise 0."""
        if self._given.json is not None:
            self._write(self._given.json)
        missed = [words for found in self._found for words in found.missed()]
        if self._given.smoke or not missed:
            return 0
        print("\n".join(f"MISSED: {words}" for words in missed), file=sys.stderr, flush=True)
        return 1

    def _write(self, path: Path) -> None:
        if not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            path /= f"{Path(self._program).stem}.json"
        run = {**surroundings(), "load": _short(self._load), "smoke": self._given.smoke}
        comparisons = [_shortened(found) for found in self._found if isinstance(found, Comparison)]
        figures = [attrs.evolve(found, value=_short(found.value)) for found in self._found if isinstance(found, Figure)]
        Result(self._program, run, comparisons, figures).write(path)


def _shortened(found: Comparison) -> Comparison:
    values = {name: [_short(each) for each in values] for name, values in found.values.items()}
    return attrs.evolve(found, values=values)


def _short(number: float) -> float:
    return float(f"{number:.5g}")


def surroundings() -> dict[str, Any]:
    """Return date, commit, versions and machine."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def _commit() -> str | None:
    """Return the commit, and whether the code has uncommitted changes."""
    root = Path(__file__).parents[1]
    code = [root / name for name in ("omium_async", "omium_sync", "benchmarks")]
    try:
        commit = subprocess.check_output(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, text=True).strip()
        changes = subprocess.check_output(["git", "status", "--porcelain", "--", *code], cwd=root, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}, changed" if changes else commit


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())

"""Draw charts of the recorded benchmarks, and fill the tables of the documentation and the README.

    python -m nox -s benchmarks -- --json docs/benchmarks    # ten minutes or so, on an idle machine
    python docs/pictures/charts.py

Tables are between the comments `<!-- measured: NAME -->` and `<!-- end -->`. The tests report
stale tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RESULTS = ROOT / "docs" / "benchmarks"
PAGES = [ROOT / "README.md", ROOT / "docs" / "benchmarks.md"]
sys.path += [str(FOLDER), str(ROOT / "benchmarks")]
import hashes  # noqa: E402
from _report import Comparison, Result  # noqa: E402
from canvas import PALETTES, Drawing  # noqa: E402

CPU = "calls a CPU second"


def results() -> dict[str, Result]:
    """Return the recorded result of each program, by name."""
    return {path.stem: Result.read(path) for path in sorted(RESULTS.glob("*.json"))}


def comparison(program: str, begins: str, unit: str = "") -> Comparison:
    """Return the comparison of a program whose text and unit begin so."""
    return next(
        each for each in results()[program].comparisons if each.what.startswith(begins) and each.unit.startswith(unit)
    )


def number(ratio: float) -> str:
    """Return a ratio with two or three significant digits."""
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


# -- charts: bars as long as the median ratio to the first peer ---------------------------


@attrs.frozen
class Chart:
    """One chart. `shows`: the first words of the comparisons to show; comparisons in another unit are omitted."""

    program: str
    title: str
    shows: tuple[str, ...]
    unit: str = ""


CHARTS = {
    "calls": Chart("calls", "Calls a CPU second, 64 at once", ("get, 64", "create, 64"), CPU),
    "decode": Chart("decode", "Time to read a page into objects", ("a page",)),
    "streaming": Chart("streaming", "Rows a second of a long list", ("reading",)),
    "facade": Chart("facade", "Time of the sync facade", ("iterating", "", "gets of")),
    "batch": Chart("batch", "Executions created a second", ("",)),
    "flat": Chart("local_pages", "Time of a page among 100,000 executions", ("a page of all",)),
}

WIDTH, NAMES, BARS = 560, 210, 270


def chart(which: Chart, palette: dict[str, str]) -> Drawing:
    """Draw one group of bars for each comparison."""
    found = results()[which.program].comparisons
    groups = [each for each in found if each.what.startswith(which.shows) and each.unit.startswith(which.unit)]
    shares = [{name: each.ratio(each.peers[0], of=name) for name in each.values} for each in groups]
    scale = BARS / max(1.0, *(share for group in shares for share in group.values()))
    height = 50 + sum(36 + 26 * len(group) for group in shares)
    drawing = Drawing(which.title, WIDTH, height, palette)
    better = "longer is better" if groups[0].more else "shorter is better"
    drawing.words(10, 24, which.title, align="start", size=15, bold=True)
    drawing.words(WIDTH - 10, 24, better, align="end", size=13, colour="faint")
    y = 40
    for group, lengths in zip(groups, shares, strict=True):
        drawing.words(10, y + 20, group.what, align="start", size=13, colour="faint")
        for row, (name, share) in enumerate(lengths.items()):
            top, ours = y + 30 + row * 26, name == group.ours
            colour = "accent" if ours else "line"
            drawing.words(NAMES - 8, top + 15, name, align="end", size=13, bold=ours)
            drawing.bar(NAMES, top + 3, max(share * scale, 1), 16, colour=colour)
            drawing.words(NAMES + share * scale + 7, top + 15, number(share), align="start", size=13, bold=ours)
        y += 36 + 26 * len(lengths)
    return drawing


def drawn() -> dict[str, str]:
    """Return every chart by the name of its file."""
    return {
        f"chart-{name}-{scheme}.svg": chart(which, palette).svg()
        for name, which in CHARTS.items()
        for scheme, palette in PALETTES.items()
    }


# -- tables -----------------------------------------------------------------------------------------------------------


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), f"|{'---|' * len(cells)}"]


def _surroundings() -> Iterator[str]:
    yield from _head("program", "on", "commit", "Python", "machine", "load before")
    for name, result in results().items():
        run = result.run
        machine = f"{run['processor']}, {run['cpus']} cores, {run['system']}"
        load = f"{run['load']:.1f}" if "load" in run else ""
        yield _row(f"`{name}.py`", run["date"], run["commit"] or "", run["python"], machine, load)
    versions = {name: version for result in results().values() for name, version in result.run["versions"].items()}
    yield f"\nWith {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}."


def _ratios(program: str, unit: str = "") -> Iterator[str]:
    found = results()[program]
    shown = [each for each in found.comparisons if each.unit.startswith(unit)]
    if shown:
        yield from _head("what", "ours to", "ratio", "range over rounds", "floor")
    for each in shown:
        for place, peer in enumerate(each.peers):
            ratios = each.ratios(peer)
            spread = f"{number(min(ratios))} to {number(max(ratios))}"
            what = "" if place else f"{each.what}; {each.unit}"
            yield _row(what, peer, number(each.ratio(peer)), spread, each.bound(peer))
    if found.figures:
        yield ""
        yield from _head("what", "measured", "floor")
    for figure in found.figures:
        bound = "" if figure.at_most is None else f"at most {figure.at_most:g} {figure.unit}"
        yield _row(figure.what, f"{figure.value:.2g} {figure.unit}", bound)


def _calls() -> Iterator[str]:
    """The ratios of calls a CPU second, one column for each comparison."""
    columns = [each for each in results()["calls"].comparisons if each.unit == CPU]
    yield from _head("ours to", *(each.what.replace(" at once", "") for each in columns))
    for peer in columns[0].peers:
        cells = [number(each.ratio(peer)) if peer in each.values else "" for each in columns]
        yield _row(peer, *cells)


#: The rows of README's table: the words, and the program, comparison, unit and peer that the number comes from.
SUMMARY: dict[str, tuple[str, str, str, str]] = {
    "`get`, 64 at once: calls a CPU second, to bare aiohttp": ("calls", "get, 64", CPU, "aiohttp"),
    "the same, to httpx": ("calls", "get, 64", CPU, "httpx"),
    "`omium_sync`, one `get`: time, to `httpx.Client`": ("facade", "2,000 gets", "", "httpx.Client"),
    "a page of 100 rows into models: time, to pydantic": (
        "decode",
        "a page of 100 rows, as documented",
        "",
        "pydantic",
    ),
    "`create_many`: executions a second, to a pool of workers written by hand": ("batch", "8,000", "", "by hand"),
}


def _summary() -> Iterator[str]:
    run = results()["calls"].run
    yield f"On {run['cpus']} cores, Python {run['python'].rpartition('.')[0]}:\n"
    yield from _head("what", "ratio", "better is")
    for words, (program, begins, unit, peer) in SUMMARY.items():
        found = comparison(program, begins, unit)
        yield _row(words, number(found.ratio(peer)), "more" if found.more else "less")


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "summary": _summary,
    "surroundings": _surroundings,
    "calls": _calls,
    **{
        name: lambda name=name: _ratios(name)  # type: ignore[misc]
        for name in ("decode", "streaming", "facade", "batch", "run_many", "imports", "local_pages", "console")
    },
}
_TABLE = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """Return the text of a page with current tables."""
    return _TABLE.sub(lambda found: found[1] + "\n" + "\n".join(TABLES[found[2]]()) + "\n\n" + found[3], page)


def main() -> None:
    """Write all charts and tables."""
    for file, text in drawn().items():
        (FOLDER / file).write_text(text)
        program = CHARTS[file.split("-")[1]].program
        code = [Path(__file__), FOLDER / "canvas.py", ROOT / "benchmarks" / "_report.py"]
        hashes.write(FOLDER / file, [*code, RESULTS / f"{program}.json"])
    for page in PAGES:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()

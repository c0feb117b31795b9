"""Makes charts, and the tables of the documentation and the README, of what the benchmarks found.

    python -m nox -s benchmarks -- --json docs/benchmarks    # some ten minutes, on a machine that does nothing else
    python docs/pictures/charts.py                           # charts and tables from it

No number is written by hand: tables stand between two comments, `<!-- measured: NAME -->` and `<!-- end -->`, and
`tests/docs/test_benchmarks.py` says which are stale.
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
    """What each program found, by its name."""
    return {path.stem: Result.read(path) for path in sorted(RESULTS.glob("*.json"))}


def comparison(program: str, begins: str, unit: str = "") -> Comparison:
    """The one of a program that begins so, and is in this unit."""
    return next(
        each for each in results()[program].comparisons if each.what.startswith(begins) and each.unit.startswith(unit)
    )


def number(ratio: float) -> str:
    """A ratio as people say it."""
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


# -- charts: bars as long as the median ratio to the first peer ---------------------------


@attrs.frozen
class Chart:
    """`shows`: how comparisons of which program begin; those in other units than `unit` are left out."""

    program: str
    title: str
    shows: tuple[str, ...]
    unit: str = ""


CHARTS = {
    "calls": Chart("calls", "Calls a CPU second, 64 at once", ("get, 64", "create, 64"), CPU),
    "decode": Chart("decode", "Time to read a page into objects", ("a page",)),
    "streaming": Chart("streaming", "Rows a second of a long list", ("reading",)),
    "facade": Chart("facade", "Time without asyncio", ("iterating", "", "gets of")),
    "batch": Chart("batch", "Executions created a second", ("",)),
    "flat": Chart("local_pages", "Time of a page of a million executions", ("a page of all",)),
}

WIDTH, NAMES, BARS = 560, 210, 270


def chart(which: Chart, palette: dict[str, str]) -> Drawing:
    """Bars, a group for each comparison."""
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
    """Every chart, by the name of its file."""
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
        yield from _head("what", "ours to", "ratio", "over the rounds", "wanted")
    for each in shown:
        for place, peer in enumerate(each.peers):
            ratios = each.ratios(peer)
            spread = f"{number(min(ratios))} to {number(max(ratios))}"
            what = "" if place else f"{each.what}; {each.unit}"
            yield _row(what, peer, number(each.ratio(peer)), spread, each.bound(peer))
    if found.figures:
        yield ""
        yield from _head("what", "found", "wanted")
    for figure in found.figures:
        bound = "" if figure.at_most is None else f"at most {figure.at_most:g} {figure.unit}"
        yield _row(figure.what, f"{figure.value:.2g} {figure.unit}", bound)


def _calls() -> Iterator[str]:
    """Of the many numbers of calls, those by CPU second, a column for each comparison."""
    columns = [each for each in results()["calls"].comparisons if each.unit == CPU]
    yield from _head("ours to", *(each.what.replace(" at once", "") for each in columns))
    for peer in columns[0].peers:
        cells = [number(each.ratio(peer)) if peer in each.values else "" for each in columns]
        yield _row(peer, *cells)


#: Of README's table: what it says, and where that is from.
SUMMARY: dict[str, tuple[str, str, str, str]] = {
    "`get`, 64 at once, calls a CPU second, to bare aiohttp": ("calls", "get, 64", CPU, "aiohttp"),
    "the same, to httpx": ("calls", "get, 64", CPU, "httpx"),
    "the same, to a GET by id of the official client, which has none for executions [^peers]": (
        "calls",
        "get, 64",
        CPU,
        "official omium",
    ),
    "the same, to `openai` on its aiohttp backend [^peers]": ("calls", "get, 64", CPU, "openai on aiohttp"),
    "`omium_sync`: iterating 100,000 rows, time, to the async iteration": ("facade", "iterating", "", "omium_async"),
    "`omium_sync`: one `get`, time, to `httpx.Client`": ("facade", "2,000 gets", "", "httpx.Client"),
    "a page of 100 rows into typed models, time, to `orjson.loads` into dicts": (
        "decode",
        "a page of 100 rows, as documented",
        "",
        "orjson, to dicts",
    ),
    "the same, to pydantic's models": ("decode", "a page of 100 rows, as documented", "", "pydantic"),
    "the same, as the live service sends it, to `orjson.loads`": (
        "decode",
        "a page of 100 rows, as the live",
        "",
        "orjson, to dicts",
    ),
    "`create_many`, executions a second, to workers on aiohttp written by hand": ("batch", "8,000", "", "by hand"),
    "the same with a journal": ("batch", "8,000 creates, 32 at once, with", "", "by hand"),
    "last page of a million executions in `LocalOmium`, time, to the first": (
        "local_pages",
        "a page of all",
        "",
        "the first page",
    ),
    "`import omium_async`, time, to `import aiohttp`": ("imports", "import omium_async", "", "import aiohttp"),
}


def _summary() -> Iterator[str]:
    run = results()["calls"].run
    busy = any(result.run.get("load", 0) > 2 * result.run["cpus"] for result in results().values())
    while_busy = ", while the machine had other work to do" if busy else ""
    version = run["python"].rpartition(".")[0]
    yield f"On {run['cpus']} cores, Python {version}, with everything switched on{while_busy}:\n"
    yield from _head("what", "ratio", "better is")
    for words, (program, begins, unit, peer) in SUMMARY.items():
        found = comparison(program, begins, unit)
        if peer in found.values:
            yield _row(words.replace(" [^peers]", "¹"), number(found.ratio(peer)), "more" if found.more else "less")
    if any(peer in comparison(*where).values for words, (*where, peer) in SUMMARY.items() if "[^peers]" in words):
        yield "\n¹ Its peer does not come with `[dev]` but by `pip install --group benchmarks` (pip 25.1 or newer)."


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "summary": _summary,
    "surroundings": _surroundings,
    "calls": _calls,
    **{
        name: lambda name=name: _ratios(name)  # type: ignore[misc]
        for name in ("decode", "streaming", "facade", "batch", "imports", "local_pages", "console")
    },
}
_TABLE = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """A page with its tables as they ought to be."""
    return _TABLE.sub(lambda found: found[1] + "\n" + "\n".join(TABLES[found[2]]()) + "\n\n" + found[3], page)


def main() -> None:
    """Make all of it."""
    for file, text in drawn().items():
        (FOLDER / file).write_text(text)
        program = CHARTS[file.split("-")[1]].program
        code = [Path(__file__), FOLDER / "canvas.py", ROOT / "benchmarks" / "_report.py"]
        hashes.write(FOLDER / file, [*code, RESULTS / f"{program}.json"])
    for page in PAGES:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()

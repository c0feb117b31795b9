"""Every number of speed in the documentation comes from a recorded run of a benchmark."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys

import pytest

from .conftest import ROOT

sys.path.append(str(ROOT / "docs" / "pictures"))
charts = importlib.import_module("charts")
report = importlib.import_module("_report")  # of benchmarks/, where `charts` has it from

PROGRAMS = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
MAKE_ANEW = "write it again: python docs/pictures/charts.py"


def test_each_program_has_a_recorded_full_run():
    results = charts.results()
    assert set(results) == PROGRAMS
    assert [name for name, result in results.items() if result.run["smoke"]] == []


@pytest.mark.parametrize("page", charts.PAGES, ids=lambda page: page.name)
def test_tables_match_the_recorded_runs(page):
    text = page.read_text()
    assert text == charts.filled(text), MAKE_ANEW
    assert charts._TABLE.search(text)


def test_every_program_has_a_table_and_every_row_of_the_summary_a_source():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert {found[1] for found in charts._TABLE.findall(text)} == {*PROGRAMS, "surroundings"}
    for program, begins, unit, _ in charts.SUMMARY.values():
        assert charts.comparison(program, begins, unit)


@pytest.mark.parametrize("page", charts.PAGES, ids=lambda page: page.name)
def test_no_ratio_is_written_by_hand(page):
    text = charts._TABLE.sub("", page.read_text())
    words = re.sub(r"^```.*?^```$|`[^`]*`|\]\([^)]*\)", "", text, flags=re.MULTILINE | re.DOTALL)
    written = re.findall(r"\d+\.\d+|\d+ times|\d+ ?%", words)
    assert [each for each in written if not re.fullmatch(r"3\.1[1-5]", each)] == []  # Pythons are no ratios


# -- reports of a benchmark -------------------------------------------------------------------------------


def compared(**more):
    values = {"ours": [1.0, 4.0, 9.0], "peer": [1.0, 2.0, 3.0], "other": [2.0, 2.0, 2.0]}
    return report.Comparison("a thing", "s", "ours", values, **more)


def test_a_ratio_is_the_median_of_those_of_the_rounds():
    assert compared().ratio("peer") == 2.0
    assert compared().ratio("peer", of="other") == 1.0
    assert compared().peers == ["peer", "other"]


@pytest.mark.parametrize(
    ("more", "bound", "missed"), [(False, 2.0, 0), (False, 1.9, 1), (True, 2.0, 0), (True, 2.1, 1)]
)
def test_a_bound_is_kept_or_missed(more, bound, missed):
    assert len(compared(more=more, bounds={"peer": bound}).missed()) == missed


@pytest.mark.slow
def test_a_program_writes_its_results(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "decode.py", "--smoke", "--json", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "decode.json"
    result = report.Result.read(path)
    assert result.program == "decode.py"
    assert result.run["smoke"]
    assert result.run["versions"].keys() >= {"aiohttp", "msgspec"}
    assert result.comparisons
    for found in result.comparisons:
        assert {len(values) for values in found.values.values()} == {5}
        assert str(found) in done.stdout or found.what in done.stdout
    result.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())

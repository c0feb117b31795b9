"""Output cannot control a terminal, is exact for programs and shortened for people; closed and full streams."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
import unicodedata
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_sync import Execution, ExecutionStatus
from omium_sync.cli.columns import to_row
from omium_sync.cli.options import STATUSES
from omium_sync.cli.output import json_line, json_text, moment, printable, readable_json
from omium_sync.cli.tables import STATUS_STYLES, CSVTable

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def controls_a_terminal(text: str) -> bool:
    categories = {unicodedata.category(character) for character in text}
    return bool(categories & {"Cc", "Zl", "Zp", "Cs"} or set("\u202a\u202e\u2066\u2069\u200f") & set(text))


@given(st.text(st.characters(exclude_categories=[])))
def test_text_becomes_one_line_that_cannot_control_a_terminal(text):
    shown = printable(text)
    assert not controls_a_terminal(shown)
    assert shown == text or not (text.isascii() and text.isprintable())


@given(ANYTHING)
def test_json_has_the_same_value_and_cannot_control_a_terminal(value):
    for text in (json_line(value)[:-1].decode(), json_text(value), *readable_json(value)[0]):
        assert not controls_a_terminal(text)
    assert json.loads(json_line(value)) == json.loads(json_text(value)) == value
    lines, is_whole = readable_json(value)
    assert not is_whole or json.loads("\n".join(lines)) == value
    assert json.loads(json_line({"file": "\udcff"})) == {"file": "\udcff"}


def test_small_values_that_would_become_huge_are_shown_within_bounds():
    deep: list[object] = []
    inner = deep
    for _ in range(900):
        inner.append([])
        inner = inner[-1]  # type: ignore[assignment]
    inner.extend([1] * 300_000)
    for value in (deep, [deep] * 1000, ["x" * 3_000_000], {"k" * 3_000_000: 1}, [[]] * 300_000):
        started = time.process_time()
        lines, is_whole = readable_json(value)
        assert (sum(map(len, lines)) < 60 * 5_000, is_whole) == (True, False)
        assert time.process_time() - started < 1


def test_every_status_can_be_given_and_has_a_colour():
    assert set(STATUSES) == {str(status) for status in ExecutionStatus}
    assert set(STATUSES) <= set(STATUS_STYLES)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_utc_cannot_hold_is_shown_as_sent(text):
    assert moment(datetime.fromisoformat(text)) == text


def test_the_error_of_a_service_that_has_another_name_for_it():
    row = to_row(Execution.from_dict({"id": "x", "error": None, "error_message": "no city"}))
    assert (row["error"], row["error_message"]) == ("no city", "no city")


@given(st.lists(st.text(), min_size=1))
def test_no_cell_of_csv_is_a_formula_and_none_is_lost(cells):
    table = CSVTable("a")
    for cell in cells:
        table.add(cell)
    text = table._text.getvalue()
    read = [row[0] for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
    assert not [cell for cell in read if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b"))]
    assert text.count("\r\n") == len(cells) + 1


@pytest.mark.parametrize(
    ("command", "code"), [(("create", "fail", "--wait"), 1), (("list", "-o", "jsonl"), 0), (("wait", "FAILED"), 1)]
)
def test_a_closed_pipe_does_not_change_the_exit_status(connected, service, broken_pipe, monkeypatch, command, code):
    failed = service.run("fail")
    for name in ("stdout", "stderr"):  # as in `2>&1 | head`
        monkeypatch.setattr(sys, name, broken_pipe)
    assert connected(*(failed if word == "FAILED" else word for word in command)).code == code


@pytest.mark.slow
def test_streams_that_are_closed_or_full_are_reported(connected, service):
    service.pending(1)
    closed = connected.ended(connected.start("list", shell='exec "$@" >&-'))
    assert (closed.code, closed.err) == (1, "omiumctl: stdout is closed; there is nowhere to write to\n")
    connected.write("in.jsonl", *range(5))
    batch = ("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j.db")
    for _ in range(2):  # nothing of stderr is written into the journal
        quiet = connected.ended(connected.start(*batch, shell='exec "$@" 2>&-'))
        assert (quiet.code, "5 created" in quiet.out) == (0, True)
    if Path("/dev/full").exists():
        full = connected.ended(connected.start("create", "nobody", "-o", "json", shell='exec "$@" >/dev/full'))
        assert (full.code, full.lines_of_errors, "No space left" in full.err) == (1, 2, True)
        assert "was created" in full.err

"""What the commands are made of: text made safe, lines read, latencies counted."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
import threading
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_sync import Attempt
from omium_sync.cli import progress
from omium_sync.cli.lines import Line, Malformed, Source
from omium_sync.cli.progress import Progress
from omium_sync.cli.render import json_line, json_text, printable
from omium_sync.cli.tally import Latencies, Tally

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def steers(text: str) -> bool:
    """Whether a terminal might obey it."""
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in text)


@given(st.text(st.characters(exclude_categories=[])))
def test_text_is_one_harmless_line(text):
    shown = printable(text)
    assert not steers(shown)
    assert not any(bidi in shown for bidi in "\u202a\u202e\u2066\u2069\u200f")
    if text.isascii() and text.isprintable():
        assert shown == text


@given(ANYTHING)
def test_json_says_the_same_and_harms_nobody(value):
    line = json_line(value)
    assert line.endswith(b"\n")
    for text in (line[:-1].decode(), json_text(value)):
        assert json.loads(text) == value
        assert not steers(text)


def test_a_lone_surrogate_goes_out_as_an_escape():
    assert json.loads(json_line({"file": "\udcff"})) == {"file": "\udcff"}


class Written:
    """A pipe into which the chunks are written as they are."""

    def __init__(self, chunks):
        self.end, theirs = os.pipe()
        self.thread = threading.Thread(target=self.write, args=(theirs, chunks))
        self.thread.start()

    def write(self, end, chunks):
        for chunk in chunks:
            os.write(end, chunk)
        os.close(end)

    def close(self):
        self.thread.join()
        os.close(self.end)


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from([b"1", b" ", b"\n", b'"a"', b"[", b"]", b"\xff", b"\r\n"])).map(b"".join)))
def test_lines_are_those_of_the_whole_however_they_come(chunks):
    pipe = Written(chunks)
    found = list(Source(pipe.end, "w", whole=False, stopping=lambda: False).lines())
    pipe.close()
    expected = []
    for number, content in enumerate(b"".join(chunks).split(b"\n"), 1):
        if content.strip():
            try:
                expected.append((number, json.loads(content.decode())))
            except ValueError:
                expected.append((number, Malformed))
    assert [
        (line.number, line.request.input_data if isinstance(line, Line) else Malformed) for line in found
    ] == expected


def test_a_reader_that_should_stop_does_not_wait_for_input():
    ours, theirs = os.pipe()
    stopping = threading.Event()
    threading.Timer(0.1, stopping.set).start()
    assert list(Source(ours, "w", whole=False, stopping=stopping.is_set).lines()) == []
    os.close(ours)
    os.close(theirs)


@given(st.lists(st.floats(0.0001, 100), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_latencies_are_right_to_two_percent(seconds, share):
    latencies = Latencies()
    for elapsed in seconds:
        latencies.attempt(Attempt(1, status=201, elapsed=elapsed, idempotency_key="k"))
    latencies.attempt(Attempt(1, status=200, elapsed=1000.0))  # a read
    latencies.attempt(Attempt(1, elapsed=1000.0, idempotency_key="k"))  # no answer
    exact = sorted(seconds)[math.ceil(len(seconds) * share) - 1]
    assert latencies.percentile(share) == pytest.approx(exact, rel=0.021)


def test_only_so_many_kinds_of_errors_are_told_apart():
    tally = Tally()
    for number in range(2000):
        tally.add("rejected", f"error {number}")
    assert len(tally.errors) == 501
    assert tally.errors["(others)"] == 1500
    assert tally.states == {"rejected": 2000}


def test_errors_that_name_their_execution_are_counted_together():
    tally = Tally()
    for number in range(3):
        tally.add("rejected", ValueError(f"execution exec_{number} has no checkpoints"), about=f"exec_{number}")
    assert tally.errors == {"ValueError: execution \N{HORIZONTAL ELLIPSIS} has no checkpoints": 3}


def test_work_that_stalls_says_why_once(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.05)
    answers = [None, "waiting", "waiting again"]
    threads = threading.active_count()
    with Progress("sending", 3, stalled=lambda: answers.pop(0)):
        until = time.monotonic() + 30
        while len(answers) > 1:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.2)  # in which nothing more is asked, or said
    assert capsys.readouterr().err == "omiumctl: waiting\n"
    assert threading.active_count() == threads
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 60.0)
    with Progress("sending", 3, stalled=lambda: "never"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("term", "bar"), [("dumb", "False"), ("xterm", "True")])
def test_a_bar_only_where_a_terminal_can_show_one(term, bar):
    ours, theirs = pty.openpty()
    script = "from omium_sync.cli.progress import Progress; print(Progress('x').on_terminal)"
    out = subprocess.check_output(
        [sys.executable, "-c", script], stderr=theirs, text=True, env={"TERM": term, "PYTHONPATH": ":".join(sys.path)}
    )
    os.close(ours)
    os.close(theirs)
    assert out.strip() == bar

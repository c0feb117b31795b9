"""Text of others becomes one clean line: whatever it holds, however long it is."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async._data.text import clean_id, encodes, one_line

TEXT = st.text(st.characters()) | st.text(st.sampled_from("a \n\x1b\u202e\ud800\udc00\x9b\u200b"), max_size=60)


@given(TEXT, st.integers(4, 50))
def test_one_line_of_bounded_length_that_stays_as_it_is(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert encodes(line)
    assert line == line.strip()
    assert not [c for c in line if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert one_line(line, most) == line


@given(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=40))
def test_what_is_clean_stays(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("\x1b]8;;http://x\x07link", "]8;;http://x link"),
        ("a\r\nb\x85c\u2028d", "a b c d"),
        ("\u202eabc\u2069", "abc"),
        ("gr\u00fc\u00df \u4f60\u597d \U0001f642", "gr\u00fc\u00df \u4f60\u597d \U0001f642"),
        ("half \ud83d of it \udcff", "half \ufffd of it \ufffd"),
        ("  much   room  ", "much room"),
    ],
)
def test_what_becomes_of_it(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_text_of_megabytes_costs_no_more_than_its_beginning() -> None:
    started = time.process_time()  # whatever else the machine does
    assert len(clean_id("\x1b " * 20_000_000)) <= 200
    assert time.process_time() - started < 1

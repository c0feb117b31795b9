"""JSON as people type it: the same value, or refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async.ui.strict_json import parse

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_json_writes_is_read_as_it_was(value):
    assert parse(json.dumps(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_exactly_or_refused(number):
    text = str(number)
    try:
        found = parse(text)
    except ValueError:
        assert not math.isfinite(float(text)) or type(number)(repr(float(text))) != number
    else:
        assert type(number)(repr(found)) == number


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "0.1000000000000000055511",
        "1e-400",
        "0.30000000000000004441",
        '{"a":1,"a":2}',
        '"\\ud800"',
        "{",
        "",
        "[1,]",
        "'a'",
        "9" * 4301,
        "[" * 100_000,
        "1e99999999999999999999",
        "1e-99999999999999999999",
    ],
)
def test_what_would_arrive_as_something_else_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_whole_numbers_are_exact_whatever_their_size():
    assert parse("1" + "0" * 4000) == 10**4000
    assert parse("[9007199254740993, -0, 1.10, 1E2]") == [9007199254740993, 0, 1.1, 100.0]


def test_it_says_where_the_text_stops_being_json():
    with pytest.raises(ValueError, match="line 2, column 8"):
        parse('{"a": 1,\n "b": 1x}')

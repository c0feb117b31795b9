"""JSON from people is read strictly, and JSON is shown within limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async._data.codec import parse_json
from omium_async._data.shown_json import show_json

from ..models.strategies import JSON


@given(value=JSON)
def test_json_is_read_as_exactly_the_value_it_says(value: Any) -> None:
    assert repr(parse_json(json.dumps(value))) == repr(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NaN", "NaN is not JSON"),
        ("[1, -Infinity]", "-Infinity is not JSON"),
        ("1e999", "too large for a float"),
        ("0.1000000000000000055511151231257827", "would arrive as 0.1"),
        ("1e-9999999999999999999", "would arrive as 0.0"),
        ('{"a": 1, "a": 2}', 'the name "a" occurs twice'),
        (r'"\ud800"', "half of a surrogate pair"),
        ("9" * 4301, "more than 4,300 digits"),
        ("[" * 401 + "]" * 401, "nested deeper than 400 levels"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1', "line 1, column 8"),
        ("", "line 1, column 1"),
    ],
)
def test_json_that_would_arrive_as_something_else_is_rejected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)
    assert parse_json("[" * 400 + "]" * 400)
    assert parse_json("9" * 4300) == int("9" * 4300)


@given(value=JSON, indent=st.sampled_from([None, 1, 2]))
def test_json_is_shown_as_the_standard_library_writes_it(value: Any, indent: int | None) -> None:
    assert show_json(value, indent=indent) == (json.dumps(value, ensure_ascii=False, indent=indent), True)


def test_a_small_value_never_becomes_a_huge_text() -> None:
    value: Any = [1] * 20_480
    for _ in range(400):
        value = [value]
    text, is_whole = show_json(value)
    assert is_whole
    assert len(text) < 2 * len(json.dumps(value))
    assert json.loads(text) == value
    text, is_whole = show_json(value, most=1000)
    assert (len(text), is_whole) == (1003, False)
    assert text.endswith("...")

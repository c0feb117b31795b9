"""Whatever is of a type that can be read comes back equal from being sent."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from omium_async import make_converter
from omium_async._data.codec import decode_json, encode
from omium_async._data.plain import plain
from omium_async._data.reading import check_type, matches, read_typed

from .strategies import typed_values

CONVERTER = make_converter()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed_value=typed_values())
def test_a_value_of_any_type_comes_back_equal(typed_value: tuple[Any, Any]) -> None:
    kind, value = typed_value
    check_type(CONVERTER, kind)
    matches(CONVERTER, value, kind, "input_data")
    sent = plain(value, "input_data", CONVERTER)
    arrived = decode_json(encode(sent))
    assert repr(arrived) == repr(sent)
    found = read_typed(CONVERTER, arrived, kind, "output_data")
    assert found == value
    assert repr(found) == repr(value)  # tells 1 from 1.0 and True

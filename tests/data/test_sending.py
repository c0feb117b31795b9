"""Data of users becomes JSON without a change; what JSON would change or lose is rejected with its place."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import os
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Self

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given

from omium_async import Execution, make_converter

from ..models.strategies import JSON
from .typed import Box, Colour, Flags, Level, Line, Model, Point, Record, Rows, Tagged, Word

CONVERTER = make_converter()


class Shifted(str, enum.Enum):  # noqa: UP042 - a StrEnum could not
    """An enum whose text is not its value."""

    A = ("a", 5)

    def __new__(cls, text: str, value: int) -> Self:
        member = str.__new__(cls, text)
        member._value_ = value  # type: ignore[assignment]
        return member


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "masked"

    __repr__ = __str__


class Whole(int):
    pass


class Real(float):
    pass


@dataclasses.dataclass
class Order:
    name: str
    when: Any = None
    total: int = dataclasses.field(default=3, init=False)


@dataclasses.dataclass(init=False)
class Half:
    missing: int


class Loose(pydantic.BaseModel):
    number: float
    when: Any = None


NAIVE = datetime(2025, 1, 1, 12)  # noqa: DTZ001
ID = uuid.UUID(int=7)
LINE = {"text": "a", "_weight": 1.0, "seen": 0}

ACCEPTED: list[tuple[Any, Any]] = [
    ((1, (2, [3])), [1, [2, [3]]]),
    (Point(1, 2), [1, 2]),
    (collections.OrderedDict(a=(1,)), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (Colour.RED, "red"),
    (Colour.PAIR, ["a", 1]),
    (Level.LOW, 1),
    (Shifted.A, 5),
    (Flags.A | Flags.B, 3),
    (Decimal("1.50"), "1.50"),
    (Decimal("0.1") ** 40, "1E-40"),
    (date(2025, 1, 1), "2025-01-01"),
    (time(12, 0, 0, 5), "12:00:00.000005"),
    (Path("a") / "b", "a/b"),
    ({Word.YES: 1, "red": 2}, {"yes": 1, "red": 2}),
    ({Text("key"): Text("text")}, {"key": "text"}),
    (Whole(7), 7),
    (Real(-0.0), -0.0),
    (ID, str(ID)),
    (datetime(2025, 1, 1, 12, tzinfo=UTC), "2025-01-01T12:00:00Z"),
    (NAIVE, "2025-01-01T12:00:00"),
    (datetime(2025, 1, 1, 12, 0, 0, 7, timezone(timedelta(hours=-3))), "2025-01-01T12:00:00.000007-03:00"),
    (datetime(2025, 1, 1, 12, tzinfo=timezone(timedelta(seconds=30))), "2025-01-01T11:59:30Z"),
    (Line("a"), LINE),
    (Order("n", (NAIVE, ID)), {"name": "n", "when": ["2025-01-01T12:00:00", str(ID)], "total": 3}),
    (Execution.from_dict({"id": "e", "new": [1]}), {**Execution("e").to_dict(), "new": [1]}),
    ({"": 0, "a.b": 1, "é": "ü", "\x00": "\u2028"}, {"": 0, "a.b": 1, "é": "ü", "\x00": "\u2028"}),
    (10**4299, 10**4299),
    (-(10**4300) + 1, -(10**4300) + 1),
    ([1e308, 5e-324, -0.0, 2**64, True, None], [1e308, 5e-324, -0.0, 2**64, True, None]),
    (Model(lines=1), {"lines": 1, "when": None, "theAmount": "1.50"}),
    (Rows([1, 2]), [1, 2]),
    (Record("r", date(2025, 1, 1), [Line("a")]), {"name": "r", "at": "2025-01-01", "lines": [LINE]}),
    (Tagged("a"), {"type": "Tagged", "firstName": "a", "inner": None}),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float32(0.1), 0.10000000149011612),
    (np.bool_(True), True),
    (pd.Timestamp("2025-01-01T12:00:00.123456789Z"), "2025-01-01T12:00:00.123456789Z"),
]


def read(body: bytes) -> Any:
    return CONVERTER.loads(body, Any)  # type: ignore[arg-type]


# Numbered, because pytest would write out the integers.
@pytest.mark.parametrize(("value", "sent"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_value_with_one_form_in_json_is_sent_in_it(value: Any, sent: Any) -> None:
    for whole, expected in ((value, sent), ({"in": [Box(value)]}, {"in": [{"value": sent}]})):
        body = CONVERTER.dumps(whole)
        assert repr(read(body)) == repr(expected)  # distinguishes 1, 1.0 and True, and 0.0 and -0.0
        assert json.loads(body) == expected


class BadKey:
    def __repr__(self) -> str:
        raise RuntimeError


REJECTED: list[tuple[Any, type[Exception], str, str]] = [
    (float("nan"), ValueError, "", "nan"),
    (Real("-inf"), ValueError, "", "-inf"),
    ("\ud800", ValueError, "", "surrogate"),
    ({"\ud800": 1}, ValueError, "", "'\\ud800'"),
    ({1: 2}, TypeError, "", "key 1"),
    ({None: 2}, TypeError, "", "key None"),
    ({(1, 2): 2}, TypeError, "", "key"),
    ({Level.LOW: 2}, TypeError, "", "key"),
    ({BadKey(): 1}, TypeError, "", "BadKey"),
    ({10**500: 1}, TypeError, "", "..."),
    ({Colour.RED: 1}, TypeError, "", "is not text"),
    ({1, 2}, TypeError, "", "set"),
    (b"bytes", TypeError, "", "bytes"),
    (Decimal("NaN"), ValueError, "", "Decimal NaN"),
    (Fraction(1, 2), TypeError, "", "register_unstructure_hook(Fraction"),
    (timedelta(1), TypeError, "", "a number of seconds"),
    (1j, TypeError, "", "complex"),
    (Line, TypeError, "", "the class Line"),
    ((number for number in ()), TypeError, "", "generator"),
    (range(3), TypeError, "", "range"),
    (SimpleNamespace(), TypeError, "", "SimpleNamespace"),
    (Path(os.fsdecode(b"\xff")), ValueError, "", "surrogate"),
    (10**4300, ValueError, "", "4,300"),
    (Whole(-(10**5000)), ValueError, "", "4,300"),
    (Line("n", {1}), TypeError, "._weight", "set"),  # type: ignore[arg-type]
    (Order("n", {"at": Decimal("nan")}), ValueError, ".when.at", "Decimal"),
    (Half(), ValueError, "", "the field missing of this Half"),
    (Execution("e", input_data=[1j]), TypeError, ".input_data[0]", "complex"),
    (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=1))), ValueError, "", "RFC 3339"),
    (np.float64("nan"), ValueError, "", "nan"),
    (np.complex128(1j), TypeError, "", "complex128"),
    (np.array([1]), TypeError, "", "tolist"),
    (pd.NaT, ValueError, "", "send None"),
    (pd.DataFrame({"a": [1]}), TypeError, "", "DataFrame"),
    (Loose(number=math.nan), ValueError, ".number", "nan"),
    (Loose(number=1, when=object()), ValueError, "", "the hook of Loose failed"),
    (Tagged("a", object()), TypeError, ".inner", "object has no form"),
]


@pytest.mark.parametrize(("value", "kind", "place", "words"), REJECTED, ids=range(len(REJECTED)))
def test_a_value_that_json_would_change_or_lose_is_rejected_with_its_place(
    value: Any, kind: type[Exception], place: str, words: str
) -> None:
    for whole, prefix in (
        (value, ""),
        ({"a": [1, 2, 3, value]}, ".a[3]"),
        ([{"no name": (value,)}], "[0]['no name'][0]"),
        ({"ok": {"é": Box(value)}}, ".ok.é.value"),
    ):
        with pytest.raises(kind) as caught:
            CONVERTER.dumps(whole)
        assert type(caught.value) is kind
        assert str(caught.value).startswith(f"the value{prefix}{place}: ")
        assert words in str(caught.value)


def test_data_that_contains_itself_or_is_too_deep_is_a_value_error() -> None:
    cyclic: list[Any] = [1]
    cyclic.append({"me": Box((cyclic,))})
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    for value in (cyclic, {"a": cyclic}, deep, (deep,)):
        with pytest.raises(ValueError, match=r"^the value: it is nested too deeply"):
            CONVERTER.dumps(value)
    while isinstance(deep, list):  # freed level by level
        deep = deep[0]


@given(value=JSON)
def test_any_json_arrives_as_it_was_given(value: Any) -> None:
    assert repr(read(CONVERTER.dumps(value))) == repr(value)

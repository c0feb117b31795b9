"""Other libraries' classes: sent as these write them, or refused with their place; none is imported for it."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest

from omium_async import make_converter
from omium_async._data.codec import decode_json, encode
from omium_async._data.plain import plain
from omium_async._data.reading import check_type, read_typed

from .typed import Line, Model, Record

CONVERTER = make_converter()


class Rows(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Validated:
    count: int


class Loose(pydantic.BaseModel):
    number: float
    when: Any = None


class Tagged(msgspec.Struct, tag=True, rename="camel"):
    first_name: str
    inner: Any = None


SENT: list[tuple[Any, Any]] = [
    (Model(lines=1), {"lines": 1, "when": None, "theAmount": "1.50"}),
    (Rows([1, 2]), [1, 2]),
    (Validated(3), {"count": 3}),
    (Record("r", datetime(2025, 1, 1).date(), [Line("a")]),  # noqa: DTZ001
     {"name": "r", "at": "2025-01-01", "lines": [{"text": "a", "_weight": 1.0, "seen": 0}]}),
    (Tagged("a"), {"type": "Tagged", "firstName": "a", "inner": None}),
    (np.int64(-5), -5),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float64(0.1), 0.1),
    (np.float32(0.5), 0.5),
    (np.float32(0.1), 0.10000000149011612),
    (np.bool_(True), True),
    (np.str_("text"), "text"),
    (pd.Timestamp("2025-01-01T12:00:00.123456789Z"), "2025-01-01T12:00:00.123456789Z"),
    (pd.Timestamp("2025-01-01"), "2025-01-01T00:00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "sent"), SENT, ids=range(len(SENT)))
def test_is_sent_as_its_library_writes_it(value: Any, sent: Any) -> None:
    for whole, expected in ((value, sent), ({"a": [value]}, {"a": [sent]})):
        assert repr(decode_json(encode(plain(whole, "input_data")))) == repr(expected)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (np.float64("nan"), ValueError, "nan"),
    (np.float32("inf"), ValueError, "inf"),
    (np.complex128(1j), TypeError, "complex128"),
    (np.datetime64("2025-01-01"), TypeError, "datetime64"),
    (np.longdouble(1), TypeError, "longdouble"),
    (np.array([1]), TypeError, "ndarray has no form of its own in JSON; make it a list with tolist"),
    (np.bytes_(b"x"), TypeError, "bytes_"),
    (pd.NaT, ValueError, "NaT has no form in JSON; send None"),
    (pd.NA, TypeError, "NAType"),
    (pd.DataFrame({"a": [1]}), TypeError, "DataFrame"),
    (pd.Series([1]), TypeError, "Series"),
    (Loose(number=math.nan), ValueError, ".number: nan"),
    (Loose(number=1, when=object()), ValueError, "pydantic cannot write this Loose"),
    (Tagged("a", math.inf), ValueError, ".inner: inf"),
    (Tagged("a", object()), TypeError, "object has no form"),
    (Model, TypeError, "the class Model itself"),
]


@pytest.mark.parametrize(("value", "kind", "words"), REFUSED, ids=range(len(REFUSED)))
def test_is_refused_with_its_place(value: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        plain({"a": [1, value]}, "input_data")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("input_data.a[1]")
    assert words in str(caught.value)


def test_a_class_that_python_has_one_of_that_name_of_is_told_from_it() -> None:
    class bool:  # noqa: N801
        pass

    with pytest.raises(TypeError, match=rf"x: {__name__.partition('.')[0]}\.bool has no form"):
        plain(bool(), "x")


@pytest.mark.parametrize(
    ("sent", "kind", "expected"),
    [
        ({"lines": 1, "theAmount": "0.10"}, Model, Model(lines=1, amount=Decimal("0.10"))),
        ([1, 2], Rows, Rows([1, 2])),
        ({"count": 3}, Validated, Validated(3)),
        ({"type": "Tagged", "firstName": "a", "inner": [1]}, Tagged, Tagged("a", [1])),
        (5, np.int64, np.int64(5)),
        (2.5, np.float64, np.float64(2.5)),
        (2.5, np.float32, np.float32(2.5)),
        (True, np.bool_, np.bool_(True)),
    ],
)
def test_is_read_by_its_library(sent: Any, kind: Any, expected: Any) -> None:
    check_type(CONVERTER, list[kind])
    found = read_typed(CONVERTER, [sent], list[kind], "x")[0]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        ({"lines": [1]}, Model, r"x\[0\]\.lines"),
        ({"number": 1, "when": 2}, list[Loose], r"x\[0\]"),
        ({"type": "Other"}, Tagged, r"x\[0\]\.type"),
        (300, np.int8, "int8"),
        (0.1, np.float32, "float32"),
        (1.5, np.int64, "whole number"),
        (1, np.bool_, "boolean"),
    ],
)
def test_what_does_not_fit_says_where(sent: Any, kind: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_typed(CONVERTER, [sent], list[kind], "x")
    import re

    assert re.search(words, f"{caught.value.path}: {caught.value.message}")  # type: ignore[attr-defined]


def test_none_of_these_libraries_is_imported() -> None:
    script = (
        "import sys, decimal, omium_async as o; c = o.make_converter();"
        "c.dumps([decimal.Decimal(1), {}, 'x']); c.structure([1], list[int | None]);"
        "sys.exit(any(name in sys.modules for name in ('pydantic', 'numpy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""Users' types survive a round trip, and are read strictly; errors name the place."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import sys
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import attrs
import cattrs
import msgspec
import numpy as np
import pydantic
import pytest

from omium_async import AsyncOmium, Execution, OutputError, make_converter

from .typed import (
    Box,
    Cat,
    Circle,
    Colour,
    Crate,
    Dog,
    Flags,
    Frozen,
    Labelled,
    Level,
    Line,
    Model,
    Movie,
    Name,
    Order,
    Pair,
    Point,
    Record,
    Rows,
    Shelf,
    Size,
    Slotted,
    Square,
    Tagged,
    Tree,
    Word,
)

CONVERTER = make_converter()
OMIUM = AsyncOmium("omium_key_of_a_test", base_url="http://127.0.0.1:9", converter=CONVERTER)
NAIVE = datetime(2025, 1, 1, 12)  # noqa: DTZ001
LINE = Line("t", 2.5)
LINE.seen = 4  # not the default


def output(value: Any, kind: Any, omium: AsyncOmium = OMIUM) -> Any:
    """Return the output of an execution as a type, as typed workflows do."""
    return omium.workflow("w", None, kind).output(Execution("e", output_data=value))


@pydantic.dataclasses.dataclass
class Validated:
    count: int


class Named(pydantic.BaseModel):
    kind: Literal["cat", "dog"]
    name: str


class Tailed(pydantic.BaseModel):
    kind: Literal["tail"]


class Other:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


CONVERTER.register_structure_hook(
    Other, lambda value, _: Other(CONVERTER.get_structure_hook(Box[int])(value, Box[int]))
)


class Numbers(msgspec.Struct):
    numbers: list[np.int8] = []
    rows: list[Other] = []


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Unreadable(msgspec.Struct):
    inner: Mixed


class Unions(pydantic.BaseModel):
    either: int | list[int] = 0
    pet: typing.Annotated[Named | Tailed, pydantic.Field(discriminator="kind")] | None = None
    counts: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")


BOTH_WAYS: list[tuple[Any, Any]] = [
    (LINE, Line),
    (Frozen(date(2025, 1, 1)), Frozen),
    (Order("n", [LINE, Line("b")], Level.HIGH), Order),
    (Slotted([1, {"a": None}], NAIVE), Slotted),
    (Tree("a", [Tree("b", [Tree("c")])]), Tree),
    (Point(1, 2.5), Point),
    ({"title": "x"}, Movie),
    ({"title": "x", "year": 3}, Movie),
    (Box(3), Box[int]),
    (Box([Line("a")]), Box[list[Line]]),
    (Crate([1], Crate([2])), Crate[int]),
    (Labelled([LINE], None, {"a": LINE, "b": 2}), Labelled[Line, int]),
    (Pair(LINE, [Line("a")]), Pair[Line]),
    ({"rows": [Line("a")], "by_name": {"b": None, "c": LINE}}, Shelf[Line]),
    (Cat("cat", "x"), Cat | Dog),
    (Dog("dog", "x"), Cat | Dog),
    (Square(3, Colour.PAIR), Circle | Square | None),
    (None, Circle | Square | None),
    (Colour.PAIR, Colour),
    (Level.HIGH, Level),
    (Word.NO, Word),
    (Flags.A | Flags.B, Flags),
    (1, Literal["a", 1]),
    (Word.YES, Literal[Word.YES]),
    (2**70, int),
    (None, type(None)),
    ("x", Name),
    (3, Size),
    (Decimal("1E+400"), Decimal),
    (uuid.UUID(int=7), uuid.UUID),
    (Path("/a/b"), Path),
    (PurePosixPath("a"), PurePosixPath),
    (date(2025, 1, 1), date),
    (time(12, 0, tzinfo=UTC), time),
    (NAIVE, datetime),
    ((1, "a"), tuple[int, str]),
    ((), tuple[()]),
    ((1, 2, 3), tuple[int, ...]),
    ([1, 2], Sequence[int]),
    ({"a": [Line("q")]}, Mapping[str, list[Line]]),
    ("5", int | str),
    (5, int | float),
    (date(2025, 1, 1), Decimal | date | datetime | time),
    (time(1, 2), Decimal | date | datetime | time),
    ([1], list[int] | int),
    ({"yes": 1}, dict[Word, int]),
    (collections.OrderedDict(a=1), collections.OrderedDict[str, int]),
    ({"any": [None, {"x": 1.5}]}, Any),
    ({"a": (Point(1, 2.5), [Cat("cat", "x"), None])}, dict[str, tuple[Point, list[Cat | Dog | None]]]),
    ([{"title": "x", "year": 3}, [Box(Line("a"))], 4, "text"], list[Movie | list[Box[Line]] | int | str]),
    (Box({"when": {"a b": (NAIVE, Decimal(2))}}), Box[dict[str, dict[Any, tuple[datetime | Decimal, ...]]]]),
    (Box(Record("r", date(2025, 2, 2), [LINE])), Box[Record | None]),
    (5, object),
    (Model(lines=3, amount=Decimal("0.10")), Model),
    (Rows([1, 2]), Rows),
    (Validated(3), Validated),
    (Record("r", date(2025, 2, 2), [Line("z")]), Record),
    (Tagged("a", [1]), Tagged),
    (np.int64(5), np.int64),
    (np.float32(2.5), np.float32),
    (np.bool_(True), np.bool_),
]


@pytest.mark.parametrize(("value", "kind"), BOTH_WAYS, ids=range(len(BOTH_WAYS)))
def test_a_value_comes_back_equal_and_of_its_type(value: Any, kind: Any) -> None:
    sent = CONVERTER.loads(CONVERTER.dumps([value]), Any)  # type: ignore[arg-type]
    (found,) = output(sent, list[kind])  # type: ignore[valid-type]
    assert found == value
    assert type(found) is type(value)


def test_containers_without_a_form_of_their_own_are_read_from_arrays() -> None:
    assert output([1, 2], set[int]) == {1, 2}
    assert output([1, 2], frozenset[int]) == {1, 2}
    assert output([1, 2], typing.Deque[int]) == collections.deque([1, 2])  # noqa: UP006


def test_a_whole_number_may_be_read_as_a_float_and_unknown_keys_are_ignored() -> None:
    assert repr(output(3, float)) == "3.0"
    assert output({"radius": 3, "new": 1}, Circle) == Circle(3)
    assert output({"title": "t", "new": 1}, Movie) == {"title": "t"}
    assert output({"side": 1, "new": 1}, Circle | Square) == Square(1)


UNFIT: list[tuple[Any, Any, str, str]] = [
    ("5", int, "", "expected a whole number, got text"),
    (5.0, int, "", "expected a whole number, got a number"),
    (True, int, "", "expected a whole number, got a boolean"),
    (5, str, "", "expected text, got a whole number"),
    (None, str, "", "expected text, got null"),
    (1, bool, "", "expected a boolean"),
    (0, type(None), "", "expected null"),
    (2**53 + 1, float, "", "no float"),
    (2**53 + 1, np.float64, "", "no float"),
    ({"a": 1}, list[int], "", "expected an array, got an object"),
    ("abc", list[str], "", "expected an array, got text"),
    ([1], dict, "", "expected an object, got an array"),
    ([1, 2], tuple[int, str], "[1]", "expected text"),
    ([1], tuple[int, str], "", "expected an array of 2"),
    ([1], Point, "", "expected an array of 2"),
    ("x", int | float | None, "", "expected a whole number or a number or null, got text"),
    ("20250101", date, "", "expected a date, got other text"),
    ("2025-01-01", datetime, "", "expected a date and time"),
    ("NaN", Decimal, "", "expected a decimal number"),
    (1.5, Decimal, "", "expected a decimal number"),
    ("7", uuid.UUID, "", "expected a UUID"),
    ("blue", Colour, "", 'expected one of "red", ["a",1], got other text'),
    (True, Level, "", "got a boolean"),
    (1.0, Literal[1, "b"], "", 'expected one of 1, "b", got a number'),
    ({"name": "n"}, Order, ".lines", "missing"),
    ({"name": "n", "lines": [{"text": "a"}, {"text": 5}]}, Order, ".lines[1].text", "expected text"),
    ({"text": "a", "seen": "x"}, Line, ".seen", "expected a whole number"),
    ({"name": "a", "children": [{"name": "b", "children": [{"name": 3}]}]}, Tree, ".children[0].children[0].name", ""),
    ({"kind": "cow", "name": "x"}, Cat | Dog, "", "one of Cat, Dog"),
    ({"title": 4}, Movie, ".title", "expected text"),
    ({}, Movie, ".title", "missing"),
    ({"value": "x"}, Box[int], ".value", "expected a whole number"),
    ({"inner": {"items": ["x"]}}, Crate[int], ".inner.items[0]", "expected a whole number"),
    ({"rows": [1, "x"]}, Shelf[int], ".rows[1]", "expected a whole number"),
    ({"a": {"b c": ["x"]}}, dict[str, dict[str, list[int]]], ".a['b c'][0]", "expected a whole number"),
    ([{"id": "e"}, {"id": 4}], list[Execution], "[1].id", "expected text"),
    ({"lines": "x"}, Model, ".lines", "valid integer"),
    ({"lines": [1]}, Model, ".lines", ""),
    ({"either": "x"}, Unions, ".either", "valid integer"),
    ({"pet": {"kind": "dog"}}, Unions, ".pet.name", "required"),
    ({"pet": {"kind": "dog", "name": 5}}, Unions, ".pet.name", "valid string"),
    ({"counts": {"a b": "x"}}, Unions, ".counts['a b']", "valid integer"),
    ({"pair": [1]}, Unions, ".pair[1]", "required"),
    ({"name": "r", "at": "2025-01-01", "lines": [{"text": 4}]}, Record, ".lines[0].text", "Expected `str`"),
    ({"type": "Other"}, Tagged, ".type", ""),
    ({"numbers": [1, 300]}, Numbers, ".numbers[1]", "int8"),
    ({"rows": [{"value": 1}, {"value": "x"}]}, Numbers, ".rows[1].value", "expected a whole number"),
    (300, np.int8, "", "int8"),
    (0.1, np.float32, "", "float32"),
]


@pytest.mark.parametrize(("value", "kind", "place", "words"), UNFIT, ids=range(len(UNFIT)))
def test_a_value_that_does_not_fit_is_an_output_error_with_its_place(
    value: Any, kind: Any, place: str, words: str
) -> None:
    with pytest.raises(OutputError) as caught:
        output(value, kind)
    assert caught.value.path == f"output_data{place}"
    assert f"output_data{place}: " in caught.value.message
    assert words in caught.value.message
    assert caught.value.execution.output_data == value
    with pytest.raises((cattrs.BaseValidationError, ValueError, msgspec.ValidationError)):
        CONVERTER.structure(value, kind)


class Opaque:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


@attrs.define
class Holder:
    inner: list[Opaque | None]


@attrs.define
class Lookalike:
    kind: str
    name: str


@dataclasses.dataclass
class Lost:
    inner: Nowhere  # type: ignore[name-defined] # noqa: F821


@attrs.define
class Bytes:
    inner: bytes


UNREADABLE: list[tuple[Any, str]] = [
    (Opaque, r"there is no hook for Opaque; register a hook: .*register_structure_hook\(Opaque, \.\.\.\)"),
    (Holder, "no hook for Opaque in Holder"),
    (dict[str, tuple[Opaque, ...] | None], "no hook for Opaque in dict"),
    (Lost, "an annotation of Lost does not resolve: name 'Nowhere' is not defined"),
    (int | Opaque, "JSON does not distinguish .*Opaque"),
    (str | date, "str accepts any text"),
    (list[int] | list[str], "2 of them are an array in JSON"),
    (Circle | Movie, "2 of them are an object in JSON"),
    (Cat | Lookalike, "JSON does not distinguish .*Lookalike"),
    (Any | int, "JSON does not distinguish"),
    (Bytes, "no hook for bytes in Bytes"),
    (Unreadable, "Unreadable cannot be structured: Enums must contain"),
    (complex, "no hook for complex"),
    (TypeVar("T"), "no hook"),
    (Callable[[int], int], "no hook"),
    (5, "no hook for 5"),
]


@pytest.mark.parametrize(("kind", "words"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_type_that_cannot_be_structured_is_rejected_at_workflow(kind: Any, words: str) -> None:
    with pytest.raises(TypeError, match=f"^output_type: .*{words}"):
        OMIUM.workflow("w", None, kind)


def test_a_hook_makes_a_type_readable() -> None:
    converter = make_converter()
    converter.register_structure_hook(Opaque, lambda value, _: Opaque(value))
    converter.register_structure_hook(int | Opaque, lambda value, _: value if value == 1 else Opaque(value))
    for each in (converter, converter.copy()):
        omium = AsyncOmium("omium_key_of_a_test", converter=each)
        assert output({"inner": [5, None]}, Holder, omium).inner[0].inner == 5
        assert output(1, int | Opaque, omium) == 1
        assert output([2], list[int | Opaque], omium)[0].inner == 2


@pytest.mark.parametrize(
    ("value", "kind", "error", "words"),
    [
        (5, str, TypeError, "input_data: expected str, got int"),
        ({"name": "n", "lines": []}, Order, TypeError, "input_data: expected Order, got dict"),
        (LINE, Order, TypeError, "input_data: expected Order, got Line"),
        (True, int, TypeError, "input_data: expected int, got bool"),
        ("x", list[int], TypeError, "input_data: expected an array, got text"),
        ([LINE], list[Order], TypeError, r"input_data\[0\]\.name: is missing"),
        (Circle(1), Cat | Dog, TypeError, "input_data: expected an object of one of Cat, Dog"),
        ([float("nan")], list[float], ValueError, r"input_data\[0\]: nan"),
    ],
)
def test_an_input_of_another_type_is_rejected_before_it_is_sent(value: Any, kind: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=f"^{words}"):
        asyncio.run(OMIUM.workflow("w", kind, None).start(value))


def test_none_of_the_supported_libraries_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pydantic", "numpy", "pandas"):
        monkeypatch.setitem(sys.modules, library, None)  # importing it fails
    converter = make_converter()
    assert converter.dumps([Decimal(1), {}, "x", LINE]).startswith(b'["1",{},"x",{')
    assert converter.structure([1, None], list[int | None]) == [1, None]
    with pytest.raises(TypeError, match="has no form"):
        converter.dumps(np.int64(1))


def test_a_struct_is_sent_as_msgspec_sends_it() -> None:
    class Named(msgspec.Struct, omit_defaults=True):
        first: Any = 1
        second: float = 0.0

    class Listed(msgspec.Struct, array_like=True, omit_defaults=True):
        first: int | msgspec.UnsetType = 0
        second: int = 0

    for value in (Named(), Named(True, -0.0), Listed(second=5)):
        assert repr(CONVERTER.unstructure(value)) == repr(msgspec.to_builtins(value))
    with pytest.raises(TypeError):
        CONVERTER.unstructure(Listed(msgspec.UNSET))

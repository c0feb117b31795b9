"""Users' types out of the box: both ways, strictly, with the place of what does not fit."""

from __future__ import annotations

import collections
import dataclasses
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import attrs
import cattrs
import pytest

from omium_async import Execution, make_converter
from omium_async._data.codec import decode_json, encode
from omium_async._data.plain import plain
from omium_async._data.reading import check_type, matches, read_typed
from omium_async._data.validation import ValidationError

from .typed import (
    Box,
    Cat,
    Circle,
    Colour,
    Dog,
    Flags,
    Frozen,
    Level,
    Line,
    Model,
    Movie,
    Name,
    Order,
    Point,
    Record,
    Size,
    Slotted,
    Square,
    Tree,
    Word,
)

CONVERTER = make_converter()
NAIVE = datetime(2025, 1, 1, 12)  # noqa: DTZ001
LINE = Line("t", 2.5)
LINE.seen = 4  # not what its class would start with

BOTH_WAYS: list[tuple[Any, Any]] = [
    (LINE, Line),
    (Frozen(date(2025, 1, 1)), Frozen),
    (Order("n", [LINE, Line("b")], Level.HIGH), Order),
    (Slotted([1, {"a": None}], NAIVE), Slotted),
    (Slotted(2, datetime(2025, 1, 1, tzinfo=UTC)), Slotted),
    (Tree("a", [Tree("b", [Tree("c")])]), Tree),
    (Point(1, 2.5), Point),
    ({"title": "x"}, Movie),
    ({"title": "x", "year": 3}, Movie),
    (Box(3), Box[int]),
    (Box([Line("a")]), Box[list[Line]]),
    (Model(lines=3, amount=Decimal("0.10")), Model),
    (Record("r", date(2025, 2, 2), [Line("z")]), Record),
    (Cat("cat", "x"), Cat | Dog),
    (Dog("dog", "x"), Cat | Dog),
    (Square(3, Colour.PAIR), Circle | Square | None),
    (None, Circle | Square | None),
    (Colour.PAIR, Colour),
    (Level.HIGH, Level),
    (Word.NO, Word),
    (Flags.A | Flags.B, Flags),
    ("a", Literal["a", 1]),
    (1, Literal["a", 1]),
    (Word.YES, Literal[Word.YES]),
    (2**70, int),
    (1.5, float),
    (True, bool),
    (None, type(None)),
    ("x", Name),
    (3, Size),
    (Decimal("1.50"), Decimal),
    (Decimal("1E+400"), Decimal),
    (uuid.UUID(int=7), uuid.UUID),
    (Path("/a/b"), Path),
    (PurePosixPath("a"), PurePosixPath),
    (date(2025, 1, 1), date),
    (time(12, 0, 5), time),
    (time(12, 0, tzinfo=UTC), time),
    (NAIVE, datetime),
    ((1, "a"), tuple[int, str]),
    ((), tuple[()]),
    ((1, 2, 3), tuple[int, ...]),
    ([1, 2], Sequence[int]),
    ({"a": 1}, Mapping[str, int]),
    ({"a": [Line("q")]}, dict[str, list[Line]]),
    ([1], list),
    (5, int | str),
    ("5", int | str),
    (None, int | None),
    (5, int | float),
    (5.0, int | float),
    (Decimal(5), Decimal | date),
    (date(2025, 1, 1), Decimal | date | datetime | time),
    (NAIVE, Decimal | date | datetime | time),
    (time(1, 2), Decimal | date | datetime | time),
    ([1], list[int] | int),
    ({"yes": 1}, dict[Word, int]),
    (collections.OrderedDict(a=1), collections.OrderedDict[str, int]),
    ({"any": [None, {"x": 1.5}]}, Any),
    (5, object),
]


@pytest.mark.parametrize(("value", "kind"), BOTH_WAYS, ids=range(len(BOTH_WAYS)))
def test_both_ways(value: Any, kind: Any) -> None:
    check_type(CONVERTER, kind)
    matches(CONVERTER, value, kind, "input_data")
    sent = decode_json(encode(plain(value, "input_data", CONVERTER)))
    found = read_typed(CONVERTER, sent, kind, "output_data")
    assert found == value
    assert type(found) is type(value)


@attrs.define
class Plate:
    radius: int
    side: int = attrs.field(init=False, default=0)


@pytest.mark.parametrize("value", [Plate(1), Square(1)])
def test_what_has_exactly_the_fields_of_one_class_is_of_that_class(value: Any) -> None:
    sent = decode_json(CONVERTER.dumps(value))
    assert read_typed(CONVERTER, sent, Plate | Square, "x") == value


def test_sets_and_deques_are_read_from_arrays() -> None:
    for kind, found in ((set[int], {1, 2}), (frozenset[int], frozenset({1, 2})), (typing.Deque[int], [1, 2])):  # noqa: UP006
        got = read_typed(CONVERTER, [1, 2], kind, "x")
        assert (list(got) if isinstance(got, collections.deque) else got) == found


def test_a_whole_number_may_be_a_float_and_unknown_keys_are_passed_over() -> None:
    assert repr(read_typed(CONVERTER, 3, float, "x")) == "3.0"
    assert read_typed(CONVERTER, {"radius": 3, "new": 1}, Circle, "x") == Circle(3)
    assert read_typed(CONVERTER, {"title": "t", "new": 1}, Movie, "x") == {"title": "t"}
    assert read_typed(CONVERTER, {"side": 1, "new": 1}, Circle | Square, "x") == Square(1)


UNFIT: list[tuple[Any, Any, str]] = [
    ("5", int, "output_data: expected a whole number, got text"),
    (5.0, int, "output_data: expected a whole number, got a number"),
    (True, int, "output_data: expected a whole number, got a boolean"),
    (5, str, "output_data: expected text, got a whole number"),
    (None, str, "output_data: expected text, got null"),
    (1, bool, "output_data: expected a boolean, got a whole number"),
    (0, type(None), "output_data: expected null, got a whole number"),
    (2**1024, float, "output_data: expected a number, got a whole number that no float holds"),
    (2**53 + 1, float, "output_data: expected a number, got a whole number that no float holds"),
    ({"a": 1}, list[int], "output_data: expected an array, got an object"),
    ("abc", list[str], "output_data: expected an array, got text"),
    ([1], dict, "output_data: expected an object, got an array"),
    ([1, 2], tuple[int, str], "output_data[1]: expected text, got a whole number"),
    ([1], tuple[int, str], "output_data: expected an array of 2, got one of 1"),
    ([1], Point, "output_data: expected an array of 2, got one of 1"),
    ("x", int | float | None, "output_data: expected a whole number or a number or null, got text"),
    ("20250101", date, "output_data: expected a date, got other text"),
    ("2025-01-01", datetime, "output_data: expected a date and time, got other text"),
    ("x", Decimal | date, "output_data: expected a decimal number as text, got other text"),
    ("NaN", Decimal, "output_data: expected a decimal number as text, got other text"),
    (1.5, Decimal, "output_data: expected a decimal number as text, got a number"),
    ("7", uuid.UUID, "output_data: expected a UUID, got other text"),
    ("blue", Colour, 'output_data: expected one of "red", ["a",1], got other text'),
    (3, Level, "output_data: expected one of 1, 2, got a whole number"),
    (True, Level, "output_data: expected a whole number, got a boolean"),
    (1.0, Literal[1, "b"], 'output_data: expected one of 1, "b", got a number'),
    ({"name": "n"}, Order, "output_data.lines: is missing"),
    ({"name": "n", "lines": [{"text": "a"}, {"text": 5}]}, Order, "output_data.lines[1].text: expected text, got a"),
    ({"text": "a", "seen": "x"}, Line, "output_data.seen: expected a whole number, got text"),
    (
        {"name": "a", "children": [{"name": "b", "children": [{"name": 3}]}]},
        Tree,
        "output_data.children[0].children[0]",
    ),
    ({"lines": "x"}, Model, "output_data.lines: Input should be a valid integer"),
    ({"name": "r", "at": "2025-01-01", "lines": [{"text": 4}]}, Record, "output_data.lines[0].text: Expected `str`"),
    ({"kind": "cow", "name": "x"}, Cat | Dog, "output_data: expected an object of one of Cat, Dog"),
    ({"size": 3}, Circle | Square, "output_data: expected an object of one of Circle, Square"),
    ({"title": 4}, Movie, "output_data.title: expected text, got a whole number"),
    ({}, Movie, "output_data.title: is missing"),
    ({"value": "x"}, Box[int], "output_data.value: expected a whole number, got text"),
    ({"a": {"b c": ["x"]}}, dict[str, dict[str, list[int]]], "output_data.a['b c'][0]: expected a whole number"),
    ({"id": 4}, Execution, "output_data.id: expected text, got a whole number"),
    ([{"id": "e"}, {"id": 4}], list[Execution], "output_data[1].id: expected text, got a whole number"),
]


@pytest.mark.parametrize(("value", "kind", "words"), UNFIT, ids=range(len(UNFIT)))
def test_what_does_not_fit_says_where_and_what(value: Any, kind: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_typed(CONVERTER, value, kind, "output_data")
    assert f"{caught.value.path}: {caught.value.message}".startswith(words)


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


@attrs.define
class Lost:
    inner: Nowhere  # type: ignore[name-defined] # noqa: F821


@dataclasses.dataclass
class AlsoLost:
    inner: Nowhere  # type: ignore[name-defined] # noqa: F821


@attrs.define
class Bytes:
    inner: bytes


UNREADABLE: list[tuple[Any, str]] = [
    (Opaque, r"nothing is known of how to read Opaque; register a hook: .*register_structure_hook\(Opaque, \.\.\.\)"),
    (Holder, "nothing is known of how to read Opaque, which Holder holds"),
    (list[Opaque], "nothing is known of how to read Opaque, which list"),
    (Opaque | None, "nothing is known of how to read Opaque"),
    (dict[str, tuple[Opaque, ...]], "nothing is known of how to read Opaque"),
    (Lost, "an annotation of Lost does not resolve: name 'Nowhere' is not defined"),
    (AlsoLost, "an annotation of AlsoLost does not resolve: name 'Nowhere' is not defined"),
    (int | Opaque, "cannot be told apart: what .*Opaque.* is in JSON is not known"),
    (str | date, "cannot be told apart: str takes any text"),
    (Word | Literal["yes"], "cannot be told apart: 'yes' is a value of several of them"),
    (list[int] | list[str], "cannot be told apart: 2 of them are an array in JSON"),
    (Circle | Movie, "cannot be told apart: 2 of them are an object in JSON"),
    (Cat | Lookalike, "cannot be told apart: .*Lookalike"),
    (Any | int, "cannot be told apart"),
    (Bytes, "nothing is known of how to read bytes, which Bytes holds"),
    (complex, "nothing is known of how to read complex"),
    (TypeVar("T"), "nothing is known of how to read"),
    (Callable[[int], int], "nothing is known of how to read"),
    ("Order", "nothing is known of how to read Order"),
    (5, "nothing is known of how to read 5"),
]


@pytest.mark.parametrize(("kind", "words"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_type_that_cannot_be_read_is_told_at_once(kind: Any, words: str) -> None:
    with pytest.raises(TypeError, match=f"^output_type: .*{words}"):
        check_type(CONVERTER, kind, "output_type")


def test_a_hook_makes_a_type_readable() -> None:
    converter = make_converter()
    converter.register_structure_hook(Opaque, lambda value, _: Opaque(value))
    converter.register_structure_hook(int | Opaque, lambda value, _: value if value == 1 else Opaque(value))
    for kind in (Opaque, Holder, list[Opaque], Opaque | None, int | Opaque):
        check_type(converter, kind)
    assert read_typed(converter, {"inner": [5, None]}, Holder, "x").inner[0].inner == 5
    assert read_typed(converter, 1, int | Opaque, "x") == 1
    assert read_typed(converter.copy(), 2, int | Opaque, "x").inner == 2


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (5, str, "expected a str, got an int"),
        ({"name": "n", "lines": []}, Order, "expected an Order, got a dict"),
        (LINE, Order, "expected an Order, got a Line"),
        (None, Order, "expected an Order, got None"),
        (True, int, "expected an int, got a bool"),
        (True, float, "expected a float, got a bool"),
        ("x", list[int], "expected an array, got text"),
        ([LINE], list[Order], r"input_data\[0\]\.name: is missing"),
        (Circle(1), Cat | Dog, "expected an object of one of Cat, Dog"),
    ],
)
def test_an_input_of_another_type(value: Any, kind: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words) as caught:
        matches(CONVERTER, value, kind, "input_data")
    assert str(caught.value).startswith("input_data")


def test_an_input_that_is_close_enough() -> None:
    matches(CONVERTER, 5, float, "input_data")
    matches(CONVERTER, collections.OrderedDict(), dict, "input_data")
    matches(CONVERTER, Order("a", []), Order | None, "input_data")
    matches(CONVERTER, True, object, "input_data")
    with pytest.raises(ValueError, match=r"input_data\[0\]: nan"):
        matches(CONVERTER, [float("nan")], list[float], "input_data")


@pytest.mark.parametrize(
    ("value", "cls", "error"),
    [
        ({"title": 3}, Movie, cattrs.ClassValidationError),
        ({}, Movie, cattrs.ClassValidationError),
        ({"a": "x"}, dict[str, int], cattrs.BaseValidationError),
        (["x"], list[int], cattrs.IterableValidationError),
        (["x", 1], tuple[int, str], cattrs.IterableValidationError),
        ("5", int, ValueError),
        ("x", Level, ValueError),
        ("b", Literal["a"], cattrs.BaseValidationError),
    ],
)
def test_what_does_not_fit_is_an_error_of_cattrs(value, cls, error):
    converter = make_converter()
    with pytest.raises(error) as raised:
        converter.structure(value, cls)
    assert not isinstance(raised.value, ValidationError)
    with pytest.raises(ValidationError, match="expected") if value else pytest.raises(ValidationError, match="missing"):
        converter.decode(encode(value), cls)

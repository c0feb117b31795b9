"""Types made at random, each with values of it: classes, unions, optionals and containers, nested in each other."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union

import attrs
from hypothesis import strategies as st

from .typed import Colour, Flags, Frozen, Level, Line, Model, Point, Record, Word

#: A type, and a strategy of its values.
Typed = tuple[Any, st.SearchStrategy[Any]]

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
WHOLE = st.integers() | st.sampled_from([2**63, -(2**64), 10**30])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def _unfolded(moment: Any) -> Any:
    """Text has no fold, and without a zone it means nothing."""
    return moment.replace(fold=0)


MOMENTS = (st.datetimes() | st.datetimes(timezones=st.just(UTC))).map(_unfolded)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
PATHS = st.lists(st.sampled_from(["a", "é", "b c"]), max_size=3).map(lambda parts: PurePosixPath(*parts))

LEAVES: list[Typed] = [
    (str, TEXT),
    (int, WHOLE),
    (float, NUMBERS),
    (bool, st.booleans()),
    (Any, st.none() | WHOLE | TEXT | st.lists(st.booleans(), max_size=2)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Word, st.sampled_from(Word)),
    (Flags, st.sampled_from([Flags.A, Flags.B, Flags.A | Flags.B])),
    (Literal["x", 1, True], st.sampled_from(["x", 1, True])),
    (PurePosixPath, PATHS),
]
TEXTS: list[Typed] = [  # no text of one is one of another
    (datetime, MOMENTS),
    (date, st.dates()),
    (time, st.times().map(_unfolded)),
    (uuid.UUID, st.uuids()),
    (Decimal, DECIMALS),
]


def _line(text: str, weight: float, seen: int) -> Line:
    found = Line(text, weight)
    found.seen = seen
    return found


CLASSES: list[Typed] = [
    (Line, st.builds(_line, TEXT, NUMBERS, WHOLE)),
    (Frozen, st.builds(Frozen, st.dates())),
    (Point, st.builds(Point, WHOLE, NUMBERS)),
    (
        Model,
        st.builds(Model, lines=st.integers(), when=st.none() | MOMENTS.map(lambda moment: moment.replace(tzinfo=None))),
    ),
    (Record, st.builds(Record, TEXT, st.dates(), st.lists(st.builds(Line, TEXT), max_size=1))),
]

_numbers = itertools.count()


def _attrs_class(fields: list[Typed]) -> Typed:
    number = next(_numbers)
    made = attrs.make_class(
        f"Made{number}", {f"a{number}_{at}": attrs.field(type=kind) for at, (kind, _) in enumerate(fields)}
    )
    return made, st.builds(made, *(values for _, values in fields))


def _dataclass(fields: list[Typed]) -> Typed:
    number = next(_numbers)
    names = [(f"d{number}_{at}", kind) for at, (kind, _) in enumerate(fields)]
    made = dataclasses.make_dataclass(f"Data{number}", names, frozen=number % 2 == 0)
    return made, st.builds(made, *(values for _, values in fields))


def _named_tuple(fields: list[Typed]) -> Typed:
    made: Any = NamedTuple(f"Named{next(_numbers)}", [(f"n{at}", kind) for at, (kind, _) in enumerate(fields)])  # type: ignore[misc]
    return made, st.builds(made, *(values for _, values in fields))


def _typed_dict(fields: list[Typed]) -> Typed:
    made: Any = TypedDict(f"Dict{next(_numbers)}", {f"t {at}": kind for at, (kind, _) in enumerate(fields)})  # type: ignore[misc]
    return made, st.fixed_dictionaries({f"t {at}": values for at, (_, values) in enumerate(fields)})


def _tuple(fields: list[Typed]) -> Typed:
    return tuple[tuple(kind for kind, _ in fields)], st.tuples(*(values for _, values in fields))  # type: ignore[misc]


def _union_of_classes(fields: list[Typed]) -> Typed:
    members = [_attrs_class(fields), _dataclass(fields[:1]), (Line, st.builds(Line, TEXT))]
    return Union[tuple(kind for kind, _ in members)], st.one_of([values for _, values in members])  # noqa: UP007


def _union_of_kinds(fields: list[Typed]) -> Typed:
    inner, values = fields[0]
    return list[inner] | int | str | None, st.lists(values, max_size=2) | WHOLE | TEXT | st.none()  # type: ignore[valid-type]


MANY: list[Callable[[list[Typed]], Typed]] = [
    _attrs_class, _dataclass, _named_tuple, _typed_dict, _tuple, _union_of_classes, _union_of_kinds,
]  # fmt: skip
ONE: list[Callable[[Typed], Typed]] = [
    lambda t: (list[t[0]], st.lists(t[1], max_size=3)),
    lambda t: (tuple[t[0], ...], st.lists(t[1], max_size=3).map(tuple)),
    lambda t: (dict[str, t[0]], st.dictionaries(TEXT, t[1], max_size=3)),
    lambda t: (Optional[t[0]], st.none() | t[1]),  # noqa: UP045 - of any type, also of one that has no `|`
]


@st.composite
def typed(draw: st.DrawFn, depth: int = 3) -> Typed:
    """A type and a strategy of its values."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([*LEAVES, *TEXTS, *CLASSES, _any_text_but_plain()]))
    if draw(st.booleans()):
        return draw(st.sampled_from(ONE))(draw(typed(depth=depth - 1)))
    fields = draw(st.lists(typed(depth=depth - 1), min_size=1, max_size=3))
    return draw(st.sampled_from(MANY))(fields)


def _any_text_but_plain() -> Typed:
    return Union[tuple(kind for kind, _ in TEXTS)], st.one_of([values for _, values in TEXTS])  # noqa: UP007


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    """A type and one value of it."""
    kind, values = draw(typed())
    return kind, draw(values)

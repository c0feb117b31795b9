"""Users' classes of every kind that is read and written out of the box."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import attrs
import msgspec
import pydantic

T = TypeVar("T")
U = TypeVar("U")


class Colour(enum.Enum):
    RED = "red"
    PAIR = ("a", 1)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Flags(enum.Flag):
    A = 1
    B = 2


@attrs.define
class Line:
    text: str
    _weight: float = 1.0
    seen: int = attrs.field(default=0, init=False)


@attrs.frozen(slots=True)
class Frozen:
    day: date
    total: int = attrs.field(init=False, default=7)


@dataclasses.dataclass
class Order:
    name: str
    lines: list[Line]
    level: Level = Level.LOW
    note: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    inner: Any
    when: datetime | None = None


@attrs.define
class Tree:
    name: str
    children: list[Tree] = attrs.field(factory=list)


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple, Generic[T]):
    first: T
    others: list[T]


class Shelf(TypedDict, Generic[T]):
    rows: list[T]
    by_name: NotRequired[dict[str, T | None]]


@attrs.define
class Box(Generic[T]):
    value: T


@attrs.define
class Crate(Generic[T]):
    items: list[T] | None = None
    inner: Crate[T] | None = None


@attrs.define
class Labelled(Crate[T], Generic[T, U]):
    labels: Annotated[dict[str, T | U], "by place"] = attrs.field(factory=dict)
    last: T | None = attrs.field(init=False, default=None)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    lines: int
    when: datetime | None = None
    amount: Decimal = pydantic.Field(default=Decimal("1.50"), alias="theAmount")


class Record(msgspec.Struct):
    name: str
    at: date
    lines: list[Line] = []


class Rows(pydantic.RootModel[list[int]]):
    pass


class Tagged(msgspec.Struct, tag=True, rename="camel"):
    first_name: str
    inner: Any = None


@attrs.define
class Cat:
    kind: Literal["cat"]
    name: str


@attrs.define
class Dog:
    kind: Literal["dog"]
    name: str


@attrs.define
class Circle:
    radius: int


@dataclasses.dataclass
class Square:
    side: int
    colour: Colour = Colour.RED


Name = NewType("Name", str)
Size = Annotated[int, "in centimetres"]

"""The plain JSON form of each kind of value, or why it has none."""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, NoReturn

import attrs
import msgspec

from .foreign import full_name, is_numpy_scalar, is_pydantic_model
from .moments import write_timestamp

__all__ = ["BUILT_IN", "SHAPES", "SerializationError", "Shape", "refuse"]

Inside = Callable[[Any], Any]
#: Gives a value its form; the second argument does so for what it contains.
Shape = Callable[[Any, Inside], Any]

_SAFE_INT = 10**4000  # smaller ones need no look at Python's limit of 4,300 digits


class SerializationError(Exception):
    """A value without a form in JSON; its place is built up from the inside outwards."""

    def __init__(self, kind: type[Exception], problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.place = ""


def refuse(kind: type[Exception], problem: str) -> NoReturn:
    """:raises SerializationError: always."""
    raise SerializationError(kind, problem)


# -- text and numbers ------------------------------------------------------------------------------------------------


def _itself(value: Any, _: Inside) -> Any:
    return value


def _text(value: str, _: Inside | None = None) -> str:
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            refuse(ValueError, "text with a lone surrogate has no form in JSON")
    return text


def _integer(value: int, _: Inside) -> int:
    if not -_SAFE_INT < value < _SAFE_INT:
        try:
            str(int.__pos__(value))
        except ValueError:
            refuse(ValueError, "an integer of more digits than Python can read again (4,300)")
    return int.__pos__(value)


def _number(value: float, _: Inside) -> float:
    if not math.isfinite(value):
        refuse(ValueError, f"{float.__repr__(value)} has no form in JSON")
    return float.__pos__(value)


def _decimal(value: Decimal, _: Inside) -> str:
    if not value.is_finite():
        refuse(ValueError, f"the Decimal {value} has no form in JSON")
    return str(value)


def _numpy_scalar(value: Any, inside: Inside) -> Any:
    number = value.item()
    return inside(number) if type(number) in (bool, int, float) else _nothing(value, inside)


# -- what is written as text -----------------------------------------------------------------------------------------


def _datetime(value: datetime, _: Inside) -> str:
    if value != value:  # noqa: PLR0124 - pandas has a datetime that is none
        refuse(ValueError, f"{value} has no form in JSON; send None where there is no time")
    return value.isoformat() if value.utcoffset() is None else write_timestamp(value)


def _iso(value: date | time, _: Inside) -> str:
    return value.isoformat()


def _as_text(value: Any, _: Inside) -> str:
    return _text(str(value))


# -- what contains other data ----------------------------------------------------------------------------------------


def _array(value: Iterable[Any], inside: Inside) -> list[Any]:
    found: list[Any] = []
    for entry in value:
        try:
            found.append(inside(entry))
        except SerializationError as error:
            error.place = f"[{len(found)}]{error.place}"
            raise
    return found


def _object(value: Mapping[Any, Any], inside: Inside) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        text = _text(key) if type(key) is str and key.isascii() else _key(key)
        try:
            if text in found:
                refuse(ValueError, "two keys have this text")
            found[text] = inside(entry)
        except SerializationError as error:
            error.place = (f".{text}" if text.isidentifier() else f"[{text!r}]") + error.place
            raise
    return found


def _key(key: Any) -> str:
    text: Any = key.value if isinstance(key, enum.Enum) and isinstance(key, str) else key
    if not isinstance(text, str):
        refuse(TypeError, f"the key {_excerpt(key)} is no text; JSON has no other keys")
    try:
        return _text(text)
    except SerializationError as error:
        error.problem = f"the key {_excerpt(key)}: {error.problem}"
        raise


def _excerpt(key: Any) -> str:
    """The key as messages show it: never long, and whatever its own repr does."""
    try:
        text = ascii(key)
    except Exception:  # noqa: BLE001 - a repr that fails must not hide what is wrong with the key
        text = f"of type {type(key).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _attrs(value: Any, inside: Inside) -> dict[str, Any]:
    return _fields(value, [field.name for field in attrs.fields(value.__class__)], inside)


def _dataclass(value: Any, inside: Inside) -> dict[str, Any]:
    return _fields(value, [field.name for field in dataclasses.fields(value)], inside)


def _fields(value: Any, names: Iterable[str], inside: Inside) -> dict[str, Any]:
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        refuse(ValueError, f"the field {missing[0]} of this {type(value).__name__} has no value")
    return _object({name: getattr(value, name) for name in names}, inside)


def _pydantic(value: Any, inside: Inside) -> Any:
    try:
        found = value.model_dump(mode="json", by_alias=True)
    except Exception as error:
        raise SerializationError(
            ValueError, f"pydantic cannot write this {full_name(value.__class__)}: {error}"
        ) from error
    return inside(found)


def _struct(value: Any, inside: Inside) -> Any:
    """As msgspec writes it, with tag and new names, but for what it holds: of attrs classes it leaves out fields."""
    whole = copy.copy(value)
    for name, entry in _fields(value, value.__struct_fields__, inside).items():
        msgspec.structs.force_setattr(whole, name, entry)
    return msgspec.to_builtins(whole)


# -- what has no form ------------------------------------------------------------------------------------------------

_ADVICE: Final = {
    "set": "a list in an order of your choice",
    "frozenset": "a list in an order of your choice",
    "bytes": "text, such as base64",
    "timedelta": "a number of seconds",
    "ndarray": "a list with tolist()",
    "DataFrame": "a list with to_dict('records')",
}


def _nothing(value: Any, _: Inside) -> NoReturn:
    kind: type[Any] = value.__class__
    if isinstance(value, type):
        refuse(TypeError, f"the class {value.__name__} itself cannot be sent, only its instances")
    name = full_name(kind)
    advice = _ADVICE.get(kind.__name__)
    first = f"make it {advice}" if advice else "convert it first"
    hook = f"converter.register_unstructure_hook({name}, ...)"
    refuse(TypeError, f"{name} has no form of its own in JSON; {first}, or register a hook: {hook}")


#: By class exactly; no hook is asked for these.
BUILT_IN: Final[dict[type, Shape]] = {
    str: _text,
    dict: _object,
    list: _array,
    tuple: _array,
    bool: _itself,
    int: _integer,
    float: _number,
    type(None): _itself,
}


def _below(*bases: type) -> Callable[[Any], bool]:
    return lambda cls: isinstance(cls, type) and issubclass(cls, bases)


def _is_dataclass(cls: Any) -> bool:
    return isinstance(cls, type) and dataclasses.is_dataclass(cls)


def _is_attrs(cls: Any) -> bool:
    return isinstance(cls, type) and attrs.has(cls)


def _is_enum(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


#: Whether a class has the shape, and the shape; the first that applies.
SHAPES: Final[tuple[tuple[Callable[[Any], bool], Shape], ...]] = (
    (_is_enum, _itself),  # an enum is its value, wherever it stands
    (_below(str), _text),
    (_below(bool, type(None)), _itself),
    (_below(int), _integer),
    (_below(float), _number),
    (_below(Mapping), _object),
    (_below(list, tuple), _array),
    (is_pydantic_model, _pydantic),
    (_below(msgspec.Struct), _struct),
    (_is_attrs, _attrs),
    (_is_dataclass, _dataclass),
    (_below(datetime), _datetime),
    (_below(date, time), _iso),
    (_below(uuid.UUID, PurePath), _as_text),
    (_below(Decimal), _decimal),
    (is_numpy_scalar, _numpy_scalar),
    (lambda cls: isinstance(cls, type), _nothing),
)

"""What users give, as JSON: everything that JSON would change or lose is refused, with its place, before it is sent.

Most data is plain already, and whether it is, C finds out: data of built-in types that comes back equal from being
encoded and decoded loses nothing. Only other data is walked through here, which takes three times as long and either
gives it its plain form or says what is wrong.
"""

from __future__ import annotations

import dataclasses
import enum
import marshal
import math
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn, cast

import attrs
import msgspec

from .._models.converter import Answer, write_timestamp

__all__ = ["encode", "plain"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_SAFE_INT = 10**4000  # smaller ones need no look at Python's limit of 4,300 digits


class _Unsendable(Exception):  # noqa: N818 - becomes a TypeError or ValueError that names the place
    def __init__(self, kind: type[Exception], problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.place = ""


def encode(value: Any) -> bytes:
    """Plain JSON data, as `plain` gives it, as bytes. Integers are written out exactly."""
    return _encode(value)


def plain(value: Any, name: str) -> Any:
    """``value`` as plain JSON data, changed in form only.

    Tuples become arrays, other mappings objects, attrs classes and dataclasses objects of all their fields (also
    private ones, as ``attrs.asdict`` does), answers of this package their `to_dict`, enums their value, datetimes
    RFC 3339 text (naive ones stay naive, which the service takes as UTC), UUIDs their text; subclasses of ``str``,
    ``int`` and ``float`` are sent as those. Data that is plain already is given back itself, not a copy.

    :param name: what messages call it, such as ``input_data``.
    :raises TypeError: for what JSON has no form for: sets, bytes, ``Decimal``, dates and times of day, keys that are
        not text, and so on. The message names the place, such as ``input_data.a[3]``.
    :raises ValueError: for NaN, infinities, lone surrogates, integers of more than 4,300 digits, two keys of the same
        text, data nested too deeply or holding itself.
    """
    if _is_plain(value):
        return value
    try:
        return _plain(value)
    except _Unsendable as unsendable:
        raise unsendable.kind(f"{name}{unsendable.place}: {unsendable.problem}") from None
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply to be sent as JSON, or holding itself") from None


def _is_plain(value: Any) -> bool:
    try:
        marshal.dumps(value)  # refuses all but built-in types, so no equality below is of another class's making
        return bool(_decode(_encode(value)) == value)
    except Exception:  # noqa: BLE001 - whatever it is, the walk finds its place and says it better
        return False


def _refuse(kind: type[Exception], problem: str) -> NoReturn:
    raise _Unsendable(kind, problem)


def _plain(value: Any) -> Any:
    kind = cast("Any", type(value))
    if kind is str:
        return _text(value)
    if kind is dict:
        return _object(value)
    if kind is list or kind is tuple:
        return _array(value)
    if value is None or value is True or value is False:
        return value
    return _unusual(value)


def _unusual(value: Any) -> Any:
    if isinstance(value, enum.Enum):  # before str and int, which an enum may be as well
        return _plain(value.value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        mapping: Mapping[Any, Any] = cast("Any", value)
        return _object(mapping)
    if isinstance(value, list | tuple):
        entries: Iterable[Any] = cast("Any", value)
        return _array(entries)
    return _other(value)


def _other(value: Any) -> Any:
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType] - of any kind
    if isinstance(value, type):
        _refuse(TypeError, f"the class {value.__name__} itself cannot be sent, only its instances")
    if isinstance(value, datetime):
        return value.isoformat() if value.utcoffset() is None else write_timestamp(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Answer):
        return _object(value.to_dict())
    if attrs.has(kind):
        return _object(_fields(value, [field.name for field in attrs.fields(kind)]))
    if dataclasses.is_dataclass(value):
        return _object(_fields(value, [field.name for field in dataclasses.fields(value)]))
    return _refuse(TypeError, f"{kind.__name__} has no form of its own in JSON; convert it first")


def _fields(value: Any, names: list[str]) -> dict[str, Any]:
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        _refuse(ValueError, f"the field {missing[0]} of this {type(value).__name__} has no value")
    return {name: getattr(value, name) for name in names}


def _text(value: str) -> str:
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            _refuse(ValueError, "text with a lone surrogate has no form in JSON")
    return text


def _integer(value: int) -> int:
    if not -_SAFE_INT < value < _SAFE_INT:
        try:
            str(int.__pos__(value))
        except ValueError:
            _refuse(ValueError, "an integer of more digits than Python can read again (4,300)")
    return int.__pos__(value)


def _number(value: float) -> float:
    if not math.isfinite(value):
        _refuse(ValueError, f"{float.__repr__(value)} has no form in JSON")
    return float.__pos__(value)


def _array(value: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for entry in value:
        try:
            found.append(_plain(entry))
        except _Unsendable as unsendable:
            unsendable.place = f"[{len(found)}]{unsendable.place}"
            raise
    return found


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        text = _text(key) if type(key) is str and key.isascii() else _key(key)
        try:
            if text in found:
                _refuse(ValueError, "two keys have this text")
            found[text] = _plain(entry)
        except _Unsendable as unsendable:
            unsendable.place = (f".{text}" if text.isidentifier() else f"[{text!r}]") + unsendable.place
            raise
    return found


def _key(key: Any) -> str:
    text: Any = key.value if isinstance(key, enum.Enum) and isinstance(key, str) else key
    if not isinstance(text, str):
        _refuse(TypeError, f"the key {_excerpt(key)} is no text; JSON has no other keys")
    try:
        return _text(text)
    except _Unsendable as unsendable:
        unsendable.problem = f"the key {_excerpt(key)}: {unsendable.problem}"
        raise


def _excerpt(key: Any) -> str:
    """The key as messages show it: never long, and whatever its own repr does."""
    try:
        text = ascii(key)
    except Exception:  # noqa: BLE001 - a repr that fails must not hide what is wrong with the key
        text = f"of type {type(key).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."

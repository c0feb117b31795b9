"""Structure hooks of unions of types that JSON distinguishes."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Any, Union, get_args, get_origin, is_typeddict
from uuid import UUID

import attrs
import cattrs
import msgspec
from cattrs.disambiguators import create_default_dis_func
from cattrs.errors import StructureHandlerNotFoundError

from .containers import choices_of, is_array, is_enum, is_literal, is_mapping
from .foreign import is_pydantic_model
from .validation import ValidationError, json_type, validation_error_of

__all__ = ["is_union", "union_hook"]

Hook = Callable[[Any, Any], Any]
_Read = Callable[[Any], Any]


def is_union(cls: Any) -> bool:
    """Whether the type is a union, also an optional type."""
    return get_origin(cls) in (Union, types.UnionType)


def union_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a union.

    :raises StructureHandlerNotFoundError: JSON does not distinguish its members.
    """
    members = [member for member in get_args(cls) if member is not type(None)]
    optional = len(members) < len(get_args(cls))
    if len(members) == 1:
        return _optional_hook(members[0], converter)
    by_type: dict[str, list[Any]] = {}
    for member in members:
        for name in _json_types(member, cls):
            by_type.setdefault(name, []).append(member)
    reads = {name: _one_of(name, found, cls, converter) for name, found in by_type.items()}
    if optional:
        reads["null"] = lambda _: None
    expected = " or ".join(reads)

    def hook(value: Any, _: Any) -> Any:
        read = reads.get(json_type(value))
        if read is None:
            raise ValidationError(f"expected {expected}, got {json_type(value)}")
        return read(value)

    return hook


def _optional_hook(member: Any, converter: cattrs.Converter) -> Hook:
    read = converter.get_structure_hook(member)
    return lambda value, _: None if value is None else read(value, member)


# -- the JSON types of a type ------------------------------------------------------------------------------------------

_SCALARS: tuple[tuple[type | tuple[type, ...], tuple[str, ...]], ...] = (
    (bool, ("a boolean",)),
    (int, ("a whole number",)),
    (float, ("a number", "a whole number")),
    (Decimal, ("text", "a whole number")),
    ((str, PurePath, datetime, date, time, UUID), ("text",)),
)


def _bare(member: Any) -> Any:
    """Return the type without ``Annotated`` and ``NewType``."""
    while True:
        if get_origin(member) is Annotated:
            member = get_args(member)[0]
        elif hasattr(member, "__supertype__"):
            member = member.__supertype__
        else:
            return member


def _json_types(member: Any, union: Any) -> set[str]:
    bare = _bare(member)
    base = get_origin(bare) or bare
    if is_enum(bare) or is_literal(bare):
        return {json_type(msgspec.json.decode(key)) for key in choices_of(bare)}
    if is_typeddict(base) or _has_fields(base) or is_pydantic_model(base) or is_mapping(base):
        return {"an object"}
    if isinstance(base, type) and issubclass(base, msgspec.Struct):
        return {"an array" if base.__struct_config__.array_like else "an object"}
    if is_array(base):
        return {"an array"}
    for kinds, names in _SCALARS:
        if isinstance(base, type) and issubclass(base, kinds):
            return set(names)
    raise _ambiguous(union, f"the JSON type of {member} is not known")


def _has_fields(cls: Any) -> bool:
    return isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


def _ambiguous(union: Any, why: str) -> StructureHandlerNotFoundError:
    problem = f"JSON does not distinguish the types of {union}: {why};"
    return StructureHandlerNotFoundError(problem, union)


# -- several members of one JSON type ----------------------------------------------------------------------------------


def _one_of(name: str, members: list[Any], union: Any, converter: cattrs.Converter) -> _Read:
    if name == "a whole number" and len(members) > 1:  # is the int, if there is one
        members = [member for member in members if _bare(member) not in (float, Decimal)] or members
    if len(members) == 1:
        return _reader(members[0], converter)
    if name == "text":
        return _one_text_of(members, union, converter)
    if name == "an object" and all(_has_fields(get_origin(_bare(member)) or _bare(member)) for member in members):
        return _one_class_of([_bare(member) for member in members], union, converter)
    raise _ambiguous(union, f"{len(members)} of them are {name} in JSON")


def _reader(member: Any, converter: cattrs.Converter) -> _Read:
    hook = converter.get_structure_hook(member)
    return lambda value: hook(value, member)


def _one_text_of(members: list[Any], union: Any, converter: cattrs.Converter) -> _Read:
    """Return the hook of types of which at most one reads each text."""
    readers = [_reader(member, converter) for member in members]
    for member in members:
        bare: Any = _bare(member)
        if _takes_any_text(bare):
            raise _ambiguous(union, f"{_shown(bare)} accepts any text")
        if is_enum(bare) or is_literal(bare):
            for key in choices_of(bare):
                text = msgspec.json.decode(key)
                if sum(_reads(reader, text) for reader in readers) > 1:
                    raise _ambiguous(union, f"{text!r} is a value of several of them")

    def read(value: Any) -> Any:
        problem: Exception | None = None
        for reader in readers:
            try:
                return reader(value)
            except Exception as error:  # noqa: BLE001 - the next may fit
                problem = problem or error
        assert problem is not None  # noqa: S101 - there are two readers or more
        raise validation_error_of(problem) from problem

    return read


def _takes_any_text(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, (str, PurePath)) and not is_enum(cls)


def _reads(reader: _Read, value: Any) -> bool:
    try:
        reader(value)
    except Exception:  # noqa: BLE001 - a user's hook may raise anything
        return False
    return True


def _one_class_of(classes: list[Any], union: Any, converter: cattrs.Converter) -> _Read:
    """Return the hook of classes that cattrs distinguishes by their required or literal fields."""
    try:
        tell: Callable[[Any], Any] = create_default_dis_func(converter, *classes)
    except TypeError as error:
        raise _ambiguous(union, str(error)) from None

    def read(value: Mapping[str, Any]) -> Any:
        try:
            found = tell(value)
        except (ValueError, KeyError):
            raise ValidationError(f"expected an object of one of {', '.join(map(_shown, classes))}") from None
        return converter.get_structure_hook(found)(value, found)

    return read


def _shown(cls: Any) -> str:
    return getattr(cls, "__name__", None) or str(cls)

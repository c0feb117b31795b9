"""Structure hooks of unions of types that JSON distinguishes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Any, Final, get_args, get_origin
from uuid import UUID

import cattrs
import msgspec
from cattrs.disambiguators import create_default_dis_func
from cattrs.errors import StructureHandlerNotFoundError

from . import kinds
from .containers import choices_of
from .kinds import below
from .validation import ValidationError, json_type

Hook = Callable[[Any, Any], Any]
_Read = Callable[[Any], Any]

#: The JSON types of kinds of types; the first that applies.
_JSON_TYPES: Final[tuple[tuple[Callable[[Any], bool], tuple[str, ...]], ...]] = (
    (lambda cls: kinds.is_struct(cls) and kinds.base_of(cls).__struct_config__.array_like, ("an array",)),
    (lambda cls: kinds.is_struct(cls) or kinds.is_typed_dict(cls) or kinds.has_fields(cls), ("an object",)),
    (lambda cls: kinds.is_pydantic_model(cls) or kinds.is_mapping(cls), ("an object",)),
    (kinds.is_array, ("an array",)),
    (below(bool), ("a boolean",)),
    (below(int), ("a whole number",)),
    (below(float), ("a number", "a whole number")),
    (below(Decimal), ("text", "a whole number")),
    (below(str, PurePath, datetime, date, time, UUID), ("text",)),
)


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


def _bare(member: Any) -> Any:
    """Return the type without ``Annotated`` and ``NewType``."""
    while get_origin(member) is Annotated or hasattr(member, "__supertype__"):
        member = member.__origin__ if get_origin(member) is Annotated else member.__supertype__
    return member


def _json_types(member: Any, union: Any) -> set[str]:
    bare = _bare(member)
    if kinds.is_enum(bare) or kinds.is_literal(bare):
        return {json_type(msgspec.json.decode(key)) for key in choices_of(bare)}
    for applies, names in _JSON_TYPES:
        if applies(bare):
            return set(names)
    raise _ambiguous(union, f"the JSON type of {member} is not known")


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
    if name == "an object" and all(kinds.has_fields(_bare(member)) for member in members):
        return _one_class_of([_bare(member) for member in members], union, converter)
    raise _ambiguous(union, f"{len(members)} of them are {name} in JSON")


def _reader(member: Any, converter: cattrs.Converter) -> _Read:
    hook = converter.get_structure_hook(member)
    return lambda value: hook(value, member)


def _one_text_of(members: list[Any], union: Any, converter: cattrs.Converter) -> _Read:
    """Return the hook of types such as dates and UUIDs, of which the first that fits is used."""
    for bare in map(_bare, members):
        if below(str, PurePath)(bare) and not kinds.is_enum(bare):
            raise _ambiguous(union, f"{kinds.shown_type(bare)} accepts any text")
    *readers, last = [_reader(member, converter) for member in members]

    def read(value: Any) -> Any:
        for reader in readers:
            with suppress(Exception):  # the next may fit
                return reader(value)
        return last(value)

    return read


def _one_class_of(classes: list[Any], union: Any, converter: cattrs.Converter) -> _Read:
    """Return the hook of classes that cattrs distinguishes by their required or literal fields."""
    try:
        choose: Callable[[Any], Any] = create_default_dis_func(converter, *classes)
    except TypeError as error:
        raise _ambiguous(union, str(error)) from None

    def read(value: Any) -> Any:
        try:
            found = choose(value)
        except (ValueError, KeyError):
            raise ValidationError(f"expected an object of one of {', '.join(map(kinds.shown_type, classes))}") from None
        return converter.get_structure_hook(found)(value, found)

    return read

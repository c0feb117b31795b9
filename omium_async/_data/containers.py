"""Structure hooks of arrays, objects, enums and literals: cattrs' own, behind a check of the JSON type."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import cattrs
import cattrs.cols

from .codec import encode
from .plain import plain
from .validation import ValidationError, json_type, validation_error_of, wrong

__all__ = [
    "array_hook",
    "choices_of",
    "hook_of",
    "is_array",
    "is_enum",
    "is_literal",
    "is_mapping",
    "literal_hook",
    "mapping_hook",
    "read_member",
    "take_array",
    "take_object",
]

Hook = Callable[[Any, Any], Any]

_MOST_SHOWN = 12


def hook_of(kind: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of an entry or a field."""
    try:
        hook: Hook = converter.get_structure_hook(kind)
    except RecursionError:  # a class that contains itself: looked up when it is read
        return converter.structure
    return hook


# -- arrays ------------------------------------------------------------------------------------------------------------


def _class_of(cls: Any) -> Any:
    return get_origin(cls) or cls


def is_array(cls: Any) -> bool:
    """Whether the type is read from an array."""
    base = _class_of(cls)
    return (
        isinstance(base, type)
        and issubclass(base, (Sequence, AbstractSet))
        and not issubclass(base, (str, bytes, bytearray, memoryview, range))
    )


def take_array(value: Any) -> list[Any]:
    """Return the entries of an array.

    :raises ValidationError: the value is not an array.
    """
    if not isinstance(value, (list, tuple)):
        raise wrong("an array", value)
    return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def array_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a list, a tuple, a named tuple, a set or the like."""
    base, kinds = _class_of(cls), get_args(cls)
    if hasattr(base, "_fields"):
        hints = get_type_hints(base, include_extras=True)
        read = _tuple_hook(tuple(hints.get(name, Any) for name in base._fields), converter)
        return lambda value, cls: base(*read(value, cls))
    if issubclass(base, tuple) and cls is not tuple and not (len(kinds) == 2 and kinds[1] is ...):
        return _tuple_hook(() if kinds == ((),) else kinds, converter)
    default: Any = set if issubclass(base, AbstractSet) else list
    make: Any = base if issubclass(base, (list, tuple, set, frozenset, deque)) else default  # pyright: ignore[reportUnknownVariableType]
    entry: Any = kinds[0] if kinds else Any
    entries: Hook = cattrs.cols.list_structure_factory(list[entry], converter)
    return lambda value, cls: make(entries(take_array(value), cls))


def _tuple_hook(kinds: tuple[Any, ...], converter: cattrs.Converter) -> Hook:
    """Return the hook of a tuple with a type for each place."""
    hooks = [(kind, hook_of(kind, converter)) for kind in kinds]

    def hook(value: Any, _: Any) -> Any:
        entries = take_array(value)
        if len(entries) != len(hooks):
            raise ValidationError(f"expected an array of {len(hooks)}, got one of {len(entries)}")
        found: list[Any] = []
        for (kind, read), entry in zip(hooks, entries, strict=True):
            try:
                found.append(read(entry, kind))
            except Exception as error:
                raise validation_error_of(error).inside(f"[{len(found)}]") from error
        return tuple(found)

    return hook


# -- objects -----------------------------------------------------------------------------------------------------------


def is_mapping(cls: Any) -> bool:
    """Whether the type is read from an object."""
    base = _class_of(cls)
    return isinstance(base, type) and issubclass(base, Mapping)


def take_object(value: Any, _: Any = dict) -> Any:
    """Return an object of any values.

    :raises ValidationError: the value is not an object.
    """
    if not isinstance(value, Mapping):
        raise wrong("an object", value)
    return value if isinstance(value, dict) else dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def mapping_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a dict or another mapping."""
    base, kinds = _class_of(cls), get_args(cls)
    if base in (dict, Mapping) and (not kinds or kinds == (str, Any)):
        return take_object
    cols: Any = cattrs.cols  # whose types are not all known
    if issubclass(base, defaultdict) and kinds:
        read = cols.defaultdict_structure_factory(cls, converter)
    elif issubclass(base, Counter):
        read = cols.mapping_structure_factory(cls, converter, Counter, val_type=int)
    else:
        read = cols.mapping_structure_factory(cls, converter, base if issubclass(base, dict) else dict)
    return lambda value, cls: read(take_object(value), cls)


# -- enums and literals ------------------------------------------------------------------------------------------------


def is_enum(cls: Any) -> bool:
    """Whether the type is an enum."""
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


def is_literal(cls: Any) -> bool:
    """Whether the type is a ``Literal[...]``."""
    return get_origin(cls) is Literal


@lru_cache(maxsize=1024)
def choices_of(cls: Any) -> dict[bytes, Any]:
    """Return the values of an enum or a literal by their JSON text, which tells 1 from true and from 1.0.

    :raises TypeError: one of them has no form in JSON.
    """
    values: tuple[Any, ...] = tuple(cls) if is_enum(cls) else get_args(cls)
    return {encode(plain(value, f"a value of {cls}")): value for value in values}


def read_member(value: Any, cls: Any) -> Any:
    """Return the member of an enum that has this value."""
    choices = choices_of(cls)
    key = encode(value)
    if key in choices:
        return choices[key]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        try:
            return cls(value)  # a combination of flags, or a value of an open enum
        except ValueError:
            pass
    raise _not_among(choices, value)


def literal_hook(cls: Any, _: cattrs.Converter) -> Hook:
    """Return the hook of a literal."""
    choices = choices_of(cls)

    def hook(value: Any, _: Any) -> Any:
        try:
            return choices[encode(value)]
        except KeyError:
            raise _not_among(choices, value) from None

    return hook


def _not_among(choices: dict[bytes, Any], value: Any) -> ValidationError:
    shown = [key.decode() for key in list(choices)[:_MOST_SHOWN]]
    more = ", ..." if len(choices) > _MOST_SHOWN else ""
    got = f"other {json_type(value)}" if isinstance(value, str) else json_type(value)
    return ValidationError(f"expected one of {', '.join(shown)}{more}, got {got}")

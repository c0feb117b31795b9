"""Structure hooks of arrays, objects, enums and literals: cattrs' own, behind a check of the JSON type."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import lru_cache
from typing import Any, NotRequired, Required, TypedDict, get_args, get_origin

import cattrs
import cattrs.cols
import cattrs.gen.typeddicts

from .codec import encode
from .kinds import base_of, is_enum, types_of_fields
from .plain import plain
from .validation import ValidationError, json_type, read_inside, wrong

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


def take_array(value: Any) -> list[Any]:
    """Return the entries of an array.

    :raises ValidationError: the value is not an array.
    """
    if not isinstance(value, (list, tuple)):
        raise wrong("an array", value)
    return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def array_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a list, a tuple, a named tuple, a set or the like."""
    base, kinds = base_of(cls), get_args(cls)
    if hasattr(base, "_fields"):
        hints = types_of_fields(cls)
        read = _tuple_hook([hints.get(name, Any) for name in base._fields], converter)
        return lambda value, cls: base(*read(value, cls))
    if issubclass(base, tuple) and cls is not tuple and not (len(kinds) == 2 and kinds[1] is ...):
        return _tuple_hook([] if kinds == ((),) else kinds, converter)
    default: Any = set if issubclass(base, AbstractSet) else list
    make: Any = base if issubclass(base, (list, tuple, set, frozenset, deque)) else default  # pyright: ignore[reportUnknownVariableType]
    entry: Any = kinds[0] if kinds else Any
    entries: Hook = cattrs.cols.list_structure_factory(list[entry], converter)
    return lambda value, cls: make(entries(take_array(value), cls))


def _tuple_hook(kinds: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a tuple with a type for each place."""
    hooks = [(hook_of(kind, converter), kind) for kind in kinds]

    def hook(value: Any, _: Any) -> Any:
        entries = take_array(value)
        if len(entries) != len(hooks):
            raise ValidationError(f"expected an array of {len(hooks)}, got one of {len(entries)}")
        return tuple([read_inside(f"[{at}]", *hooks[at], entry) for at, entry in enumerate(entries)])

    return hook


# -- objects -----------------------------------------------------------------------------------------------------------


def take_object(value: Any, _: Any = dict) -> Any:
    """Return an object of any values.

    :raises ValidationError: the value is not an object.
    """
    if not isinstance(value, Mapping):
        raise wrong("an object", value)
    return value if isinstance(value, dict) else dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def mapping_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of a dict or another mapping."""
    base, kinds = base_of(cls), get_args(cls)
    if base in (dict, Mapping) and (not kinds or kinds == (str, Any)):
        return take_object
    cols: Any = cattrs.cols  # whose types are not all known
    read = cols.mapping_structure_factory(cls, converter, base if issubclass(base, dict) else dict)
    return lambda value, cls: read(take_object(value), cls)


def typed_dict_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return cattrs' hook of a TypedDict, without unknown keys.

    Python ignores ``NotRequired`` in annotations that are text. So the hook is that of a TypedDict with resolved
    annotations.
    """
    base = base_of(cls)
    fields: dict[str, Any] = {}
    for name, kind in types_of_fields(cls).items():
        is_marked = get_origin(kind) in (Required, NotRequired)
        fields[name] = kind if is_marked or name in base.__required_keys__ else NotRequired[kind]
    resolved: Any = TypedDict(base.__name__, fields)  # type: ignore[misc] # pyright: ignore[reportArgumentType]
    typed_dicts: Any = cattrs.gen.typeddicts  # whose types are not all known
    read = typed_dicts.make_dict_structure_fn(resolved, converter)

    def hook(value: Any, _: Any) -> dict[str, Any]:
        sent = take_object(value)
        return dict(read({name: sent[name] for name in sent if name in fields}, resolved))

    return hook


# -- enums and literals ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def choices_of(cls: Any) -> dict[bytes, Any]:
    """Return the values of an enum or a literal by their JSON text, which differs for 1, true and 1.0.

    :raises TypeError: one of them has no form in JSON.
    """
    values: tuple[Any, ...] = tuple(cls) if is_enum(cls) else get_args(cls)
    return {encode(plain(value, f"a value of {cls}")): value for value in values}


def choice_hook(cls: Any, _: cattrs.Converter) -> Hook:
    """Return the hook of an enum or a literal.

    :raises TypeError: one of its values has no form in JSON.
    """
    choices_of(cls)
    return read_choice


def read_choice(value: Any, cls: Any) -> Any:
    """Return the member of an enum, or the value of a literal."""
    choices = choices_of(cls)
    key = encode(value)
    if key in choices:
        return choices[key]
    if is_enum(cls) and isinstance(value, (str, int)) and not isinstance(value, bool):
        with suppress(ValueError):
            return cls(value)  # a combination of flags, or a value of an open enum
    raise _not_among(choices, value)


def _not_among(choices: dict[bytes, Any], value: Any) -> ValidationError:
    shown = [key.decode() for key in list(choices)[:_MOST_SHOWN]]
    more = ", ..." if len(choices) > _MOST_SHOWN else ""
    got = f"other {json_type(value)}" if isinstance(value, str) else json_type(value)
    return ValidationError(f"expected one of {', '.join(shown)}{more}, got {got}")

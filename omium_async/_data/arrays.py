"""Structure hooks of what holds other values: lists, tuples, sets and mappings of every kind."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, get_args, get_origin, get_type_hints

import cattrs
import cattrs.cols

from .validation import ValidationError, validation_error_of, wrong

__all__ = [
    "Array",
    "array_hook",
    "hook_of",
    "is_array",
    "is_mapping",
    "is_named_tuple",
    "mapping_hook",
    "named_tuple_hook",
    "take_object",
]

Hook = Callable[[Any, Any], Any]


def _class_of(cls: Any) -> Any:
    return get_origin(cls) or cls


def is_array(cls: Any) -> bool:
    """Whether it is read from an array."""
    base = _class_of(cls)
    return (
        isinstance(base, type)
        and issubclass(base, (Sequence, AbstractSet))
        and not issubclass(base, (str, bytes, bytearray, memoryview, range))
    )


def is_mapping(cls: Any) -> bool:
    """Whether it is read from an object."""
    base = _class_of(cls)
    return isinstance(base, type) and issubclass(base, Mapping)


def is_named_tuple(cls: Any) -> bool:
    """Whether it is a ``NamedTuple``."""
    return isinstance(cls, type) and hasattr(cls, "_fields") and issubclass(cls, tuple)


class Array:
    """The hook of an array type. A class, for the models ask whether a hook is one."""

    __slots__ = ("_make", "_read")

    def __init__(self, read: Hook, make: Callable[[Any], Any]) -> None:
        self._read = read
        self._make = make

    def __call__(self, value: Any, cls: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise wrong("an array", value)
        return self._make(self._read(value, cls))


def array_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """The hook of a list, a tuple, a set or the like."""
    base, kinds = _class_of(cls), get_args(cls)
    if issubclass(base, tuple) and cls is not tuple and not (len(kinds) == 2 and kinds[1] is ...):
        return _fixed(kinds, converter)
    make: Callable[[Any], Any] = _maker(base)
    entry: Any = kinds[0] if kinds else Any
    return Array(cattrs.cols.list_structure_factory(list[entry], converter), make)


def _maker(base: Any) -> Callable[[Any], Any]:
    if issubclass(base, (list, tuple, set, frozenset, deque)):
        return base  # type: ignore[no-any-return] # pyright: ignore[reportUnknownVariableType]
    return set if issubclass(base, AbstractSet) else list


def _fixed(kinds: tuple[Any, ...], converter: cattrs.Converter) -> Hook:
    """A tuple with a type for each place."""
    kinds = () if kinds == ((),) else kinds
    hooks = [(kind, hook_of(kind, converter)) for kind in kinds]

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise wrong("an array", value)
        entries: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
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


def hook_of(kind: Any, converter: cattrs.Converter) -> Hook:
    """The hook of an entry or a field."""
    try:
        hook: Hook = converter.get_structure_hook(kind)
    except RecursionError:  # a class that holds itself: looked up when it is read
        return converter.structure
    return hook


def named_tuple_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """The hook of a named tuple, which goes out as an array."""
    hints = get_type_hints(cls, include_extras=True)
    read = _fixed(tuple(hints.get(name, Any) for name in cls._fields), converter)
    return lambda value, _: cls(*read(value, tuple))


def take_object(value: Any, _: Any = dict) -> Any:
    """An object of any values, itself."""
    if not isinstance(value, Mapping):
        raise wrong("an object", value)
    return value if isinstance(value, dict) else dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def mapping_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """The hook of a dict or another mapping."""
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

    def hook(value: Any, cls: Any) -> Any:
        return read(take_object(value), cls)

    return hook

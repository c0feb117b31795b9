"""Kinds of types, also of pydantic and numpy. Nothing is imported: a class of theirs exists only with its library."""

from __future__ import annotations

import builtins
import dataclasses
import enum
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

import attrs
import msgspec


def base_of(cls: Any) -> Any:
    """Return the type without its arguments: ``list`` for ``list[int]``."""
    return get_origin(cls) or cls


def type_arguments(cls: Any) -> dict[Any, Any]:
    """Return the argument of each type variable of a generic class and of its bases."""
    base = base_of(cls)
    found = dict(zip(getattr(base, "__parameters__", ()), get_args(cls), strict=False))
    for parent in getattr(base, "__orig_bases__", ()):
        found |= {variable: _filled_in(kind, found) for variable, kind in type_arguments(parent).items()}
    return found


def types_of_fields(cls: Any) -> dict[str, Any]:
    """Return the types of a class's fields, with type variables replaced by their arguments."""
    arguments = type_arguments(cls)
    hints = get_type_hints(base_of(cls), include_extras=True)
    return {name: _filled_in(hint, arguments) for name, hint in hints.items()}


def _filled_in(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple([arguments.get(variable, variable) for variable in variables])] if variables else hint


def below(*bases: type) -> Callable[[Any], bool]:
    """Return the function that says whether a type is a subclass of one of ``bases``."""
    return lambda cls: isinstance(cls, type) and issubclass(cls, bases)


is_enum = below(enum.Enum)


def is_literal(cls: Any) -> bool:
    """Whether the type is a ``Literal[...]``."""
    return get_origin(cls) is Literal


def is_union(cls: Any) -> bool:
    """Whether the type is a union, also an optional type."""
    return get_origin(cls) in (Union, types.UnionType)


def is_array(cls: Any) -> bool:
    """Whether the type is read from an array."""
    base = base_of(cls)
    return below(Sequence, AbstractSet)(base) and not issubclass(base, (str, bytes, bytearray, memoryview, range))


def is_mapping(cls: Any) -> bool:
    """Whether the type is a dict or another mapping."""
    return below(Mapping)(base_of(cls))


def is_typed_dict(cls: Any) -> bool:
    """Whether the type is a TypedDict, also one with type arguments."""
    return is_typeddict(base_of(cls))


def has_fields(cls: Any) -> bool:
    """Whether the type is an attrs class or a dataclass."""
    base = base_of(cls)
    return isinstance(base, type) and (attrs.has(base) or dataclasses.is_dataclass(base))


def is_struct(cls: Any) -> bool:
    """Whether the type is a msgspec struct."""
    return below(msgspec.Struct)(base_of(cls))


def is_pydantic_model(cls: Any) -> bool:
    """Whether the type is a pydantic model."""
    return _is_a(cls, "pydantic", "BaseModel")


def is_numpy_scalar(cls: Any) -> bool:
    """Whether the type is one of numpy's scalars, such as ``numpy.int64``."""
    return _is_a(cls, "numpy", "generic")


def _is_a(cls: Any, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and isinstance(cls, type) and issubclass(cls, base)


def full_name(cls: type[Any]) -> str:
    """Return a class's name for messages, with its library if Python has a class of that name (``numpy.bool``)."""
    name = cls.__name__
    is_another = getattr(builtins, name, cls) is not cls
    return f"{cls.__module__.partition('.')[0]}.{name}" if is_another else name


def shown_type(cls: Any) -> str:
    """Return a type as messages show it."""
    return full_name(cls) if isinstance(cls, type) and not hasattr(cls, "__origin__") else str(cls)

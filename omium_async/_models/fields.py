"""What the declarations of the models say of how their fields are read."""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

__all__ = ["Field", "entry_type", "fields_of", "known_extras"]


@attrs.frozen
class Field:
    """A field of a model, and how an answer may have it.

    :ivar name: of the attribute, and of the key.
    :ivar type: without ``None``.
    :ivar optional: whether it may be null or absent.
    :ivar fallback: the name under which the live service sends it as well.
    :ivar nested: the field in which the live service has it under its own name, where its own place is empty.
    """

    name: str
    type: Any
    optional: bool
    fallback: str | None
    nested: str | None


@cache
def fields_of(cls: Any) -> tuple[Field, ...]:
    """The fields of a model as they are declared, without ``extra``."""
    hints = get_type_hints(cls, include_extras=True)
    found: list[Field] = []
    for field in attrs.fields(cls):
        if field.name == "extra":
            continue
        kind, more = hints[field.name], field.metadata
        optional = kind is Any or kind is bool or "nested" in more
        if get_origin(kind) in (Union, types.UnionType):
            optional = True
            kind = next(inner for inner in get_args(kind) if inner is not type(None))
        found.append(Field(field.name, kind, optional, more.get("fallback"), more.get("nested")))
    return tuple(found)


def known_extras(cls: Any) -> tuple[str, ...]:
    """Keys without a field of their own that the live service is known to send."""
    known: tuple[str, ...] = attrs.fields(cls).extra.metadata.get("known", ())
    return known


def entry_type(kind: Any) -> Any:
    """The class of model of which a field holds any number; ``None`` if it holds something else."""
    entry: Any = get_args(kind)[0] if get_origin(kind) is tuple else None
    return entry if entry is not None and attrs.has(entry) else None

"""What every answer of the service can do: come from a dict and go back to it without loss."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

from .._data.shared import shared

__all__ = ["Answer", "Field", "Timestamp", "entry_type", "fields_of", "known_extras", "remember_sent", "sent_of"]

T = TypeVar("T")

#: A moment as the models have it, with hooks of its own: naive text is UTC, and what cannot be read stays in ``extra``.
Timestamp = Annotated[datetime, "as the service writes it"]


class Answer:
    """An answer of the service; attrs classes below it are read and written by the hooks of the converter."""

    # Beside attrs' fields, which are the contract's: where an attribute shows another place's value, what the answer
    # held under the attribute's own name, and what is shown instead.
    __slots__ = ("__weakref__", "_sent")
    _sent: dict[str, tuple[Any, Any]]
    # A row is no detail: what reads an `Execution` is not asked for an `ExecutionDetail`.
    _hooks_are_its_own: ClassVar = True

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the answer's JSON object; nested values are taken over, not copied.

        :param data: the object, as JSON gives it.
        :return: the model, read by the converter that the process shares.
        :raises InvalidResponseError: where a value has the wrong type; ``path`` names the place.
        """
        return shared().structure(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Every key and value that was sent, those without a value as ``None``, timestamps as RFC 3339 text.

        Timestamps are kept to the microsecond; further digits of the answer are rounded. Nested values are the
        model's own, not copies.

        :return: the object, written by the converter that the process shares.
        """
        return cast("dict[str, Any]", shared().unstructure(self))

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in attrs.fields(cast("Any", type(self)))}
        return _restore, (type(self), values, sent_of(self))


def _restore(cls: type[Answer], values: Mapping[str, Any], sent: dict[str, tuple[Any, Any]]) -> Answer:
    found = cls.__new__(cls)
    for name, value in values.items():
        object.__setattr__(found, name, value)
    return remember_sent(found, sent)


def sent_of(answer: Answer) -> dict[str, tuple[Any, Any]]:
    """Of each attribute that shows another place's value: what was sent under its name, and what it shows."""
    return getattr(answer, "_sent", {})


def remember_sent(answer: T, sent: Mapping[str, tuple[Any, Any]]) -> T:
    """The same answer, knowing of each attribute named what was sent under its name, and what it shows instead."""
    if sent:
        object.__setattr__(answer, "_sent", {**getattr(answer, "_sent", {}), **sent})
    return answer


# -- what the declarations say ---------------------------------------------------------------------------------------


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
        optional = kind is Any or "nested" in more
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
    return get_args(kind)[0] if get_origin(kind) is tuple else None

"""What every answer of the service can do: come from a dict and go back to it without loss."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

import attrs

from .._data.shared import shared

__all__ = ["Answer", "Timestamp", "remember_sent", "sent_of"]

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

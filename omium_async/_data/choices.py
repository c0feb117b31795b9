"""Enums and literals: one of a few values, told apart by what JSON they are."""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from .codec import encode
from .plain import plain
from .validation import ValidationError, json_type

if TYPE_CHECKING:
    import cattrs

__all__ = ["choices_of", "is_enum", "is_literal", "literal_hook", "read_member"]

_MOST_SHOWN = 12


def is_enum(cls: Any) -> bool:
    """Whether it is an enum's class."""
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


def is_literal(cls: Any) -> bool:
    """Whether it is a ``Literal[...]``."""
    return get_origin(cls) is Literal


@lru_cache(maxsize=1024)
def choices_of(cls: Any) -> dict[bytes, Any]:
    """The values of an enum or a literal by their JSON text, which tells 1 from true and 1.0.

    :raises TypeError: one of them has no form in JSON.
    """
    values: tuple[Any, ...] = tuple(cls) if is_enum(cls) else get_args(cls)
    return {encode(plain(value, f"a value of {cls}")): value for value in values}


def read_member(value: Any, cls: Any) -> Any:
    """The member of an enum that has this value."""
    choices = choices_of(cls)
    key = encode(value)
    if key in choices:
        return choices[key]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        try:
            return cls(value)  # flags together, and enums that are open
        except ValueError:
            pass
    raise _other(choices, value)


def literal_hook(cls: Any, _: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """The hook of a literal."""
    choices = choices_of(cls)

    def hook(value: Any, _: Any) -> Any:
        try:
            return choices[encode(value)]
        except KeyError:
            raise _other(choices, value) from None

    return hook


def _other(choices: dict[bytes, Any], value: Any) -> ValidationError:
    shown = [key.decode() for key in list(choices)[:_MOST_SHOWN]]
    more = ", ..." if len(choices) > _MOST_SHOWN else ""
    got = f"other {json_type(value)}" if isinstance(value, str) else json_type(value)
    return ValidationError(f"expected one of {', '.join(shown)}{more}, got {got}")

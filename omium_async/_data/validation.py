"""What does not fit: a value of another type than was asked for, and its place."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Self, cast

import msgspec

__all__ = ["ValidationError", "json_type", "validation_error_of", "wrong"]

_JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    tuple: "an array",
    str: "text",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}
_LONGEST = 300  # characters of another library's words


class ValidationError(ValueError):
    """A value of the wrong type, as hooks of the converter raise it.

    Of a model it becomes an `InvalidResponseError`, of a user's type an `OutputError`.

    :ivar message: what was expected and what came, such as ``expected text, got null``.
    :ivar path: its place, such as ``items[3].id``, built up from the inside outwards.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.path)

    def inside(self, place: str) -> Self:
        """Make it the error that is seen from the container which holds the value under ``place``."""
        self.path = place if not self.path else f"{place}{'' if self.path[0] == '[' else '.'}{self.path}"
        return self


def json_type(value: object) -> str:
    """What JSON calls the type of ``value``."""
    return _JSON_TYPES.get(type(value), type(value).__name__)


def wrong(expected: str, value: object) -> ValidationError:
    """The error of a value where ``expected`` belongs."""
    return ValidationError(f"expected {expected}, got {json_type(value)}")


def validation_error_of(error: Exception) -> ValidationError:
    """What a hook of the converter raised, as the error that it means; of several the first."""
    found = error if isinstance(error, ValidationError) else error.__cause__
    if isinstance(found, ValidationError):
        return type(found)(found.message, found.path)
    if isinstance(error, ExceptionGroup):  # cattrs' own, one exception for each wrong value
        inner = cast("ExceptionGroup[Exception]", error).exceptions[0]
        error = validation_error_of(inner)
        for place in _places(inner):
            error.inside(place)
        return error
    if isinstance(error, KeyError) and error.args and error.args[0] in _places(error):
        return ValidationError("is missing")
    if isinstance(error, RecursionError):
        return ValidationError("nested too deeply")
    return _of_another_library(cast("Any", error))


def _places(error: BaseException) -> Iterator[str]:
    """Where cattrs saw it: its notes carry the attribute's name, or the index or key of an entry."""
    for note in getattr(error, "__notes__", ()):
        name = getattr(note, "name", None)
        index = getattr(note, "index", None)
        if isinstance(name, str):
            yield name
        elif isinstance(index, int):
            yield f"[{index}]"
        elif index is not None:
            text = str(index)
            yield text if text.isidentifier() else f"[{text!r}]"


def _of_another_library(error: Any) -> ValidationError:
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        return ValidationError(problem["msg"], _joined(problem["loc"]))
    words = str(error)[:_LONGEST] or type(error).__name__
    if isinstance(error, msgspec.ValidationError):
        text, _, place = words.partition(" - at `$")
        return ValidationError(text, re.sub(r"`$", "", place).removeprefix("."))
    return ValidationError(words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}")


def _joined(places: tuple[str | int, ...]) -> str:
    path = ValidationError("")
    for place in reversed(places):
        path.inside(f"[{place}]" if isinstance(place, int) else place)
    return path.path

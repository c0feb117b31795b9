"""Values that do not have the requested type, and their places."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self, cast

import msgspec

_JSON_TYPES: Final[dict[type, str]] = {
    dict: "an object",
    list: "an array",
    tuple: "an array",
    str: "text",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}
_LONGEST: Final = 300  # characters of another library's message


class ValidationError(ValueError):
    """The error that the hooks of this package raise for a value of the wrong type.

    It becomes an `InvalidResponseError` of a model, an `OutputError` of a user's type.

    :ivar message: what was expected and what came, such as ``expected text, got null``.
    :ivar path: its place, such as ``items[3].id``, built from the inside.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def inside(self, place: str) -> Self:
        """Add ``place``, the place of the value in its container, to the front of the path."""
        self.path = join(place, self.path)
        return self


def join(place: str, inner: str) -> str:
    """Return the place of a value from the place of its container and its place there."""
    return f"{place}.{inner}" if place and inner and inner[0] != "[" else place + inner


def json_type(value: object) -> str:
    """Return JSON's name of the type of ``value``."""
    return _JSON_TYPES.get(type(value), type(value).__name__)


def wrong(expected: str, value: object) -> ValidationError:
    """Return the error of a value in the place of ``expected``."""
    return ValidationError(f"expected {expected}, got {json_type(value)}")


def validation_error_of(error: Exception) -> ValidationError:
    """Return the error that a hook of the converter means; the first of several."""
    found = error if isinstance(error, ValidationError) else error.__cause__
    if isinstance(found, ValidationError):
        # msgspec itself adds the place of a value that another hook read.
        outer = _of_another_library(error).path if isinstance(error, msgspec.ValidationError) else ""
        return type(found)(found.message, join(outer, found.path))
    if isinstance(error, ExceptionGroup):  # cattrs' own, with one exception for each wrong value
        inner = cast("ExceptionGroup[Exception]", error).exceptions[0]
        first = validation_error_of(inner)
        for place in _places(inner):
            first.inside(place)
        return first
    if isinstance(error, KeyError) and error.args and error.args[0] in _places(error):
        return ValidationError("is missing")
    if isinstance(error, RecursionError):
        return ValidationError("nested too deeply")
    return _of_another_library(cast("Any", error))


def read_inside(place: str, hook: Callable[[Any, Any], Any], kind: Any, value: Any) -> Any:
    """Read the value at a place of a container.

    :raises ValidationError: the hook raised an error; ``path`` begins with the place.
    """
    try:
        return hook(value, kind)
    except Exception as error:  # noqa: BLE001 - a user's hook may raise anything
        cause = error.__cause__ if isinstance(error, ValidationError) else error
        raise validation_error_of(error).inside(place) from cause


def origin_of(error: BaseException | None) -> BaseException | None:
    """Return the exception of a user's hook or another library behind a `ValidationError`, if there is one.

    Groups of cattrs are left out, because they cannot be pickled.
    """
    if isinstance(error, ExceptionGroup):
        return origin_of(cast("ExceptionGroup[Exception]", error).exceptions[0])
    return origin_of(error.__cause__) if isinstance(error, ValidationError) else error


def _places(error: BaseException) -> Iterator[str]:
    """Yield the places in cattrs' notes: the attribute's name, or the index or key of an entry."""
    for note in getattr(error, "__notes__", ()):
        name = getattr(note, "name", None)
        index = getattr(note, "index", None)
        if isinstance(name, str):
            yield name
        elif isinstance(index, int):
            yield f"[{index}]"
        elif index is not None:
            yield _key_place(str(index))


def _key_place(key: str) -> str:
    return key if key.isidentifier() else f"[{key!r}]"


def of_pydantic(error: Any, value: Any) -> ValidationError:
    """Return the error of a pydantic model.

    pydantic's location also names members of unions and tags of models, which the value does not contain.

    :param error: its first problem is reported.
    :param value: the value that was validated.
    """
    problem = error.errors(include_url=False, include_input=False)[0]
    path, inner = "", value
    for place in problem["loc"]:
        if isinstance(inner, Mapping) and place in inner:
            path, inner = join(path, _key_place(str(place))), cast("Any", inner[place])
        elif isinstance(inner, list) and isinstance(place, int) and place < len(inner):  # pyright: ignore[reportUnknownArgumentType]
            path, inner = join(path, f"[{place}]"), cast("Any", inner[place])
    if problem["type"] == "missing":
        last = problem["loc"][-1]
        path = join(path, f"[{last}]" if isinstance(last, int) else _key_place(last))
    return ValidationError(problem["msg"], path)


def _of_another_library(error: Any) -> ValidationError:
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        path = ""
        for place in problem["loc"]:
            path = join(path, f"[{place}]" if isinstance(place, int) else place)
        return ValidationError(problem["msg"], path)
    words = str(error)[:_LONGEST] or type(error).__name__
    if isinstance(error, msgspec.ValidationError):
        text, _, place = words.partition(" - at `$")
        return ValidationError(text, re.sub(r"`$", "", place).removeprefix("."))
    return ValidationError(words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}")

"""Errors as JSON values and back, for task queues, journals and the command line."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import attrs

from .._data.text import encodes
from .attempts import Attempt, Headers, WriteOutcome


def to_json(name: str, value: Any) -> Any:
    """Return the value of an error's attribute of this name as a JSON value."""
    return None if value is None else _FORMS.get(name, _PLAIN)[0](value)


def from_json(name: str, data: Any) -> Any:
    """Return the value of an error's attribute of this name from `to_json`'s result."""
    return None if data is None else _FORMS.get(name, _PLAIN)[1](data)


def add_form(name: str, to: Callable[[Any], Any], back: Callable[[Any], Any]) -> None:
    """Declare how the attribute of this name becomes a JSON value and back."""
    _FORMS[name] = to, back


# -- values without a form in JSON: an object with one key names the form ----------------------------------------------


def _plain_to(value: Any) -> Any:
    if isinstance(value, str):
        text = str.__str__(value)
        return text if encodes(text) else {"surrogates": _base64(text.encode("utf-8", "surrogatepass"))}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _plain_from(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    tagged: dict[str, str] = cast("Any", data)
    if "float" in tagged:
        return float(tagged["float"])
    return base64.b64decode(tagged["surrogates"]).decode("utf-8", "surrogatepass")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _headers_to(headers: Mapping[str, str]) -> Any:
    # Pairs instead of an object, because a name may have a lone surrogate too.
    return [[_plain_to(name), _plain_to(value)] for name, value in headers.items()]


def _headers_from(data: list[list[Any]]) -> Headers:
    return Headers({_plain_from(name): _plain_from(value) for name, value in data})


def _texts_to(texts: tuple[str, ...]) -> Any:
    return [_plain_to(text) for text in texts]


def _texts_from(data: list[Any]) -> tuple[str, ...]:
    return tuple([_plain_from(entry) for entry in data])


def _attempts_to(attempts: tuple[Attempt, ...]) -> Any:
    return [
        {field.name: to_json(field.name, getattr(attempt, field.name)) for field in attrs.fields(Attempt)}
        for attempt in attempts
    ]


def _attempts_from(data: list[dict[str, Any]]) -> tuple[Attempt, ...]:
    known = {field.name for field in attrs.fields(Attempt)}  # another version may have more
    return tuple(
        [Attempt(**{name: from_json(name, value) for name, value in each.items() if name in known}) for each in data]
    )


_Form = tuple[Callable[[Any], Any], Callable[[Any], Any]]

_PLAIN: Final[_Form] = (_plain_to, _plain_from)
_FORMS: Final[dict[str, _Form]] = {
    "outcome": (str, WriteOutcome),
    "attempts": (_attempts_to, _attempts_from),
    "body": (_base64, base64.b64decode),
    "headers": (_headers_to, _headers_from),
    "pending": (_texts_to, _texts_from),
    "missing": (_texts_to, _texts_from),
    "names": (_texts_to, _texts_from),
    "notes": (_texts_to, _texts_from),
}

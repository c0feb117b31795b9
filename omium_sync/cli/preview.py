"""JSON for people: indented, made line by line as it is wanted, so that what is not shown is not made.

A value that takes kilobytes on the wire may take gigabytes once it is indented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from .output import json_text

__all__ = ["preview", "shortened"]

_INDENTED: Final = 16  # levels; what lies deeper is on the line of its beginning
_LONGEST: Final = 2000  # characters of a value on one line
_CUT: Final = "..."

_Entries = Iterator[tuple[str, Any]]


def preview(value: Any) -> Iterator[str]:
    """The lines of a value, each of bounded length."""
    return _lines(value, "", "", 0)


def shortened(text: str) -> str:
    """Text, of bounded length."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + _CUT


def _lines(value: Any, before: str, after: str, level: int) -> Iterator[str]:
    found = _container(value)
    if found is None or not value or level == _INDENTED:
        yield before + _on_one_line(value) + after
        return
    opening, closing, entries = found
    yield before + opening
    last = len(value) - 1
    for number, (label, item) in enumerate(entries):
        yield from _lines(item, "  " * (level + 1) + label, "" if number == last else ",", level + 1)
    yield "  " * level + closing + after


def _on_one_line(value: Any) -> str:
    pieces: list[str] = []
    length = 0
    for piece in _pieces(value):
        pieces.append(piece)
        length += len(piece)
        if length > _LONGEST:
            return shortened("".join(pieces))
    return "".join(pieces)


def _pieces(value: Any) -> Iterator[str]:
    """The text of a value on one line, piece by piece; with a stack of its own, for it may be deep."""
    opened: list[tuple[_Entries, str]] = [(iter([("", value)]), "")]
    comma = ""
    while opened:
        entries, closing = opened[-1]
        entry = next(entries, None)
        if entry is None:
            opened.pop()
            comma = ", "
            yield closing
            continue
        label, item = entry
        found = _container(item)
        if found is None:
            yield comma + label + _scalar(item)
            comma = ", "
        else:
            yield comma + label + found[0]
            comma = ""
            opened.append((found[2], found[1]))


def _container(value: Any) -> tuple[str, str, _Entries] | None:
    """How an object or array begins and ends, and what is in it; ``None`` for other values."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return "{", "}", ((f"{_scalar(name)}: ", item) for name, item in fields.items())
    if isinstance(value, list):
        return "[", "]", (("", item) for item in cast("Any", value))
    return None


def _scalar(value: Any) -> str:
    if isinstance(value, str) and len(value) > _LONGEST:
        return json_text(value[:_LONGEST]) + _CUT
    return json_text(value)

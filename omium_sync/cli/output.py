"""What is written to stdout and stderr: JSON for programs, and text that is safe to show.

Text of the service is data. Control characters in it are escaped, so that it can neither control a terminal nor add a
line.
"""

from __future__ import annotations

import contextlib
import enum
import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from omium_async._data.shown_json import show_json

_INVISIBLE: Final = (
    "\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f"
)
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_INVISIBLE}]")
_UNSAFE_IN_JSON: Final = re.compile(f"[{_INVISIBLE}]")  # JSON escapes the others itself
_LINES: Final = 60  # of one JSON value for people
_LONGEST_LINE: Final = 2000  # characters
_DEPTH: Final = 16  # levels that are indented
_INDENTED: Final = 64 * 1024  # bytes of JSON; larger values are not indented


class Output(enum.StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


def printable(text: object) -> str:
    """Return the text as one line, with escapes for characters that are invisible or control a terminal."""
    shown = str(text)
    return shown if shown.isprintable() else _UNSAFE.sub(_escape, shown)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return the value as JSON, with escapes for invisible characters in its strings."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if text.isprintable() else _UNSAFE_IN_JSON.sub(_escape_in_json, text)


def readable_json(value: Any) -> tuple[list[str], bool]:
    """Return the value as lines of indented JSON for people, and whether they are the whole value."""
    text, is_whole = show_json(value, most=_LINES * _LONGEST_LINE, depth=_DEPTH)
    lines = _UNSAFE_IN_JSON.sub(_escape_in_json, text).split("\n")
    shown = [shortened(line) for line in lines[:_LINES]]
    return shown, is_whole and shown == lines


def shortened(text: str) -> str:
    """Return the text, cut if it is too long for people to read."""
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "..."


def json_line(value: Any) -> bytes:
    """Return the value as one line of JSON, ten times as fast as `json_text`: lists may be long."""
    try:
        line = msgspec.json.encode(value)
    except (ValueError, OverflowError):  # a lone surrogate in a file's name
        return json_text(value).encode() + b"\n"
    if not line.isascii() or b"\x7f" in line:
        line = _UNSAFE_IN_JSON.sub(_escape_in_json, line.decode()).encode()
    return line + b"\n"


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _escape_in_json(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def complain(message: str, *, name: str = "omiumctl") -> None:
    """Write one line to stderr. If stderr is closed, the exit status must still be right, so errors are ignored."""
    with contextlib.suppress(OSError):
        click.echo(f"{name}: {printable(message)}", err=True)


def write_json(value: Any, output: Output = Output.JSON) -> None:
    """Write one value. The form ``json`` is indented, except large values: deep ones would grow a thousandfold."""
    line = json_line(value)
    if output is Output.JSON and len(line) <= _INDENTED:
        line = json_text(value, indent=2).encode() + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def write_json_rows(rows: Iterable[Any], output: Output) -> None:
    """Write values as they come, in flat memory: one on each line, or all as one array."""
    write = sys.stdout.buffer.write
    if output is Output.JSONL:
        for row in rows:
            write(json_line(row))
    else:
        separator = b"["
        for row in rows:
            write(separator + b"\n" + json_line(row)[:-1])
            separator = b","
        write(b"[]\n" if separator == b"[" else b"\n]\n")
    sys.stdout.buffer.flush()


def moment(value: datetime | None) -> str:
    """Return a time for people, in UTC; a time that has no form in UTC (year 0 or 10000) as it was sent."""
    if value is None:
        return ""
    try:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except OverflowError:
        return value.isoformat()

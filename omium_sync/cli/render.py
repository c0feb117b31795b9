"""What goes to stdout and stderr: JSON for programs, tables and lines for people.

Text of the service is data: control characters in it are escaped, so that it can neither steer a terminal nor add a
line, and it is never read as rich's markup.
"""

from __future__ import annotations

import enum
import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from omium_async._data.codec import encode

__all__ = [
    "Output",
    "complain",
    "console",
    "json_line",
    "json_text",
    "moment",
    "printable",
    "state_text",
    "write_json",
    "write_json_rows",
]

_INVISIBLE: Final = (
    "\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f"
)
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_INVISIBLE}]")
_UNSAFE_IN_JSON: Final = re.compile(f"[{_INVISIBLE}]")  # JSON escapes the others by itself
_WIDE: Final = 10_000  # of what is no terminal: nothing is cut there
_INDENTED: Final = 64 * 1024  # bytes of JSON
_STYLES: Final = {
    "completed": "green", "created": "green", "replayed": "green", "running": "cyan", "pending": "dim",
    "planned": "cyan", "paused": "yellow", "rolled_back": "yellow", "unknown": "yellow", "cancelled": "magenta",
    "failed": "red", "error": "red", "rejected": "red", "malformed": "red",
}  # fmt: skip


class Output(enum.StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


def printable(text: object) -> str:
    """The text in one line, what is invisible or steers a terminal in it as escapes."""
    shown = str(text)
    return shown if shown.isprintable() else _UNSAFE.sub(_escape, shown)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON, with what is invisible in its strings escaped: the same value, safe to look at."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if text.isprintable() else _UNSAFE_IN_JSON.sub(_escape_in_json, text)


def json_line(value: Any) -> bytes:
    """The same on one line, as fast as can be: lists are long."""
    try:
        line = encode(value)
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
    """One line on stderr."""
    click.echo(f"{name}: {printable(message)}", err=True)


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # where rich would end the process itself


def console(*, stderr: bool = False) -> Console:
    """Where people read; as wide as need be where they do not, so that programs find nothing cut off."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return _Screen(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def write_json(value: Any, output: Output = Output.JSON) -> None:
    """One value; for ``json`` indented, unless it is large: deep values take a thousand times the space then."""
    line = json_line(value)
    if output is Output.JSON and len(line) <= _INDENTED:
        line = json_text(value, indent=2).encode() + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def write_json_rows(rows: Iterable[Any], output: Output) -> None:
    """Values as they come, none kept: one a line, or as one array."""
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
    """A time as people read it, in UTC."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def state_text(state: str | None) -> Text:
    """A status or state in its colour."""
    return Text(printable(state or "-"), style=_STYLES.get(state or "", ""))

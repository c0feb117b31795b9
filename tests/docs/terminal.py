"""A terminal: runs commands, and keeps what is on its screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
_TOKEN = re.compile(r"\x1b\[(?P<numbers>[0-9;?]*)(?P<code>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)

#: Makes the terminal the controlling one, so that Ctrl-C in it reaches the command.
_TAKE_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@attrs.define
class Screen:
    """The screen: lines of characters, each with its style as ANSI numbers (`1;32`)."""

    lines: list[list[tuple[str, str]]] = attrs.field(factory=lambda: [[]])
    _row: int = 0
    _column: int = 0
    _style: str = ""

    def feed(self, text: str) -> Screen:
        """Show the output of a program: text, styles, and the codes that erase progress bars."""
        for token in _TOKEN.finditer(text):
            match token["code"], token["numbers"], token["text"]:
                case "m", numbers, _:
                    self._set_style(numbers)
                case "K", "2", _:
                    self.lines[self._row].clear()
                case "A", numbers, _:
                    self._row -= int(numbers or 1)
                case (("h" | "l"), "?25", _):  # the cursor
                    pass
                case None, _, "\r":
                    self._column = 0
                case None, _, "\n":
                    self._row, self._column = self._row + 1, 0
                    if self._row == len(self.lines):
                        self.lines.append([])
                case None, _, str(character) if character.isprintable():
                    self._put(character)
                case _:
                    raise ValueError(f"unknown to this terminal: {token[0]!r}")
        return self

    def _set_style(self, numbers: str) -> None:
        for number in numbers.split(";"):
            self._style = "" if number in {"", "0"} else f"{self._style};{number}".strip(";")

    def _put(self, character: str) -> None:
        line = self.lines[self._row]
        line += [(" ", "")] * (self._column - len(line))
        line[self._column : self._column + 1] = [(character, self._style)]
        self._column += 1

    def runs(self) -> list[list[tuple[str, str]]]:
        """Return the lines as pieces of one style each, without trailing spaces and empty lines."""
        found: list[list[tuple[str, str]]] = []
        for line in self.lines:
            pieces: list[tuple[str, str]] = []
            for character, style in line:
                if pieces and pieces[-1][1] == style:
                    pieces[-1] = (pieces[-1][0] + character, style)
                else:
                    pieces.append((character, style))
            while pieces and not pieces[-1][0].strip():
                pieces.pop()
            if pieces:
                pieces[-1] = (pieces[-1][0].rstrip(), pieces[-1][1])
            found.append(pieces)
        while found and not found[-1]:
            found.pop()
        return found

    def plain(self) -> str:
        """Return the text."""
        return "".join("".join(text for text, _ in line) + "\n" for line in self.runs())

    def styled(self) -> str:
        """Return the text with its styles as ANSI codes."""
        return "".join(
            "".join(f"\x1b[{style}m{text}\x1b[0m" if style else text for text, style in line) + "\n"
            for line in self.runs()
        )


def run(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    *,
    columns: int,
    meanwhile: Callable[[subprocess.Popen[bytes], int], None] | None = None,
) -> tuple[str, int]:
    """Run `omiumctl` in a terminal; return the final screen with styles, and the exit status.

    :param meanwhile: called with the process and the descriptor of the terminal once it has started.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "TZ": "UTC",
        **environment,
    }
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    command = [sys.executable, "-c", _TAKE_THE_TERMINAL, sys.executable, "-m", "omium_sync.cli", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=kept, start_new_session=True, **streams)
    os.close(theirs)
    if meanwhile is not None:
        meanwhile(process, ours)
    shown = b""
    with contextlib.suppress(OSError):  # Linux reports the closed end like this
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    return Screen().feed(shown.decode().replace("\r\n", "\n")).styled(), process.wait(30)

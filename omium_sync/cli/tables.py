"""Tables: for people as wide as their terminal, for spreadsheets as CSV."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .output import printable

_UNCUT: Final = 10_000  # columns: output that is not a terminal is never cut
_WHOLE: Final = frozenset({"id", "checkpoint", "name", "status", "outcome"})  # columns that are never cut
_ROWS_AT_ONCE: Final = 500
_GAP: Final = 2
_LONGEST_CELL: Final = 10_000  # characters; no terminal is as wide
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also as wide characters

#: The colour of each status of an execution and of each state of a batch.
STATUS_STYLES: Final = {
    "completed": "green", "created": "green", "replayed": "green", "running": "cyan", "pending": "dim",
    "planned": "cyan", "paused": "yellow", "rolled_back": "yellow", "unknown": "yellow", "cancelled": "magenta",
    "settled": "dim", "failed": "red", "error": "red", "rejected": "red", "malformed": "red",
}  # fmt: skip


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich itself would end the process


def screen(*, stderr: bool = False) -> Console:
    """Return a console for text of any origin, which rich does not read as its markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNCUT
    return _Screen(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def state_text(state: str | None) -> Text:
    """Return a status or state in its colour."""
    return Text(printable(state or "-"), style=STATUS_STYLES.get(state or "", ""))


class Table:
    """A table of any length in flat memory: printed in blocks of rows, each with headings.

    Ids and statuses are never cut, because users copy them. If the terminal is too narrow for them, each row is printed
    on several lines, one for each cell.

    :param numbers: the columns of numbers.
    :param aside: a context in which a progress bar is hidden.
    """

    def __init__(
        self,
        *columns: str,
        numbers: Iterable[str] = (),
        aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._columns = columns
        self._numbers = frozenset(numbers)
        self._aside = aside
        self._screen = screen()
        self._waiting: list[tuple[Text, ...]] = []
        self.count = 0

    def add(self, *cells: object) -> None:
        """Add one row. Cells are text of any origin, or styled already."""
        self.count += 1
        self._waiting.append(tuple(_cell(cell) for cell in cells))
        if len(self._waiting) == _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Print the rows that have not been printed."""
        if not self._waiting:
            return
        widths = [
            max(len(name), *(row[index].cell_len for row in self._waiting)) for index, name in enumerate(self._columns)
        ]
        # Older releases of rich also count a gap after the last column.
        excess = sum(widths) + _GAP * len(widths) - self._screen.width
        for index, name in reversed(list(enumerate(self._columns))):  # the last columns give way first
            if excess > 0 and name not in _WHOLE:
                cut = min(excess, widths[index] - len(name))
                widths[index] -= cut
                excess -= cut
        with self._aside():
            if excess > 0:
                self._print_stacked()
            else:
                self._screen.print(self._table(widths), soft_wrap=False)
        self._waiting.clear()

    def _table(self, widths: Sequence[int]) -> RichTable:
        table = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for name, width in zip(self._columns, widths, strict=True):
            table.add_column(
                name, width=width, justify="right" if name in self._numbers else "left", overflow="ellipsis"
            )
        for row in self._waiting:
            table.add_row(*row)
        return table

    def _print_stacked(self) -> None:
        """Print each cell on its own line, after the name of its column; leave empty cells out."""
        label = max(map(len, self._columns)) + _GAP
        for row in self._waiting:
            for name, cell in zip(self._columns, row, strict=True):
                if not cell.plain:
                    continue
                if label + cell.cell_len <= self._screen.width:
                    self._screen.print(Text.assemble((name.ljust(label), "bold"), cell))
                else:
                    self._screen.print(Text(name, style="bold"))
                    self._screen.print(Text.assemble("  ", cell), soft_wrap=name in _WHOLE, overflow="ellipsis")
            self._screen.print()


class CSVTable:
    """Comma-separated values (RFC 4180) on stdout, never cut off.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front, which spreadsheets do not show.
    """

    def __init__(self, *columns: str) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(columns)
        self.count = 0

    def add(self, *cells: object) -> None:
        """Add one row."""
        self.count += 1
        self._writer.writerow([_harmless(_plain(cell)) for cell in cells])
        if self.count % _ROWS_AT_ONCE == 0:
            self.flush()

    def flush(self) -> None:
        """Print the rows that have not been printed."""
        sys.stdout.buffer.write(self._text.getvalue().encode())
        sys.stdout.buffer.flush()
        self._text.seek(0)
        self._text.truncate()


def _plain(cell: object) -> str:
    return "" if cell is None else printable(cell.plain if isinstance(cell, Text) else cell)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(cell: object) -> Text:
    text = cell if isinstance(cell, Text) else Text(printable("" if cell is None else str(cell)[:_LONGEST_CELL]))
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text

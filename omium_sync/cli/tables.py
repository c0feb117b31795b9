"""Rows of a table: for people as wide as their terminal is, and as CSV for what reads that."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from rich.table import Table
from rich.text import Text

from .render import console, printable

__all__ = ["CSVRows", "RowWriter", "Rows"]

_ROWS_AT_ONCE: Final = 500
_GAP: Final = 2
_LONGEST_CELL: Final = 10_000  # characters; no terminal is as wide
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also as wide characters


class RowWriter(Protocol):
    """What rows are written to. :ivar count: how many there were."""

    count: int

    def add(self, *cells: object) -> None:
        """One row; cells are text of any origin, or styled already."""

    def flush(self) -> None:
        """Print what has not been printed."""


class Rows:
    """A table of any length in flat memory: printed in blocks, each with its headings.

    The columns of names in ``whole`` are never cut: ids are there to be copied. A terminal too narrow for them beside
    each other shows each row on lines of its own, one a cell.
    """

    def __init__(
        self,
        *columns: str,
        whole: Iterable[str] = ("id", "status"),
        numbers: Iterable[str] = (),
        aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._columns = columns
        self._whole = frozenset(whole)
        self._numbers = frozenset(numbers)
        self._aside = aside
        self._console = console()
        self._waiting: list[tuple[Text, ...]] = []
        self.count = 0

    def add(self, *cells: object) -> None:
        """One row; cells are text of any origin, or styled already."""
        self.count += 1
        self._waiting.append(tuple(_cell(cell) for cell in cells))
        if len(self._waiting) == _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Print what has not been printed."""
        if not self._waiting:
            return
        widths = [
            max(len(name), *(row[index].cell_len for row in self._waiting)) for index, name in enumerate(self._columns)
        ]
        needed = sum(
            width if name in self._whole else min(width, len(name))
            for name, width in zip(self._columns, widths, strict=True)
        )
        with self._aside():
            if needed + _GAP * (len(self._columns) - 1) > self._console.width:
                self._print_stacked()
            else:
                self._console.print(self._table(widths), soft_wrap=False)
        self._waiting.clear()

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for name, width in zip(self._columns, widths, strict=True):
            keep = name in self._whole
            table.add_column(
                name,
                no_wrap=keep,
                min_width=width if keep else None,
                justify="right" if name in self._numbers else "left",
                overflow="ellipsis",
            )
        for row in self._waiting:
            table.add_row(*row)
        return table

    def _print_stacked(self) -> None:
        """Each cell on a line of its own, under the name of its column; an empty one is left out."""
        label = max(map(len, self._columns)) + _GAP
        for row in self._waiting:
            for name, cell in zip(self._columns, row, strict=True):
                if not cell.plain:
                    continue
                if label + cell.cell_len <= self._console.width:
                    self._console.print(Text.assemble((name.ljust(label), "bold"), cell))
                else:
                    self._console.print(Text(name, style="bold"))
                    self._console.print(Text.assemble("  ", cell), soft_wrap=name in self._whole, overflow="ellipsis")
            self._console.print()


class CSVRows:
    """Comma-separated values (RFC 4180) on stdout, never cut off.

    A cell that a spreadsheet would take for a formula begins with an apostrophe, which spreadsheets do not show.
    """

    def __init__(self, *columns: str) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(columns)
        self.count = 0

    def add(self, *cells: object) -> None:
        """One row."""
        self.count += 1
        self._writer.writerow([_harmless(_plain(cell)) for cell in cells])
        if self.count % _ROWS_AT_ONCE == 0:
            self.flush()

    def flush(self) -> None:
        """Print what has not been printed."""
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

"""`omiumctl list --watch`: looks that grow rarer while nothing changes, on a terminal in place, else line by line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import click

from omium_sync import Execution

from .columns import Columns
from .execution import to_row
from .render import Output, complain, json_line

__all__ = ["watch"]

_FIRST: Final = 2.0  # seconds between two looks
_LONGEST: Final = 15.0
_GROWTH: Final = 1.5


def watch(look: Callable[[], Sequence[Execution]], columns: Columns, output: Output) -> None:
    """Show what ``look`` finds, again and again, until Ctrl-C. An outage is the SDK's to sit out, and to tell of."""
    in_place = output is Output.TABLE and sys.stdout.isatty()
    shown: dict[str, Execution] = {}
    pause = _FIRST
    while True:
        rows = look()
        now = {row.id: row for row in rows}
        changed = [row for row in rows if shown.get(row.id) != row]
        if in_place:
            _show_in_place(rows, columns)
        elif output is Output.TABLE:
            _add(changed, columns)
        else:
            sys.stdout.buffer.writelines(json_line(to_row(row)) for row in reversed(changed))
            sys.stdout.buffer.flush()
        pause = _FIRST if changed or shown.keys() - now.keys() else min(pause * _GROWTH, _LONGEST)
        shown = now
        time.sleep(pause)


def _show_in_place(rows: Sequence[Execution], columns: Columns) -> None:
    click.clear()
    table = columns.rows(Output.TABLE)
    for row in rows:
        table.add(*columns.cells(row))
    table.flush()
    complain(f"{len(rows)} at {time.strftime('%H:%M:%S')}; Ctrl-C ends", name="watching")


def _add(changed: Sequence[Execution], columns: Columns) -> None:
    """Where no terminal is: what is new or has changed, the oldest first."""
    table = columns.rows(Output.TABLE)
    for row in reversed(changed):
        table.add(*columns.cells(row))
    table.flush()
    sys.stdout.flush()

"""`omiumctl list --watch`: looks that grow rarer while nothing changes, on a terminal in place, else line by line."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import click

from omium_async import AsyncOmium, Execution
from omium_async._caller import Caller
from omium_async._executions import Executions
from omium_async._waiting.outage import Outage

from .columns import Columns
from .execution import to_row
from .render import Output, complain, json_line

__all__ = ["watch"]

_FIRST: Final = 2.0  # seconds between two looks
_LONGEST: Final = 15.0
_GROWTH: Final = 1.5


def watch(omium: AsyncOmium, asked: dict[str, Any], columns: Columns, output: Output) -> None:
    """Show what the list holds, again and again, until Ctrl-C; an outage is sat out as long as patience lasts.

    :param asked: what ``executions.list`` is asked for.
    """
    asyncio.run(_watch(omium, asked, columns, output))


async def _watch(omium: AsyncOmium, asked: dict[str, Any], columns: Columns, output: Output) -> None:
    caller = omium._caller  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    outage = Outage("the list of executions", caller.options.patience, telemetry=caller.telemetry)

    async def look(caller: Caller) -> list[Execution]:
        return [row async for row in Executions(caller).list(**asked)]

    in_place = output is Output.TABLE and sys.stdout.isatty()
    shown: dict[str, Execution] = {}
    pause = _FIRST
    async with omium:
        while True:
            rows = await outage.sat_out(caller, look)
            now = {row.id: row for row in rows}
            changed = [row for row in rows if shown.get(row.id) != row]
            if in_place:
                _show_in_place(rows, columns)
            else:
                _show_changes(changed, columns, output)
            pause = _FIRST if changed or shown.keys() - now.keys() else min(pause * _GROWTH, _LONGEST)
            shown = now
            await asyncio.sleep(pause)


def _show_in_place(rows: Sequence[Execution], columns: Columns) -> None:
    click.clear()
    table = columns.rows(Output.TABLE)
    for row in rows:
        table.add(*columns.cells(row))
    table.flush()
    complain(f"{len(rows)} at {time.strftime('%H:%M:%S')}; Ctrl-C ends", name="watching")


def _show_changes(changed: Sequence[Execution], columns: Columns, output: Output) -> None:
    """What is new or has changed, the oldest first."""
    if output is not Output.TABLE:
        sys.stdout.buffer.writelines(json_line(to_row(row)) for row in reversed(changed))
        sys.stdout.buffer.flush()
        return
    table = columns.rows(Output.TABLE)
    for row in reversed(changed):
        table.add(*columns.cells(row))
    table.flush()
    sys.stdout.flush()

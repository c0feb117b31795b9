"""`omiumctl list`, also with `--watch`, and `omiumctl count`."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import time
from typing import Any, Final

import click

from omium_async import AsyncOmium
from omium_async._caller import Caller
from omium_async._executions import Executions
from omium_async._patience import Patience
from omium_async._pause import growing_pause
from omium_sync import Execution, Omium

from ..columns import EXECUTION_COLUMNS, Columns, columns_option, write_rows
from ..connection import Connection, client_command, service_command
from ..options import filter_options, limit_option, output_option
from ..output import Output, complain, write_json
from ..progress import ProgressBar
from ..tables import screen

_ROWS_OF_A_TABLE: Final = 50
_LINES_AROUND: Final = 3  # the headings, the line below the table, and the cursor's
_PAUSES: Final = (2.0, 15.0)  # seconds between two reads of a watched list: the first and the longest


@service_command(
    "list",
    "omiumctl list --status failed --status error --since 1d",
    "omiumctl list --metadata team=search --columns id,status,input_data.query",
    "omiumctl list --since 2026-11-01 --output csv > november.csv",
    "omiumctl list --watch",
)
@filter_options("Only")
@limit_option(
    f"At most this number. Default: {_ROWS_OF_A_TABLE} in a table (with --watch: as many as fit the screen), "
    "otherwise all."
)
@click.option("--watch", "watching", is_flag=True, help="Continue, and show changes, until Ctrl-C.")
@columns_option
@output_option(*Output)
def list_command(
    connection: Connection,
    /,
    filters: dict[str, Any],
    limit: int | None,
    watching: bool,
    columns: Columns | None,
    output: Output,
) -> None:
    """List executions, newest first, each once, also while the list changes.

    With --output json, jsonl or csv a list of any length is written in flat memory.
    """
    if columns is not None and output not in (Output.TABLE, Output.CSV):
        raise click.UsageError("--columns is for tables and csv; JSON has every field")
    if watching and output in (Output.JSON, Output.CSV):
        raise click.UsageError("--watch has no end; use it with a table or --output jsonl")
    chosen = columns or EXECUTION_COLUMNS
    if limit is None and (output is Output.TABLE or watching):
        limit = _ROWS_OF_A_TABLE
        if watching and sys.stdout.isatty():  # the newest rows, which are at the top, must stay on the screen
            limit = max(1, min(limit, shutil.get_terminal_size().lines - _LINES_AROUND))
    if watching:
        asyncio.run(_watch(connection.async_client(), {**filters, "limit": limit}, chosen, output))
        return
    with connection.client() as omium:
        if output in (Output.JSON, Output.JSONL):
            rows = omium.executions.list(**filters, limit=limit)
            with ProgressBar("listing", limit, lines=False, beside=True) as progress:
                write_rows(progress.over(rows), chosen, output)
            return
        one_more = limit if limit is None or output is Output.CSV else limit + 1  # shows whether there are more
        rows = omium.executions.list(**filters, limit=one_more)
        write_rows(itertools.islice(rows, limit), chosen, output, nothing="no executions" if limit != 0 else None)
        if next(rows, None) is not None:
            click.echo(f"... more than these {limit}; --limit shows more")


async def _watch(omium: AsyncOmium, which: dict[str, Any], columns: Columns, output: Output) -> None:
    """Read the list again and again, less often while nothing changes. Wait out an outage for `patience`."""
    caller = omium._caller  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    patience = Patience(caller, "list of executions", caller.options.patience)

    async def read(caller: Caller) -> list[Execution]:
        return [row async for row in Executions(caller).list(**which)]

    console = screen()
    in_place = output is Output.TABLE and console.is_terminal and not console.is_dumb_terminal
    known: dict[str, Execution] = {}
    unchanged = 0  # reads since the last change
    async with omium:
        while True:
            rows = await patience.read(read)
            now = {row.id: row for row in rows}
            changed = [row for row in rows if known.get(row.id) != row]
            if in_place:
                console.clear()
                write_rows(rows, columns, output)
                complain(f"{len(rows)} at {time.strftime('%H:%M:%S')}; stop with Ctrl-C", name="watching")
            else:
                write_rows(changed[::-1], columns, output)
                sys.stdout.flush()
            unchanged = 0 if changed or known.keys() - now.keys() else unchanged + 1
            known = now
            await asyncio.sleep(growing_pause(unchanged, _PAUSES))


@client_command(
    "count",
    "omiumctl count --status failed",
    "omiumctl count --status failed --since 1d --metadata team=search",
    "omiumctl count --workflow-id report --output json",
)
@filter_options("Count only")
@output_option()
def count_command(omium: Omium, /, filters: dict[str, Any], output: Output) -> None:
    """Count executions.

    This takes one request. With --since, --before, --metadata or several --status the whole list is read.
    """
    if filters.keys() <= {"workflow_id", "status"} and not isinstance(filters.get("status"), list):
        found = omium.executions.count(**filters)
    else:
        found = sum(1 for _ in omium.executions.list(**filters, page_size=1000))
    if output is Output.TABLE:
        click.echo(found)
    else:
        write_json({"count": found}, output)

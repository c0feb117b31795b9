"""`omiumctl list`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import click

from omium_async import AsyncOmium
from omium_sync import Execution

from ..arguments import output_option
from ..columns import USUAL, Columns, columns_option
from ..connection import Connection, connection_options, pass_connection
from ..execution import to_row
from ..filters import filter_options, given_filters
from ..progress import Progress
from ..render import Output, write_json_rows
from ..watching import watch

__all__ = ["list_"]

_ROWS_OF_A_TABLE: Final = 50


@click.command(
    "list",
    short_help="List executions.",
    epilog="""\b
Examples:
  omiumctl list --status failed --status error --since 1d
  omiumctl list --metadata team=search --columns id,status,input_data.query
  omiumctl list --since 2026-11-01 --output csv > november.csv
  omiumctl list --watch""",
)
@filter_options("Only")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most so many [{_ROWS_OF_A_TABLE} in a table, else all].",
)
@click.option(
    "--page-size", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="Rows a request."
)
@click.option("--watch", "watching", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@columns_option
@output_option(*Output)
@connection_options()
@pass_connection
def list_(
    connection: Connection,
    /,
    limit: int | None,
    page_size: int,
    watching: bool,
    columns: Columns | None,
    output: Output,
    **filters: Any,
) -> None:
    """List executions, newest first, none twice and none left out.

    With --output jsonl or csv a list of any length goes through in flat memory, each row as it comes.
    """
    if columns is not None and output not in (Output.TABLE, Output.CSV):
        raise click.UsageError("--columns is for a table or csv; programs that read JSON find every field in it")
    if watching and output in (Output.JSON, Output.CSV):
        raise click.UsageError("--watch goes with a table or --output jsonl: it has no end")
    chosen = columns or Columns(USUAL)
    asked = given_filters(**filters)
    if limit is None and (output is Output.TABLE or watching):
        limit = _ROWS_OF_A_TABLE
    if watching:
        watch(connection.made(AsyncOmium), {**asked, "limit": limit}, chosen, output)
        return
    with connection.client() as omium:
        if output in (Output.TABLE, Output.CSV):
            most = limit if limit is None or output is Output.CSV else limit + 1  # one more: are there more?
            rows = omium.executions.list(**asked, page_size=page_size, limit=most)
            _table(rows, limit, chosen, output)
        else:
            rows = omium.executions.list(**asked, page_size=page_size, limit=limit)
            with Progress("listing", limit, lines=False, beside=True) as progress:
                write_json_rows(progress.over(to_row(execution) for execution in rows), output)


def _table(found: Iterator[Execution], limit: int | None, columns: Columns, output: Output) -> None:
    rows = columns.rows(output)
    for execution in itertools.islice(found, limit):
        rows.add(*columns.cells(execution, output))
    rows.flush()
    if output is Output.CSV:
        return
    if not rows.count and limit != 0:
        click.echo("no executions")
    elif next(found, None) is not None:
        click.echo(f"... there are more than these {rows.count}: see --limit")

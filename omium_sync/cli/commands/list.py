"""`omiumctl list`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import click

from omium_sync import Execution, ExecutionStatus

from .. import arguments
from ..arguments import output_option
from ..connection import Connection, connection_options, pass_connection
from ..execution import to_row
from ..progress import Progress
from ..render import Output, Rows, moment, state_text, write_json_rows

__all__ = ["list_"]

_ROWS_OF_A_TABLE: Final = 50


@click.command("list", short_help="List executions.")
@click.option("--workflow-id", type=arguments.name, metavar="W", help="Only those of this workflow.")
@click.option(
    "--status", type=arguments.name, metavar="STATUS", help="Only these: pending, running, completed, failed, ..."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most so many [{_ROWS_OF_A_TABLE} in a table, else all].",
)
@click.option(
    "--page-size", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="Rows a request."
)
@output_option(*Output)
@connection_options()
@pass_connection
def list_(
    connection: Connection,
    /,
    workflow_id: str | None,
    status: str | None,
    limit: int | None,
    page_size: int,
    output: Output,
) -> None:
    """List executions, newest first, none twice and none left out.

    With --output jsonl a list of any length goes through in flat memory, each row as it comes.
    """
    if output is Output.TABLE and limit is None:
        limit = _ROWS_OF_A_TABLE
    asked = limit if output is not Output.TABLE or limit is None else limit + 1  # one more: are there more?
    with connection.client() as omium:
        found = omium.executions.list(
            workflow_id=workflow_id,
            status=None if status is None else ExecutionStatus(status),
            page_size=page_size,
            limit=asked,
        )
        if output is Output.TABLE:
            _table(found, limit)
        else:
            with Progress("listing", limit, lines=False, beside=True) as progress:
                write_json_rows(progress.over(to_row(execution) for execution in found), output)


def _table(found: Iterator[Execution], limit: int | None) -> None:
    rows = Rows("id", "workflow", "status", "created", "error")
    for execution in itertools.islice(found, limit):
        rows.add(
            execution.id,
            execution.workflow_id,
            state_text(execution.status),
            moment(execution.created_at),
            execution.error,
        )
    rows.flush()
    if not rows.count and limit != 0:
        click.echo("no executions")
    elif next(found, None) is not None:
        click.echo(f"... there are more than these {rows.count}: see --limit")

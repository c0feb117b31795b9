"""`omiumctl list`, `show` and `wait`: what reads executions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import click

from omium_sync import SETTLED, Execution, ExecutionDetail, ExecutionStatus, MissingExecutionsError, WaitTimeoutError

from . import arguments
from .arguments import output_option
from .connection import Connection, connection_options, pass_connection
from .failures import Failure
from .progress import Progress
from .render import Output, Rows, complain, moment, state_text, write_json, write_json_rows
from .show import to_row, verdict, write_execution

__all__ = ["list_", "show", "wait"]

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
        found = omium.executions.list(workflow_id=workflow_id, status=status, page_size=page_size, limit=asked)
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


@click.command(short_help="Show one execution.")
@click.argument("execution_id", type=arguments.execution_id)
@output_option(*Output)
@connection_options()
@pass_connection
def show(connection: Connection, /, execution_id: str, output: Output) -> None:
    """Show one execution: its status, its checkpoints, what went in and what came out."""
    with connection.client() as omium:
        write_execution(omium.executions.get(execution_id), output)


@click.command(short_help="Wait until executions have settled.")
@click.argument("execution_ids", type=arguments.execution_id, nargs=-1, required=True, metavar="EXECUTION_ID...")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long [never].")
@click.option(
    "--poll-interval",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Between looks, at first; it grows [0.5 to 10].",
)
@click.option(
    "--until",
    type=arguments.name,
    multiple=True,
    metavar="STATUS",
    help="Wait for this one, may be repeated [any settled one].",
)
@output_option(*Output)
@connection_options(without=("--timeout",))
@pass_connection
def wait(
    connection: Connection, /, execution_ids: tuple[str, ...], until: tuple[str, ...], output: Output, **polling: Any
) -> int:
    """Wait until executions have settled; exit with 1 if one of them failed or was cancelled, unless --until asks so.

    Settled are: completed, failed, cancelled, paused, rolled_back, error.
    """
    statuses = until or SETTLED
    for unknown in sorted(set(until) - {status.value for status in ExecutionStatus}):
        complain(f"warning: {unknown} is no status that this version knows; it is waited for all the same")
    with connection.client() as omium:
        if len(execution_ids) == 1:
            with Progress("waiting", 1, lines=False):
                settled = omium.executions.wait(execution_ids[0], until=statuses, **polling)
            write_execution(settled, output)
            return 0 if until else verdict([settled])
        found = omium.executions.wait_many(execution_ids, until=statuses, **polling)
        with Progress("waiting", len(execution_ids), lines=False, beside=output is Output.JSONL) as progress:
            ended = list(progress.over(_written(found, output, progress)))
    return 0 if until else verdict(ended)


def _written(found: Iterator[ExecutionDetail], output: Output, progress: Progress) -> Iterator[ExecutionDetail]:
    """Those that have settled, each written as it comes; also those before a failure."""
    rows = Rows("id", "workflow", "status", "error", aside=progress.aside)
    kept: list[dict[str, Any]] = []
    try:
        for execution in found:
            if output is Output.JSONL:
                write_json(to_row(execution), output)
            elif output is Output.JSON:
                kept.append(to_row(execution))
            else:
                rows.add(execution.id, execution.workflow_id, state_text(execution.status), execution.error)
            yield execution
    except MissingExecutionsError as error:
        raise Failure(f"{error}: {', '.join(error.missing)}") from None
    except WaitTimeoutError as error:
        raise Failure(str(error)) from None
    finally:
        rows.flush()
        if output is Output.JSON:
            write_json(kept)

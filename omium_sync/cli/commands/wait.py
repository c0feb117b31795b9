"""`omiumctl wait`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from omium_sync import SETTLED, Execution, ExecutionStatus, MissingExecutionsError

from .. import options
from ..connection import Connection, service_command
from ..endings import CommandFailed
from ..execution import to_row, write_settled
from ..options import STATUSES, Number, output_option
from ..output import Output, write_json
from ..progress import ProgressBar
from ..tables import Table, state_text


@service_command(
    "wait",
    "omiumctl wait exec_abc --timeout 600",
    "omiumctl wait exec_abc exec_def --output jsonl",
    "omiumctl wait exec_abc --until completed --until failed",
    without=("--timeout",),
)
@click.argument("execution_ids", type=options.execution_id, nargs=-1, required=True, metavar="EXECUTION_ID...")
@click.option("--timeout", type=Number(float, least=0), metavar="SECONDS", help="Stop waiting then. Default: no limit.")
@click.option(
    "--poll-interval",
    type=Number(float, above=0),
    metavar="SECONDS",
    help="The first delay between two polls; it grows. Default: 0.5, growing to 10.",
)
@click.option(
    "--until",
    type=click.Choice(STATUSES),
    multiple=True,
    metavar="STATUS",
    help="The status to wait for. Repeat it for several. Default: any settled one.",
)
@output_option()
def command(
    connection: Connection, /, execution_ids: tuple[str, ...], until: tuple[str, ...], output: Output, **polling: Any
) -> int:
    """Wait until executions have settled: completed, failed, cancelled, paused, rolled_back or error.

    The exit status is 1 if one of them failed or was cancelled, except with --until.
    """
    statuses = tuple(map(ExecutionStatus, until)) or SETTLED
    with connection.client() as omium:
        if len(execution_ids) == 1:
            with ProgressBar("waiting", 1, lines=False):
                settled = omium.executions.wait(execution_ids[0], until=statuses, **polling)
            return write_settled([settled], output, judged=not until)
        found = omium.executions.wait_many(execution_ids, until=statuses, **polling)
        with ProgressBar("waiting", len(execution_ids), lines=False, beside=output is Output.JSONL) as progress:
            ended = list(progress.over(_written(found, output, progress)))
    return write_settled(ended, None, judged=not until)


def _written(found: Iterator[Execution], output: Output, progress: ProgressBar) -> Iterator[Execution]:
    """Write each execution when it has settled, also if the wait fails later."""
    table = Table("id", "workflow", "status", "error", aside=progress.aside)
    kept: list[dict[str, Any]] = []
    try:
        for execution in found:
            if output is Output.JSONL:
                write_json(to_row(execution), output)
            elif output is Output.JSON:
                kept.append(to_row(execution))
            else:
                table.add(execution.id, execution.workflow_id, state_text(execution.status), execution.error)
            yield execution
    except MissingExecutionsError as error:
        what = "execution" if len(error.missing) == 1 else "executions"
        raise CommandFailed(f"the service has no {what} {', '.join(error.missing)}") from None
    finally:
        table.flush()
        if output is Output.JSON:
            write_json(kept)

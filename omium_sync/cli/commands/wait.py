"""`omiumctl wait`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from omium_sync import SETTLED, Execution, ExecutionStatus, MissingExecutionsError, WaitTimeoutError

from .. import arguments
from ..arguments import output_option
from ..connection import Connection, connection_options, pass_connection
from ..execution import to_row, verdict, write_execution
from ..failures import Failure
from ..progress import Progress
from ..render import Output, state_text, write_json
from ..tables import Rows

__all__ = ["wait"]


@click.command(
    short_help="Wait until executions have settled.",
    epilog="""\b
Examples:
  omiumctl wait exec_abc --timeout 600
  omiumctl wait exec_abc exec_def --output jsonl
  omiumctl wait exec_abc --until completed --until failed""",
)
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
    type=click.Choice([status.value for status in ExecutionStatus]),
    multiple=True,
    metavar="STATUS",
    help="Wait for this one, may be repeated [any settled one].",
)
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options(without=("--timeout",))
@pass_connection
def wait(
    connection: Connection, /, execution_ids: tuple[str, ...], until: tuple[str, ...], output: Output, **polling: Any
) -> int:
    """Wait until executions have settled; exit with 1 if one of them failed or was cancelled, unless --until asks so.

    Settled are: completed, failed, cancelled, paused, rolled_back, error.
    """
    statuses = tuple(map(ExecutionStatus, until)) or SETTLED
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


def _written(found: Iterator[Execution], output: Output, progress: Progress) -> Iterator[Execution]:
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
        what = "execution" if len(error.missing) == 1 else "executions"
        raise Failure(f"the service knows no {what} {', '.join(error.missing)}") from None
    except WaitTimeoutError as error:
        raise Failure(str(error)) from None
    finally:
        rows.flush()
        if output is Output.JSON:
            write_json(kept)

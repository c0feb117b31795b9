"""`omiumctl create` and `wait`: start an execution, and wait for any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from omium_sync import SETTLED, Execution, ExecutionStatus, MissingExecutionsError

from .. import options
from ..columns import to_row, write_execution, write_settled
from ..connection import Connection, service_command
from ..endings import CommandFailed, note_at_interrupt, say_if_unwritten, sdk_arguments
from ..ids import Ids, ids_argument
from ..options import STATUSES, Number, json_option, output_option
from ..output import Output, write_json
from ..progress import ProgressBar
from ..tables import Table, state_text


@service_command(
    "create",
    "omiumctl create report --input '{\"day\": 3}'",
    'omiumctl create report --input @day.json --metadata \'{"team": "search"}\' --wait',
    without=("--timeout",),
    context_settings={"allow_extra_args": True},
)
@click.argument("workflow_id", type=options.name)
@json_option("--input", "input_data", "The input of the workflow: JSON, @FILE, or @- for stdin.")
@json_option("--metadata", "metadata", "A JSON object that is stored with the execution.")
@click.option("--agent-id", type=options.name, metavar="ID", help="The agent that runs it.")
@click.option(
    "--idempotency-key", type=options.name, metavar="KEY", help="Sent as Idempotency-Key. Default: a random key."
)
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@click.option(
    "--timeout",
    type=Number(float, above=0),
    metavar="SECONDS",
    help="For the call; with --wait for the call and the wait together.",
)
@output_option()
def create_command(connection: Connection, /, output: Output, wait: bool, timeout: float | None, **request: Any) -> int:
    """Start an execution of the workflow WORKFLOW_ID."""
    context = click.get_current_context()
    if context.args:
        raise click.UsageError(f"{context.args[0]!r} is not expected here; give the input as --input '...'")
    unknown = note_at_interrupt("it is not known whether an execution was created")
    if wait:
        with connection.client() as omium, ProgressBar("running", 1, lines=False), unknown, sdk_arguments():
            settled = omium.executions.run(**request, timeout=timeout)
        return write_settled([settled], output)
    limit = {} if timeout is None else {"timeout": timeout}
    with connection.client(**limit) as omium:
        with unknown, sdk_arguments():
            created = omium.executions.create(**request)
        with say_if_unwritten(f"execution {created.id} was created"):
            write_execution(created, output)
    return 0


@service_command(
    "wait",
    "omiumctl wait exec_abc --timeout 600",
    "omiumctl wait exec_abc exec_def --output jsonl",
    "omiumctl wait exec_abc --until completed --until failed",
    "omiumctl list --status running --output jsonl | omiumctl wait -",
    without=("--timeout",),
)
@ids_argument()
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
def wait_command(
    connection: Connection, /, execution_ids: Ids, until: tuple[str, ...], output: Output, **polling: Any
) -> int:
    """Wait until executions have settled: completed, failed, cancelled, paused, rolled_back or error.

    The exit status is 1 if one of them failed or was cancelled, except with --until.
    """
    statuses = tuple(map(ExecutionStatus, until)) or SETTLED
    with connection.client() as omium:
        if execution_ids.single is not None:
            with ProgressBar("waiting", 1, lines=False):
                settled = omium.executions.wait(execution_ids.single, until=statuses, **polling)
            return write_settled([settled], output, judged=not until)
        found = omium.executions.wait_many(execution_ids.all, until=statuses, **polling)
        with ProgressBar("waiting", len(execution_ids.all), lines=False, beside=output is Output.JSONL) as progress:
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

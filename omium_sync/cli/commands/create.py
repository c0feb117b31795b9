"""`omiumctl create`."""

from __future__ import annotations

from typing import Any

import click

from .. import options
from ..connection import Connection, service_command
from ..endings import note_at_interrupt, say_if_unwritten, sdk_arguments
from ..execution import write_execution, write_settled
from ..options import Number, json_option, output_option
from ..output import Output
from ..progress import ProgressBar


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
def command(connection: Connection, /, output: Output, wait: bool, timeout: float | None, **request: Any) -> int:
    """Start an execution of the workflow WORKFLOW_ID."""
    context = click.get_current_context()
    if context.args:
        raise click.UsageError(f"{context.args[0]!r} is not expected here; give the input as --input '...'")
    unknown = note_at_interrupt("it is not known whether an execution was created")
    if wait:
        with connection.client() as omium, ProgressBar("running", 1, lines=False), unknown, sdk_arguments():
            settled = omium.executions.run(**request, timeout=timeout)
        return write_settled([settled], output)
    if timeout is not None:
        connection.timeout = timeout
    with connection.client() as omium:
        with unknown, sdk_arguments():
            created = omium.executions.create(**request)
        with say_if_unwritten(f"execution {created.id} was created"):
            write_execution(created, output)
    return 0

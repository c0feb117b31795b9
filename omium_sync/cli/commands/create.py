"""`omiumctl create`."""

from __future__ import annotations

from typing import Any

import click

from .. import arguments
from ..arguments import json_option, output_option
from ..connection import Connection, connection_options, pass_connection
from ..execution import verdict, write_execution
from ..failures import sdk_arguments
from ..progress import Progress
from ..render import Output
from ..telling import RunsOn, told_if_not_written

__all__ = ["create"]


@click.command(
    short_help="Start an execution.",
    epilog="""\b
Examples:
  omiumctl create report --input '{"day": 3}'
  omiumctl create report --input @day.json --metadata '{"team": "search"}' --wait""",
)
@click.argument("workflow_id", type=arguments.name)
@json_option("--input", "input_data", "What the workflow is given: JSON, @FILE, or @- for stdin.")
@json_option("--metadata", "metadata", "A JSON object of your own, kept with the execution.")
@click.option("--agent-id", type=arguments.name, metavar="ID", help="The agent to run it.")
@click.option("--idempotency-key", type=arguments.name, metavar="KEY", help="Sent as Idempotency-Key [one is made up].")
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For the call; with --wait, for the call and the wait together.",
)
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options(without=("--timeout",))
@pass_connection
def create(connection: Connection, /, output: Output, wait: bool, timeout: float | None, **request: Any) -> int:
    """Start an execution of the workflow WORKFLOW_ID."""
    runs_on = RunsOn("created")
    if wait:
        with connection.client() as omium, Progress("running", 1, lines=False), runs_on, sdk_arguments():
            settled = omium.executions.run(**request, timeout=timeout, on_created=runs_on.created)
        write_execution(settled, output)
        return verdict([settled])
    if timeout is not None:
        connection.timeout = timeout
    with connection.client() as omium:
        with runs_on, sdk_arguments():
            created = omium.executions.create(**request)
        with told_if_not_written(f"execution {created.id} was created"):
            write_execution(created, output)
    return 0

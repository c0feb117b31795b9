"""`omiumctl show`."""

from __future__ import annotations

import click

from .. import arguments
from ..arguments import output_option
from ..connection import Connection, connection_options, pass_connection
from ..execution import write_execution
from ..render import Output

__all__ = ["show"]


@click.command(
    short_help="Show one execution.",
    epilog="""\b
Examples:
  omiumctl show exec_abc
  omiumctl show exec_abc --output json | jq .output_data""",
)
@click.argument("execution_id", type=arguments.execution_id)
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def show(connection: Connection, /, execution_id: str, output: Output) -> None:
    """Show one execution: its status, its checkpoints, what went in and what came out."""
    with connection.client() as omium:
        write_execution(omium.executions.get(execution_id), output)

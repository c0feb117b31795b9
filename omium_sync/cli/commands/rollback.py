"""`omiumctl rollback`."""

from __future__ import annotations

import click

from .. import arguments
from ..arguments import output_option
from ..checkpoints import checkpoint_options, missing_checkpoints, only_one_checkpoint, write_move
from ..connection import Connection, connection_options, pass_connection
from ..render import Output

__all__ = ["rollback"]


@click.command(
    short_help="Take an execution back to a checkpoint.",
    epilog="""\b
Examples:
  omiumctl rollback exec_abc --checkpoint-name fetched""",
)
@click.argument("execution_id", type=arguments.execution_id)
@checkpoint_options
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def rollback(
    connection: Connection, /, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None, output: Output
) -> None:
    """Take an execution back to a checkpoint: what came after is discarded, and it is paused."""
    if checkpoint_id is None and checkpoint_name is None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name: what comes after it is discarded")
    only_one_checkpoint(checkpoint_id, checkpoint_name)
    with connection.client() as omium, missing_checkpoints():
        result = omium.executions.rollback(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
    write_move(result, result.id, output)

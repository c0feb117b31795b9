"""`omiumctl rollback`."""

from __future__ import annotations

import click

from .. import options
from ..connection import Connection, service_command
from ..execution import write_move
from ..options import can_ask, checkpoint_options, confirm, one_checkpoint, output_option, yes_option
from ..output import Output, printable


@service_command(
    "rollback",
    "omiumctl rollback exec_abc --checkpoint-name fetched",
    "omiumctl rollback exec_abc --checkpoint-name fetched --yes",
)
@click.argument("execution_id", type=options.execution_id)
@checkpoint_options
@yes_option
@output_option()
def command(
    connection: Connection,
    /,
    execution_id: str,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    yes: bool,
    output: Output,
) -> None:
    """Take an execution back to a checkpoint. Later checkpoints are discarded, and the execution is paused.

    On a terminal it asks first.
    """
    one_checkpoint(checkpoint_id, checkpoint_name)
    target = checkpoint_id if checkpoint_name is None else checkpoint_name
    if target is None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name: later checkpoints are discarded")
    if not yes and can_ask():
        confirm(f"Discard all that execution {printable(execution_id)} did after checkpoint {printable(target)}?")
    with connection.client() as omium:
        result = omium.executions.rollback(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
    write_move(result, result.id, output)

"""`omiumctl checkpoints`."""

from __future__ import annotations

import click

from .. import options
from ..connection import Connection, service_command
from ..execution import print_facts, print_json
from ..options import output_option
from ..output import Output, moment, write_json_rows
from ..tables import Table


@service_command(
    "checkpoints",
    "omiumctl checkpoints exec_abc",
    "omiumctl checkpoints exec_abc --state --output jsonl",
)
@click.argument("execution_id", type=options.execution_id)
@click.option("--state", "with_state", is_flag=True, help="Show the state of each, with one request for each.")
@output_option()
def command(connection: Connection, /, execution_id: str, with_state: bool, output: Output) -> None:
    """List the checkpoints of an execution, and with --state what each of them contains."""
    with connection.client() as omium:
        found = omium.checkpoints.list(execution_id)
        if with_state:
            found = (omium.checkpoints.get(checkpoint.id) for checkpoint in found)
        if output is not Output.TABLE:
            write_json_rows((checkpoint.to_dict() for checkpoint in found), output)
            return
        table = Table("checkpoint", "name", "created", whole=("checkpoint", "name"))
        is_empty = True
        for checkpoint in found:
            is_empty = False
            created = moment(checkpoint.created_at)
            if with_state:
                print_facts({"checkpoint": checkpoint.id, "name": checkpoint.name, "created": created})
                print_json("state", checkpoint.state)
            else:
                table.add(checkpoint.id, checkpoint.name, created)
        table.flush()
    if is_empty:
        click.echo("no checkpoints")

"""`omiumctl delete`."""

from __future__ import annotations

import click

from omium_sync import OmiumError

from .. import options
from ..connection import Connection, service_command
from ..endings import REFUSED
from ..options import can_ask, confirm, output_option, yes_option
from ..output import Output, complain, write_json
from ..tables import Table


@service_command(
    "delete",
    "omiumctl delete exec_abc",
    "omiumctl delete exec_abc exec_def --yes",
)
@click.argument("execution_ids", type=options.execution_id, nargs=-1, required=True, metavar="EXECUTION_ID...")
@yes_option
@output_option()
def command(connection: Connection, /, execution_ids: tuple[str, ...], yes: bool, output: Output) -> int:
    """Delete executions with their checkpoints. There is no undo.

    On a terminal it asks; without one it requires --yes. An execution that cannot be deleted is reported, and the
    others are deleted; the exit status is 1 then.
    """
    what = execution_ids[0] if len(execution_ids) == 1 else f"{len(execution_ids):,} executions"
    if not yes and not can_ask():
        raise click.UsageError(f"there is no terminal to ask before {what} is deleted: give --yes")
    if not yes:
        confirm(f"Delete {what} permanently?")
    deleted: list[str] = []
    with connection.client() as omium:
        try:
            for execution_id in dict.fromkeys(execution_ids):
                try:
                    omium.executions.delete(execution_id)
                except OmiumError as error:
                    complain(str(error))
                else:
                    deleted.append(execution_id)
        finally:  # what was deleted is printed also after Ctrl-C
            _write(deleted, output)
    return 0 if len(deleted) == len(set(execution_ids)) else REFUSED


def _write(deleted: list[str], output: Output) -> None:
    if output is Output.JSON:
        write_json([{"id": execution_id, "deleted": True} for execution_id in deleted])
        return
    table = Table("id", "outcome")
    for execution_id in deleted:
        if output is Output.JSONL:
            write_json({"id": execution_id, "deleted": True}, output)
        else:
            table.add(execution_id, "deleted")
    table.flush()

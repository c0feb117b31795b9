"""`omiumctl show`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from omium_sync import ExecutionDetail, Omium, OmiumError

from .. import options
from ..connection import Connection, service_command
from ..endings import REFUSED
from ..execution import to_row, write_execution
from ..options import output_option
from ..output import Output, complain, write_json_rows


@service_command(
    "show",
    "omiumctl show exec_abc",
    "omiumctl show exec_abc exec_def",
    "omiumctl show exec_abc --output json | jq .output_data",
)
@click.argument("execution_ids", type=options.execution_id, nargs=-1, required=True, metavar="EXECUTION_ID...")
@output_option()
def command(connection: Connection, /, execution_ids: tuple[str, ...], output: Output) -> int:
    """Show executions: status, checkpoints, input and output.

    With --output json one execution is an object, several are an array. An id that cannot be shown is reported, and
    the others are shown; the exit status is 1 then.
    """
    with connection.client() as omium:
        if len(execution_ids) == 1:
            write_execution(omium.executions.get(execution_ids[0]), output)
            return 0
        failed: list[str] = []
        found = _found(omium, execution_ids, failed)
        if output is not Output.TABLE:
            write_json_rows(map(to_row, found), output)
        else:
            for number, execution in enumerate(found):
                if number:
                    click.echo()
                write_execution(execution, output)
    return REFUSED if failed else 0


def _found(omium: Omium, execution_ids: tuple[str, ...], failed: list[str]) -> Iterator[ExecutionDetail]:
    for execution_id in execution_ids:
        try:
            yield omium.executions.get(execution_id)
        except OmiumError as error:
            complain(str(error))
            failed.append(execution_id)

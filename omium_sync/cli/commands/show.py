"""`omiumctl show`, `checkpoints` and `workflows`: what the service has under an id."""

from __future__ import annotations

from collections.abc import Iterator

import click

from omium_sync import CheckpointDetail, ExecutionDetail, Omium, OmiumError

from .. import options
from ..columns import (
    CHECKPOINT_COLUMNS,
    WORKFLOW_COLUMNS,
    WORKFLOW_FACTS,
    print_facts,
    print_json,
    to_row,
    write_execution,
    write_rows,
)
from ..connection import client_command
from ..endings import REFUSED
from ..ids import Ids, ids_argument
from ..options import output_option
from ..output import Output, complain, write_json, write_json_rows


@client_command(
    "show",
    "omiumctl show exec_abc",
    "omiumctl show exec_abc exec_def",
    "omiumctl show exec_abc --output json | jq .output_data",
    "omiumctl list --status failed --output jsonl | omiumctl show -",
)
@ids_argument()
@output_option()
def show_command(omium: Omium, /, execution_ids: Ids, output: Output) -> int:
    """Show executions: status, checkpoints, input and output.

    With --output json one execution is an object; several, and those of stdin (-), are an array. An id that cannot be
    shown is reported, and the others are shown; the exit status is 1 then.
    """
    if execution_ids.single is not None:
        write_execution(omium.executions.get(execution_ids.single), output)
        return 0
    failed: list[str] = []
    found = _found(omium, execution_ids.all, failed)
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


@client_command(
    "checkpoints",
    "omiumctl checkpoints exec_abc",
    "omiumctl checkpoints exec_abc --state --output jsonl",
)
@click.argument("execution_id", type=options.execution_id)
@click.option("--state", "with_state", is_flag=True, help="Show the state of each, with one request for each.")
@output_option()
def checkpoints_command(omium: Omium, /, execution_id: str, with_state: bool, output: Output) -> None:
    """List the checkpoints of an execution, and with --state what each of them contains."""
    found = omium.checkpoints.list(execution_id)
    if with_state:
        found = (omium.checkpoints.get(checkpoint.id) for checkpoint in found)
        if output is Output.TABLE:
            _print_states(found)
            return
    write_rows(found, CHECKPOINT_COLUMNS, output, "no checkpoints")


def _print_states(found: Iterator[CheckpointDetail]) -> None:
    is_empty = True
    for checkpoint in found:
        is_empty = False
        print_facts(checkpoint, CHECKPOINT_COLUMNS.names)
        print_json("state", checkpoint.state)
    if is_empty:
        click.echo("no checkpoints")


@client_command("workflows", "omiumctl workflows", "omiumctl workflows report --output json")
@click.argument("workflow_id", type=options.name, required=False)
@output_option()
def workflows_command(omium: Omium, /, workflow_id: str | None, output: Output) -> None:
    """List the workflows of the service, or show one with its definition."""
    if workflow_id is None:
        write_rows(omium.workflows.list(), WORKFLOW_COLUMNS, output, "no workflows")
        return
    workflow = omium.workflows.get(workflow_id)
    if output is not Output.TABLE:
        write_json(to_row(workflow), output)
        return
    print_facts(workflow, WORKFLOW_FACTS)
    print_json("definition", workflow.definition)

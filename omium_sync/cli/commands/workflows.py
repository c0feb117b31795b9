"""`omiumctl workflows`."""

from __future__ import annotations

import click

from omium_sync import WorkflowInfo

from .. import options
from ..connection import Connection, service_command
from ..execution import print_facts, print_json
from ..options import output_option
from ..output import Output, moment, write_json, write_json_rows
from ..tables import Table


@service_command(
    "workflows",
    "omiumctl workflows",
    "omiumctl workflows report --output json",
)
@click.argument("workflow_id", type=options.name, required=False)
@output_option()
def command(connection: Connection, /, workflow_id: str | None, output: Output) -> None:
    """List the workflows of the service, or show one with its definition."""
    with connection.client() as omium:
        if workflow_id is not None:
            _write_one(omium.workflows.get(workflow_id), output)
            return
        found = omium.workflows.list()
        if output is not Output.TABLE:
            write_json_rows((workflow.to_dict() for workflow in found), output)
            return
        table = Table("id", "name", "type", "status", "created")
        for workflow in found:
            created = moment(workflow.created_at)
            table.add(workflow.id, workflow.name, workflow.workflow_type, workflow.status, created)
        table.flush()
    if not table.count:
        click.echo("no workflows")


def _write_one(workflow: WorkflowInfo, output: Output) -> None:
    if output is not Output.TABLE:
        write_json(workflow.to_dict(), output)
        return
    print_facts(
        {
            "id": workflow.id,
            "name": workflow.name,
            "type": workflow.workflow_type,
            "status": workflow.status,
            "description": workflow.description,
            "tags": ", ".join(map(str, workflow.tags or ())),
            "created": moment(workflow.created_at),
            "updated": moment(workflow.updated_at),
        }
    )
    print_json("definition", workflow.definition)

"""`omiumctl count`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import Connection, service_command
from ..options import filter_options, given_filters, output_option
from ..output import Output, write_json


@service_command(
    "count",
    "omiumctl count --status failed",
    "omiumctl count --status failed --since 1d --metadata team=search",
    "omiumctl count --workflow-id report --output json",
)
@filter_options("Count only")
@output_option()
def command(connection: Connection, /, output: Output, **filters: Any) -> None:
    """Count executions.

    This takes one request. With --since, --before, --metadata or several --status the whole list is read.
    """
    asked = given_filters(**filters)
    by_the_service = asked.keys() <= {"workflow_id", "status"} and not isinstance(asked.get("status"), list)
    with connection.client() as omium:
        if by_the_service:
            found = omium.executions.count(**asked)
        else:
            found = sum(1 for _ in omium.executions.list(**asked, page_size=1000))
    if output is Output.TABLE:
        click.echo(found)
    else:
        write_json({"count": found}, output)

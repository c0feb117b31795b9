"""`omiumctl count`."""

from __future__ import annotations

from typing import Any

import click

from ..arguments import output_option
from ..connection import Connection, connection_options, pass_connection
from ..filters import filter_options, given_filters
from ..render import Output, write_json

__all__ = ["count"]


@click.command(
    short_help="Count executions.",
    epilog="""\b
Examples:
  omiumctl count --status failed
  omiumctl count --status failed --since 1d --metadata team=search
  omiumctl count --workflow-id report --output json""",
)
@filter_options("Count only")
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def count(connection: Connection, /, output: Output, **filters: Any) -> None:
    """Count executions: one request, unless --since, --before, --metadata or several --status make it read the list."""
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

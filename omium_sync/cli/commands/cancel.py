"""`omiumctl cancel`, of the executions with given ids or of all that match."""

from __future__ import annotations

from typing import Any

import click

from .. import options
from ..bulk import BulkWrite
from ..connection import Connection, service_command
from ..options import FILTERS, Number, filter_options, given_filters, output_option, yes_option
from ..output import Output


@service_command(
    "cancel",
    "omiumctl cancel exec_abc exec_def",
    "omiumctl cancel --workflow-id report --since 1h --dry-run",
    "omiumctl cancel --status pending --workflow-id report --yes",
)
@click.argument("execution_ids", type=options.execution_id, nargs=-1, metavar="[EXECUTION_ID]...")
@filter_options("Only")
@click.option("--limit", type=Number(int, least=0), metavar="N", help="With filters: at most this number.")
@click.option(
    "--concurrency", type=Number(int, least=1), default=32, show_default=True, metavar="N", help="Calls at once."
)
@click.option("--dry-run", is_flag=True, help="Show which executions would be cancelled, and cancel none.")
@yes_option
@output_option()
def command(
    connection: Connection,
    /,
    execution_ids: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    limit: int | None,
    concurrency: int,
    output: Output,
    **filters: Any,
) -> int:
    """Cancel executions: those with the ids, or all that match the filters, by default pending and running ones.

    An execution that has ended stays as it is and is reported as settled; the exit status is 0 then. With ids it does
    not ask. With filters it states their number and asks on a terminal; without one it requires --yes.
    """
    asked = given_filters(**{name: filters[name] for name in FILTERS})
    if execution_ids and (asked or limit is not None):
        raise click.UsageError("give EXECUTION_IDs or filters, not both")
    if not execution_ids and not asked:
        raise click.UsageError("give EXECUTION_IDs, or a filter such as --workflow-id to cancel many")
    which: dict[str, Any] = {"execution_ids": execution_ids} if execution_ids else {**asked, "limit": limit}
    with connection.client() as omium:
        resume = "executions cancelled so far have another status"
        bulk = BulkWrite("Cancel", "cancelling", omium.executions.cancel_many, output, resume)
        if not execution_ids and not yes and not dry_run:
            bulk.ask(**which)
        return bulk.run(**which, dry_run=dry_run, concurrency=concurrency)

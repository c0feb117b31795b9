"""`omiumctl cancel`, of executions with given ids or of all that match, and `delete`."""

from __future__ import annotations

from typing import Any

import click

from omium_sync import Omium, OmiumError

from ..bulk import BulkWrite
from ..connection import client_command
from ..endings import REFUSED, note_at_interrupt
from ..ids import Ids, ids_argument
from ..options import can_ask, concurrency_option, confirm, filter_options, limit_option, output_option, yes_option
from ..output import Output, complain, write_json_rows
from ..tables import Table


@client_command(
    "cancel",
    "omiumctl cancel exec_abc exec_def",
    "omiumctl cancel --workflow-id report --since 1h --dry-run",
    "omiumctl cancel --status pending --workflow-id report --yes",
)
@ids_argument(required=False)
@filter_options("Only")
@limit_option("With filters: at most this number.")
@concurrency_option
@click.option("--dry-run", is_flag=True, help="Show which executions would be cancelled, and cancel none.")
@yes_option
@output_option()
def cancel_command(
    omium: Omium,
    /,
    execution_ids: Ids | None,
    filters: dict[str, Any],
    limit: int | None,
    yes: bool,
    output: Output,
    **how: Any,
) -> int:
    """Cancel executions: those with the ids, or all that match the filters, by default pending and running ones.

    An execution that has ended stays as it is and is reported as settled; the exit status is 0 then. With ids it does
    not ask. With filters it states their number and asks on a terminal; without one it requires --yes.
    """
    _check_choice("cancel", execution_ids, filters, is_filtered=limit is not None)
    which = {**filters, "limit": limit} if execution_ids is None else {"execution_ids": execution_ids.all}
    resume = "executions cancelled so far have another status"
    bulk = BulkWrite("Cancel", "cancelling", omium.executions.cancel_many, output, resume)
    if execution_ids is None and not yes and not how["dry_run"]:
        bulk.ask(**which)
    return bulk.run(**which, **how)


@client_command(
    "delete",
    "omiumctl delete exec_abc exec_def --yes",
    "omiumctl delete --workflow-id report --before 30d --dry-run",
)
@ids_argument(required=False)
@filter_options("Only")
@limit_option("With filters: at most this number.")
@concurrency_option
@click.option("--dry-run", is_flag=True, help="With filters: show which executions would be deleted, and delete none.")
@yes_option
@output_option()
def delete_command(
    omium: Omium,
    /,
    execution_ids: Ids | None,
    filters: dict[str, Any],
    limit: int | None,
    yes: bool,
    output: Output,
    **how: Any,
) -> int:
    """Delete executions with their checkpoints. There is no undo.

    Those with the ids, or all that match the filters, by default those that have ended. On a terminal it asks; without
    one it requires --yes. An execution that cannot be deleted is reported, and the others are deleted; the exit status
    is 1 then.
    """
    _check_choice("delete", execution_ids, filters, is_filtered=limit is not None or how["dry_run"])
    if execution_ids is not None:
        return _delete_each(omium, execution_ids, output, yes=yes)
    which = {**filters, "limit": limit}
    bulk = BulkWrite("Delete", "deleting", omium.executions.delete_many, output, "those deleted so far are gone")
    if not yes and not how["dry_run"]:
        bulk.ask(**which)
    return bulk.run(**which, **how)


def _check_choice(verb: str, execution_ids: Ids | None, filters: dict[str, Any], *, is_filtered: bool) -> None:
    """Check that either ids or filters are given.

    :param is_filtered: whether another option is given that only belongs to filters.
    """
    if execution_ids is not None and (filters or is_filtered):
        raise click.UsageError("give EXECUTION_IDs or filters, not both")
    if execution_ids is None and not filters:
        raise click.UsageError(f"give EXECUTION_IDs, or a filter such as --workflow-id to {verb} many")


def _delete_each(omium: Omium, execution_ids: Ids, output: Output, *, yes: bool) -> int:
    what = execution_ids.single or f"{len(execution_ids.all):,} executions"
    if not yes and not can_ask():
        raise click.UsageError(f"there is no terminal to ask before {what} is deleted: give --yes")
    if not yes:
        confirm(f"Delete {what} permanently?")
    deleted: list[str] = []
    try:
        for execution_id in execution_ids.all:
            try:
                with note_at_interrupt(f"it is not known whether execution {execution_id} was deleted"):
                    omium.executions.delete(execution_id)
            except OmiumError as error:
                complain(str(error))
            else:
                deleted.append(execution_id)
    finally:  # what was deleted is printed also after Ctrl-C
        rows = [{"id": execution_id, "deleted": True} for execution_id in deleted]
        if output is not Output.TABLE:
            write_json_rows(rows, output)
        table = Table("id", "outcome")
        for row in rows if output is Output.TABLE else ():
            table.add(row["id"], "deleted")
        table.flush()
    return 0 if len(deleted) == len(execution_ids.all) else REFUSED

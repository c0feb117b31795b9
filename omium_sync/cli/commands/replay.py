"""`omiumctl replay`, of one execution or of many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import options
from ..bulk import BulkWrite
from ..connection import Connection, service_command
from ..endings import note_at_interrupt
from ..execution import write_move, write_settled
from ..options import (
    FILTERS,
    Number,
    checkpoint_options,
    file_path,
    filter_options,
    given_filters,
    one_checkpoint,
    output_option,
    yes_option,
)
from ..output import Output
from ..progress import ProgressBar


@service_command(
    "replay",
    "omiumctl replay exec_abc --wait",
    "omiumctl replay exec_abc --checkpoint-name fetched",
    "omiumctl replay --status failed --since 1d --dry-run",
    "omiumctl replay --status failed --workflow-id report --journal night.journal --yes",
)
@click.argument("execution_id", type=options.execution_id, required=False)
@checkpoint_options
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@filter_options("Many: only")
@click.option("--limit", type=Number(int, least=0), metavar="N", help="Many: at most this number.")
@click.option("--concurrency", type=Number(int, least=1), metavar="N", help="Many: calls at once. Default: 32.")
@click.option("--dry-run", is_flag=True, help="Many: show which executions match, and replay none.")
@click.option(
    "--journal",
    type=file_path(),
    metavar="J",
    help="Many: a file that records what was done. The same command with it continues.",
)
@yes_option
@output_option()
def command(
    connection: Connection,
    /,
    execution_id: str | None,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    wait: bool,
    yes: bool,
    output: Output,
    **many: Any,
) -> int:
    """Run an execution again from a checkpoint, by default the latest. Recorded steps up to it do not run again.

    Without EXECUTION_ID and with a filter, all matching executions are replayed, each at most once; without --status
    those that failed. On a terminal it states their number and asks; without one it requires --yes. It does not wait
    for them: `omiumctl wait` does.

    --dry-run looks at the rows of the list only. The real run rejects executions that have no checkpoint.

    Use a journal for one round: with it the same command continues after an interruption. To replay executions that
    failed again, use a new one.
    """
    if execution_id is None:
        filters = given_filters(**{name: many.pop(name) for name in FILTERS})
        if not filters:
            raise click.UsageError("give an EXECUTION_ID, or a filter such as --status failed to replay many")
        if checkpoint_id is not None:
            raise click.UsageError("--checkpoint-id is for one execution; for many use --checkpoint-name")
        if wait:
            raise click.UsageError("--wait is for one execution; for many use omiumctl wait")
        return _replay_many(connection, output, yes=yes, checkpoint_name=checkpoint_name, **filters, **many)
    for name, value in many.items():
        if value not in (None, False, ()):
            raise click.UsageError(f"--{name.replace('_', '-')} is for many executions: leave EXECUTION_ID out")
    one_checkpoint(checkpoint_id, checkpoint_name)
    with connection.client() as omium:
        result = omium.executions.replay(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
        if not wait:
            write_move(result, result.execution_id, output)
            return 0
        was_replayed = note_at_interrupt(f"execution {result.execution_id} was replayed and goes on")
        with ProgressBar("running", 1, lines=False), was_replayed:
            settled = omium.executions.wait(result.execution_id)
    return write_settled([settled], output)


def _replay_many(
    connection: Connection,
    output: Output,
    *,
    yes: bool,
    dry_run: bool,
    journal: Path | None,
    concurrency: int | None,
    **which: Any,
) -> int:
    resume = f"{journal} records what was done" if journal else "executions replayed so far have another status"
    with connection.client() as omium:
        bulk = BulkWrite("Replay", "replaying", omium.executions.replay_many, output, resume)
        if not yes and not dry_run:
            bulk.ask(**which)
        return bulk.run(**which, dry_run=dry_run, journal=journal, concurrency=concurrency or 32)

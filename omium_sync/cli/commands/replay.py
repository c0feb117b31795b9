"""`omiumctl replay`, of one execution or of many, and `rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from omium_sync import Omium

from .. import options
from ..bulk import BulkWrite
from ..columns import write_move, write_settled
from ..connection import client_command
from ..endings import note_at_interrupt, sdk_arguments
from ..ids import Ids, ids_argument
from ..options import (
    can_ask,
    checkpoint_options,
    concurrency_option,
    confirm,
    file_path,
    filter_options,
    json_option,
    limit_option,
    one_checkpoint,
    output_option,
    yes_option,
)
from ..output import Output, printable
from ..progress import ProgressBar


@client_command(
    "replay",
    "omiumctl replay exec_abc --wait",
    "omiumctl replay exec_abc --checkpoint-name fetched",
    'omiumctl replay exec_abc --extra-body \'{"inputs": {"day": 4}}\'',
    "omiumctl replay --status failed --since 1d --dry-run",
    "omiumctl replay --status failed --workflow-id report --journal night.journal --yes",
    "omiumctl list --status failed --output jsonl | omiumctl replay - --yes",
)
@ids_argument(required=False)
@checkpoint_options
@json_option("--extra-body", "extra_body", "One: a JSON object of more fields for the body, @FILE, or @- for stdin.")
@click.option("--wait", is_flag=True, help="One: wait until it has settled; exit with 1 if it failed.")
@filter_options("Many: only")
@limit_option("With filters: at most this number.")
@concurrency_option
@click.option("--dry-run", is_flag=True, help="Many: show which executions match, and replay none.")
@click.option(
    "--journal",
    type=file_path(),
    metavar="J",
    help="Many: a file that records what was done. The same command with it continues.",
)
@yes_option
@output_option()
def replay_command(
    omium: Omium,
    /,
    execution_ids: Ids | None,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    extra_body: Any,
    filters: dict[str, Any],
    limit: int | None,
    wait: bool,
    yes: bool,
    output: Output,
    **many: Any,
) -> int:
    """Run executions again from a checkpoint, by default the latest. Recorded steps up to it do not run again.

    One EXECUTION_ID is replayed at once. Several, those of stdin (-), or all that match the filters (without --status
    those that failed) are replayed each at most once: on a terminal the command states their number and asks; without
    one it requires --yes. It does not wait for them: `omiumctl wait` does.

    --dry-run with filters looks at the rows of the list only. The real run rejects executions that have no checkpoint.

    Use a journal for one round: with it the same command continues after an interruption. To replay executions that
    failed again, use a new one.
    """
    if execution_ids is None and not filters:
        raise click.UsageError("give EXECUTION_IDs, or a filter such as --status failed to replay many")
    if execution_ids is not None and (filters or limit is not None):
        raise click.UsageError("give EXECUTION_IDs or filters, not both")
    if execution_ids is not None and execution_ids.single is not None:
        for option in ("dry_run", "journal"):
            if many[option]:
                raise click.UsageError(f"--{option.replace('_', '-')} is for many executions")
        one_checkpoint(checkpoint_id, checkpoint_name)
        chosen = {"checkpoint_id": checkpoint_id, "checkpoint_name": checkpoint_name, "extra_body": extra_body}
        return _replay_one(omium, output, execution_ids.single, chosen, wait=wait)
    if checkpoint_id is not None:
        raise click.UsageError("--checkpoint-id is for one execution; for many use --checkpoint-name")
    if extra_body is not None:
        raise click.UsageError("--extra-body is for one execution")
    if wait:
        raise click.UsageError("--wait is for one execution; for many use omiumctl wait")
    which = {**filters, "limit": limit} if execution_ids is None else {"execution_ids": execution_ids.all}
    return _replay_many(omium, output, which | {"checkpoint_name": checkpoint_name}, yes=yes, **many)


def _replay_one(omium: Omium, output: Output, execution_id: str, chosen: dict[str, Any], *, wait: bool) -> int:
    with note_at_interrupt(f"it is not known whether execution {execution_id} was replayed"), sdk_arguments():
        result = omium.executions.replay(execution_id, **chosen)
    if not wait:
        write_move(result, result.execution_id, output)
        return 0
    was_replayed = note_at_interrupt(f"execution {result.execution_id} was replayed and continues")
    with ProgressBar("running", 1, lines=False), was_replayed:
        settled = omium.executions.wait(result.execution_id)
    return write_settled([settled], output)


def _replay_many(
    omium: Omium,
    output: Output,
    which: dict[str, Any],
    *,
    yes: bool,
    dry_run: bool,
    journal: Path | None,
    concurrency: int,
) -> int:
    if journal is not None:
        resume = f"{journal} records what was done"
    elif "execution_ids" in which:
        resume = "without --journal, executions that failed again are replayed again"
    else:
        resume = "executions replayed so far have another status"
    bulk = BulkWrite("Replay", "replaying", omium.executions.replay_many, output, resume)
    if not yes and not dry_run:
        bulk.ask(**which)
    return bulk.run(**which, dry_run=dry_run, journal=journal, concurrency=concurrency)


@client_command(
    "rollback",
    "omiumctl rollback exec_abc --checkpoint-name fetched",
    "omiumctl rollback exec_abc --checkpoint-name fetched --yes",
)
@click.argument("execution_id", type=options.execution_id)
@checkpoint_options
@yes_option
@output_option()
def rollback_command(
    omium: Omium,
    /,
    execution_id: str,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    yes: bool,
    output: Output,
) -> None:
    """Take an execution back to a checkpoint. Later checkpoints are discarded, and the execution is paused.

    On a terminal it asks first.
    """
    one_checkpoint(checkpoint_id, checkpoint_name)
    target = checkpoint_id if checkpoint_name is None else checkpoint_name
    if target is None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name: later checkpoints are discarded")
    if not yes and can_ask():
        confirm(f"Discard all that execution {printable(execution_id)} did after checkpoint {printable(target)}?")
    with note_at_interrupt(f"it is not known whether execution {execution_id} was rolled back"):
        result = omium.executions.rollback(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
    write_move(result, result.id, output)

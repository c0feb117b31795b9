"""`omiumctl replay`, of one execution or in bulk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import arguments
from ..arguments import output_option
from ..bulk_replay import replay_all
from ..checkpoints import checkpoint_options, missing_checkpoints, only_one_checkpoint, write_move
from ..connection import Connection, connection_options, pass_connection
from ..execution import verdict, write_execution
from ..filters import FILTERS, filter_options, given_filters
from ..progress import Progress
from ..questions import yes_option
from ..render import Output
from ..telling import RunsOn

__all__ = ["replay"]


@click.command(
    short_help="Run an execution, or many, again from a checkpoint.",
    epilog="""\b
Examples:
  omiumctl replay exec_abc --wait
  omiumctl replay exec_abc --checkpoint-name fetched
  omiumctl replay --status failed --since 1d --dry-run
  omiumctl replay --status failed --workflow-id report --journal night.journal --yes""",
)
@click.argument("execution_id", type=arguments.execution_id, required=False)
@checkpoint_options
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@filter_options("In bulk: only")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="In bulk: at most so many.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="In bulk: calls at once [32].")
@click.option("--dry-run", is_flag=True, help="In bulk: say what would be replayed, and replay nothing.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="J",
    help="In bulk: a file that remembers what was done; run again with it to go on.",
)
@yes_option
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def replay(
    connection: Connection,
    /,
    execution_id: str | None,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    wait: bool,
    yes: bool,
    output: Output,
    **bulk: Any,
) -> int:
    """Run an execution again from a checkpoint [the latest]: what was done up to there is not done again.

    Without EXECUTION_ID, and with --status, all executions of that status are replayed, each at most once. It says
    how many and asks before it begins; where nobody can be asked, --yes is required. It does not wait for them: then
    `omiumctl wait ID`.

    A journal belongs to one round: run again with it, a replay that was cut off goes on. A new round, of executions
    that failed again, takes a new journal.
    """
    chosen = [name for name, value in bulk.items() if value not in (None, False, ())]
    if execution_id is None:
        if not bulk["status"]:
            raise click.UsageError("give an EXECUTION_ID, or --status to replay all executions of that status")
        if checkpoint_id is not None:
            raise click.UsageError("--checkpoint-id belongs to one execution; with --status, use --checkpoint-name")
        if wait:
            raise click.UsageError("--wait is for one execution; after a replay in bulk, use omiumctl wait")
        filters = given_filters(**{name: bulk.pop(name) for name in FILTERS})
        return replay_all(connection, output, filters, checkpoint_name=checkpoint_name, yes=yes, **bulk)
    if chosen:
        raise click.UsageError(f"--{chosen[0].replace('_', '-')} is for many executions: leave EXECUTION_ID out")
    only_one_checkpoint(checkpoint_id, checkpoint_name)
    with connection.client() as omium:
        with missing_checkpoints():
            result = omium.executions.replay(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
        if not wait:
            write_move(result, result.execution_id, output)
            return 0
        with Progress("running", 1, lines=False), RunsOn("replayed", result.execution_id):
            settled = omium.executions.wait(result.execution_id)
    write_execution(settled, output)
    return verdict([settled])

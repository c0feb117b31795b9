"""`omiumctl create`, `replay` and `rollback`: what changes executions."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import click

from omium_sync import ReplayResult, RollbackResult

from . import arguments
from .arguments import json_option, output_option
from .bulk import replay_all
from .connection import Connection, connection_options, pass_connection
from .failures import Failure
from .progress import Progress
from .render import Output, Rows, complain, state_text, write_json
from .show import verdict, write_execution

__all__ = ["create", "replay", "rollback"]

F = TypeVar("F", bound=Callable[..., Any])


@click.command(short_help="Start an execution.")
@click.argument("workflow_id", type=arguments.name)
@json_option("--input", "input_data", "What the workflow is given: JSON, @FILE, or @- for stdin.")
@json_option("--metadata", "metadata", "A JSON object of your own, kept with the execution.")
@click.option("--agent-id", type=arguments.name, metavar="ID", help="The agent to run it.")
@click.option("--idempotency-key", type=arguments.name, metavar="KEY", help="Sent as Idempotency-Key [one is made up].")
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="For the call; with --wait, for the call and the wait together."
)
@output_option(*Output)
@connection_options(without=("--timeout",))
@pass_connection
def create(connection: Connection, /, output: Output, wait: bool, timeout: float | None, **request: Any) -> int:
    """Start an execution of the workflow WORKFLOW_ID."""
    if wait:
        with connection.client() as omium, Progress("running", 1, lines=False):
            settled = omium.executions.run(**request, timeout=timeout)
        write_execution(settled, output)
        return verdict([settled])
    if timeout is not None:
        connection.timeout = timeout
    with connection.client() as omium:
        created = omium.executions.create(**request)
        with _told_if_not_written(f"execution {created.id} was created"):
            write_execution(created, output)
    return 0


@contextlib.contextmanager
def _told_if_not_written(what: str) -> Generator[None]:
    """What was done is said on stderr where stdout does not take it."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        complain(what)
        raise


def _checkpoint_options(function: F) -> F:
    named = click.option("--checkpoint-name", type=arguments.name, metavar="NAME", help="The checkpoint, by its name.")
    by_id = click.option("--checkpoint-id", type=arguments.name, metavar="ID", help="The checkpoint, by its id.")
    return by_id(named(function))


@click.command(short_help="Run an execution, or many, again from a checkpoint.")
@click.argument("execution_id", type=arguments.execution_id, required=False)
@_checkpoint_options
@click.option("--status", type=arguments.name, metavar="STATUS", help="In bulk: replay all executions of this status.")
@click.option("--workflow-id", type=arguments.name, metavar="W", help="In bulk: only those of this workflow.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="In bulk: at most so many.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="In bulk: calls at once [32].")
@click.option("--dry-run", is_flag=True, help="In bulk: say what would be replayed, and replay nothing.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="J",
    help="In bulk: a file that remembers what was done; run again with it to go on.",
)
@output_option(*Output)
@connection_options()
@pass_connection
def replay(
    connection: Connection,
    /,
    execution_id: str | None,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    output: Output,
    **bulk: Any,
) -> int:
    """Run an execution again from a checkpoint [the latest]: what was done up to there is not done again.

    Without EXECUTION_ID, and with --status, all executions of that status are replayed, each at most once:
    `omiumctl replay --status failed --workflow-id W`. It does not wait for them: then `omiumctl wait ID`.

    A journal belongs to one round: run again with it, a replay that was cut off goes on. A new round, of executions
    that failed again, takes a new journal.
    """
    chosen = [name for name, value in bulk.items() if value is not None and value is not False]
    if execution_id is None:
        if bulk["status"] is None:
            raise click.UsageError("give an EXECUTION_ID, or --status to replay all executions of that status")
        if checkpoint_id is not None:
            raise click.UsageError("--checkpoint-id belongs to one execution; with --status, use --checkpoint-name")
        return replay_all(connection, output, checkpoint_name=checkpoint_name, **bulk)
    if chosen:
        raise click.UsageError(f"--{chosen[0].replace('_', '-')} is for many executions: leave EXECUTION_ID out")
    _only_one_checkpoint(checkpoint_id, checkpoint_name)
    with connection.client() as omium, _missing_checkpoints():
        result = omium.executions.replay(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
    _write_move(result, result.execution_id, output)
    return 0


@click.command(short_help="Take an execution back to a checkpoint.")
@click.argument("execution_id", type=arguments.execution_id)
@_checkpoint_options
@output_option(*Output)
@connection_options()
@pass_connection
def rollback(
    connection: Connection, /, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None, output: Output
) -> None:
    """Take an execution back to a checkpoint: what came after is discarded, and it is paused."""
    if checkpoint_id is None and checkpoint_name is None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name: what comes after it is discarded")
    _only_one_checkpoint(checkpoint_id, checkpoint_name)
    with connection.client() as omium, _missing_checkpoints():
        result = omium.executions.rollback(execution_id, checkpoint_id, checkpoint_name=checkpoint_name)
    _write_move(result, result.id, output)


def _write_move(result: ReplayResult | RollbackResult, follow: str, output: Output) -> None:
    if output is not Output.TABLE:
        write_json(result.to_dict(), output)
        return
    rows = Rows("id", "status", "message")
    rows.add(follow, state_text(result.status), result.message)
    rows.flush()


def _only_one_checkpoint(checkpoint_id: str | None, checkpoint_name: str | None) -> None:
    if checkpoint_id is not None and checkpoint_name is not None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name, not both")


@contextlib.contextmanager
def _missing_checkpoints() -> Generator[None]:
    """A checkpoint that the execution does not have is the state of the service, not wrong usage."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise Failure(str(error)) from None

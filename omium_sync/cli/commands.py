"""`omiumctl` and its commands for single executions and lists of them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from omium_async import SETTLED, Execution, ExecutionDetail, MissingExecutionsError, ReplayResult, RollbackResult
from omium_sync import __version__

from . import arguments
from .arguments import json_option, output_option
from .batch import batch
from .bulk import replay_all
from .connection import Connection, connection_options
from .demo import demo
from .failures import REFUSED, USAGE, Failure
from .progress import Progress
from .render import Output, Rows, complain, moment, state_text, write_json, write_json_rows
from .serve import serve
from .show import show_execution

__all__ = ["omiumctl"]

F = TypeVar("F", bound=Callable[..., Any])

_ROWS_OF_A_TABLE: Final = 50
_BAD_ENDS: Final = frozenset({"failed", "error", "cancelled"})

_connection = click.make_pass_decorator(Connection, ensure=True)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 the service refused or failed, 2 wrong usage, 130 interrupted. The options above may"
    " also stand behind a command's name. The key is never taken from the command line, where others see it.",
)
@connection_options(hidden=False)
@click.version_option(__version__, prog_name="omiumctl", message="%(prog)s %(version)s")
@click.pass_context
def omiumctl(context: click.Context) -> int | None:
    """Executions of the Omium API: list them, start them, replay them, roll them back.

    New here? `omiumctl demo` shows all of it on this machine, without an account and without a network.
    """
    context.ensure_object(Connection)
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return None


_output = output_option(*Output)


@omiumctl.command("list", short_help="List executions.")
@click.option("--workflow-id", type=arguments.name, metavar="W", help="Only those of this workflow.")
@click.option(
    "--status", type=arguments.name, metavar="STATUS", help="Only these: pending, running, completed, failed, ..."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most so many [{_ROWS_OF_A_TABLE} in a table, else all].",
)
@click.option(
    "--page-size", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="Rows a request."
)
@_output
@connection_options()
@_connection
def list_(
    connection: Connection,
    /,
    workflow_id: str | None,
    status: str | None,
    limit: int | None,
    page_size: int,
    output: Output,
) -> None:
    """List executions, newest first, none twice and none left out.

    With --output jsonl a list of any length goes through in flat memory, each row as it comes.
    """
    if output is Output.TABLE and limit is None:
        limit = _ROWS_OF_A_TABLE
    asked = limit if output is not Output.TABLE or limit is None else limit + 1  # one more: are there more?
    with connection.client() as omium:
        found = omium.executions.list(workflow_id=workflow_id, status=status, page_size=page_size, limit=asked)
        if output is Output.TABLE:
            _table(found, limit)
        else:
            with Progress("listing", limit, lines=False, beside=True) as progress:
                write_json_rows(progress.over(execution.to_dict() for execution in found), output)


def _table(found: Iterator[Execution], limit: int | None) -> None:
    rows = Rows("id", "workflow", "status", "created", "error")
    for execution in itertools.islice(found, limit):
        rows.add(
            execution.id,
            execution.workflow_id,
            state_text(execution.status),
            moment(execution.created_at),
            execution.error,
        )
    rows.flush()
    if not rows.count and limit != 0:
        click.echo("no executions")
    elif next(found, None) is not None:
        click.echo(f"... there are more than these {rows.count}: see --limit")


@omiumctl.command(short_help="Show one execution.")
@click.argument("execution_id", type=arguments.execution_id)
@_output
@connection_options()
@_connection
def show(connection: Connection, /, execution_id: str, output: Output) -> None:
    """Show one execution: its status, its checkpoints, what went in and what came out."""
    with connection.client() as omium:
        _write_execution(omium.executions.get(execution_id), output)


@omiumctl.command(short_help="Start an execution.")
@click.argument("workflow_id", type=arguments.name)
@json_option("--input", "input_data", "What the workflow is given: JSON, @FILE, or @- for stdin.")
@json_option("--metadata", "metadata", "A JSON object of your own, kept with the execution.")
@click.option("--agent-id", type=arguments.name, metavar="ID", help="The agent to run it.")
@click.option("--idempotency-key", type=arguments.name, metavar="KEY", help="Sent as Idempotency-Key [one is made up].")
@click.option("--wait", is_flag=True, help="Wait until it has settled; exit with 1 if it failed.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="For the call; with --wait, for the call and the wait together."
)
@_output
@connection_options(without=("--timeout",))
@_connection
def create(connection: Connection, /, output: Output, wait: bool, timeout: float | None, **request: Any) -> int:
    """Start an execution of the workflow WORKFLOW_ID."""
    if wait:
        with connection.client() as omium, Progress("running", 1, lines=False):
            settled = omium.executions.run(**request, timeout=timeout)
        _write_execution(settled, output)
        return _verdict([settled])
    if timeout is not None:
        connection.timeout = timeout
    with connection.client() as omium:
        _write_execution(omium.executions.create(**request), output)
    return 0


def _checkpoint_options(function: F) -> F:
    named = click.option("--checkpoint-name", type=arguments.name, metavar="NAME", help="The checkpoint, by its name.")
    by_id = click.option("--checkpoint-id", type=arguments.name, metavar="ID", help="The checkpoint, by its id.")
    return by_id(named(function))


@omiumctl.command(short_help="Run an execution, or many, again from a checkpoint.")
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
@_output
@connection_options()
@_connection
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
    `omiumctl replay --status failed --workflow-id W`.
    """
    chosen = [name for name, value in bulk.items() if value not in (None, False)]
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


@omiumctl.command(short_help="Take an execution back to a checkpoint.")
@click.argument("execution_id", type=arguments.execution_id)
@_checkpoint_options
@_output
@connection_options()
@_connection
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


@omiumctl.command(short_help="Wait until executions have settled.")
@click.argument("execution_ids", type=arguments.execution_id, nargs=-1, required=True, metavar="EXECUTION_ID...")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long [never].")
@click.option(
    "--poll-interval",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Between looks, at first; it grows [0.5 to 10].",
)
@click.option(
    "--until",
    type=arguments.name,
    multiple=True,
    metavar="STATUS",
    help="Wait for this one, may be repeated [any settled one].",
)
@_output
@connection_options(without=("--timeout",))
@_connection
def wait(
    connection: Connection, /, execution_ids: tuple[str, ...], until: tuple[str, ...], output: Output, **polling: Any
) -> int:
    """Wait until executions have settled; exit with 1 if one of them failed or was cancelled, unless --until asks so.

    Settled are: completed, failed, cancelled, paused, rolled_back, error.
    """
    statuses = until or SETTLED
    with connection.client() as omium:
        if len(execution_ids) == 1:
            with Progress("waiting", 1, lines=False):
                settled = omium.executions.wait(execution_ids[0], until=statuses, **polling)
            _write_execution(settled, output)
            return 0 if until else _verdict([settled])
        found = omium.executions.wait_many(execution_ids, until=statuses, **polling)
        with Progress("waiting", len(execution_ids), lines=False, beside=output is Output.JSONL) as progress:
            ended = list(progress.over(_written(found, output, progress)))
    return 0 if until else _verdict(ended)


def _written(found: Iterator[ExecutionDetail], output: Output, progress: Progress) -> Iterator[ExecutionDetail]:
    """Those that have settled, each written as it comes; also those before a failure."""
    rows = Rows("id", "workflow", "status", "error", aside=progress.aside)
    kept: list[dict[str, Any]] = []
    try:
        for execution in found:
            if output is Output.JSONL:
                write_json(execution.to_dict(), output)
            elif output is Output.JSON:
                kept.append(execution.to_dict())
            else:
                rows.add(execution.id, execution.workflow_id, state_text(execution.status), execution.error)
            yield execution
    except MissingExecutionsError as error:
        raise Failure(f"{error}: {', '.join(error.missing)}") from None
    finally:
        rows.flush()
        if output is Output.JSON:
            write_json(kept)


def _verdict(settled: list[ExecutionDetail]) -> int:
    bad = [execution for execution in settled if execution.status in _BAD_ENDS]
    for execution in bad:
        because = f": {execution.error}" if execution.error else ""
        complain(f"execution {execution.id} ended as {execution.status}{because}")
    return REFUSED if bad else 0


def _write_execution(execution: Execution, output: Output) -> None:
    if output is Output.TABLE:
        show_execution(execution)
    else:
        write_json(execution.to_dict(), output)


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
        if isinstance(error, click.ClickException) or type(error) is not ValueError:
            raise
        raise Failure(str(error)) from None


for _command in (demo, serve, batch):
    omiumctl.add_command(_command)

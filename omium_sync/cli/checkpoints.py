"""What `replay` and `rollback` share: how a checkpoint is named, and what is shown of the move."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import click

from omium_sync import ReplayResult, RollbackResult

from . import arguments
from .failures import Failure
from .render import Output, state_text, write_json
from .tables import Rows

__all__ = ["checkpoint_options", "missing_checkpoints", "only_one_checkpoint", "write_move"]

F = TypeVar("F", bound=Callable[..., Any])


def checkpoint_options(function: F) -> F:
    named = click.option("--checkpoint-name", type=arguments.name, metavar="NAME", help="The checkpoint, by its name.")
    by_id = click.option("--checkpoint-id", type=arguments.name, metavar="ID", help="The checkpoint, by its id.")
    return by_id(named(function))


def write_move(result: ReplayResult | RollbackResult, follow: str, output: Output) -> None:
    if output is not Output.TABLE:
        write_json(result.to_dict(), output)
        return
    rows = Rows("id", "status", "message")
    rows.add(follow, state_text(result.status), result.message)
    rows.flush()


def only_one_checkpoint(checkpoint_id: str | None, checkpoint_name: str | None) -> None:
    if checkpoint_id is not None and checkpoint_name is not None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name, not both")


@contextlib.contextmanager
def missing_checkpoints() -> Generator[None]:
    """A checkpoint that the execution does not have is the state of the service, not wrong usage."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise Failure(str(error)) from None

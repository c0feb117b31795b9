"""One execution, for people."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final

import click
from rich.text import Text

from omium_async._models.types import ended_as
from omium_sync import Execution, ExecutionDetail

from .failures import BAD_ENDS, REFUSED
from .preview import preview, shortened
from .render import Output, complain, console, moment, printable, state_text, write_json
from .tables import Rows

__all__ = ["to_row", "verdict", "write_execution"]

_LABEL: Final = 12  # columns for the names of facts
_LINES: Final = 60  # of one JSON value; programs get all of it


def to_row(execution: Execution) -> dict[str, Any]:
    """For programs: as the service says it, and ``error`` as the SDK has it, which some services name otherwise."""
    row = execution.to_dict()
    if execution.error is not None and row.get("error") is None:
        row["error"] = execution.error
    return row


def write_execution(execution: Execution, output: Output) -> None:
    """One execution, for people or programs."""
    if output is Output.TABLE:
        _show(execution)
    else:
        write_json(to_row(execution), output)


def verdict(settled: Iterable[Execution]) -> int:
    """The exit status for executions that were waited for; a line for each that ended badly."""
    bad = [execution for execution in settled if execution.status in BAD_ENDS]
    for execution in bad:
        complain(ended_as(execution))
    return REFUSED if bad else 0


def _show(execution: Execution) -> None:
    """Print what is known of an execution; what has no value is left out."""
    screen = console()
    facts: list[tuple[str, Any]] = [
        ("id", execution.id),
        ("workflow", execution.workflow_id),
        ("status", None if execution.status is None else state_text(execution.status)),
        ("agent", execution.agent_id),
        ("created", moment(execution.created_at)),
        ("started", moment(execution.started_at)),
        ("updated", moment(execution.updated_at)),
        ("completed", moment(execution.completed_at)),
        ("error", execution.error),
    ]
    for name, value in facts:
        if value in (None, ""):
            continue
        text = value if isinstance(value, Text) else Text(_short(value))
        if _LABEL + text.cell_len <= screen.width:
            screen.print(Text.assemble((name.ljust(_LABEL), "bold"), text))
        else:
            screen.print(Text.assemble((name, "bold"), "\n  ", text))
    for name, value in (
        ("input", execution.input_data),
        ("output", execution.output_data),
        ("metadata", _own_metadata(execution)),
    ):
        if value not in (None, {}):
            _show_json(name, value)
    if isinstance(execution, ExecutionDetail):
        _show_checkpoints(execution)


def _short(value: object) -> str:
    return printable(shortened(str(value)))


def _own_metadata(execution: Execution) -> Any:
    """Without the checkpoints that the service repeats there."""
    metadata = execution.metadata
    if metadata and isinstance(execution, ExecutionDetail):
        return {name: value for name, value in metadata.items() if name != "checkpoints"}
    return metadata


def _show_json(name: str, value: Any) -> None:
    label = click.style(name.ljust(_LABEL), bold=True)
    lines = preview(value)
    for line in itertools.islice(lines, _LINES):
        click.echo(label + line)
        label = " " * _LABEL
    if next(lines, None) is not None:
        click.echo(f"{label}... there is more: see --output json")


def _show_checkpoints(execution: ExecutionDetail) -> None:
    if not execution.checkpoints:
        click.echo("no checkpoints")
        return
    rows = Rows("checkpoint", "name", "created", whole=("checkpoint", "name"))
    for checkpoint in execution.checkpoints:
        rows.add(checkpoint.id, checkpoint.name, moment(checkpoint.created_at))
    rows.flush()

"""Executions as output: whole, as rows, with columns of the user's choice, and the exit status of a wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import attrs
import click
from rich.text import Text

from omium_sync import Execution, ExecutionDetail, ReplayResult, RollbackResult

from .endings import FAILED_STATUSES, REFUSED
from .output import Output, complain, json_text, moment, printable, readable_json, shortened, write_json
from .tables import CSVTable, Table, TableWriter, screen, state_text

__all__ = [
    "USUAL_COLUMNS",
    "Columns",
    "columns_option",
    "print_facts",
    "print_json",
    "to_row",
    "write_execution",
    "write_move",
    "write_settled",
]

F = TypeVar("F", bound=Callable[..., Any])

# -- one execution -----------------------------------------------------------------------------------------------------

_LABEL: Final = 12  # columns for the names of facts


def to_row(execution: Execution) -> dict[str, Any]:
    """Return the execution as the service sent it, and ``error`` also if the service has another name for it."""
    row = execution.to_dict()
    if execution.error is not None and row.get("error") is None:
        row["error"] = execution.error
    return row


def write_execution(execution: Execution, output: Output) -> None:
    """Write one execution."""
    if output is Output.TABLE:
        _print_execution(execution)
    else:
        write_json(to_row(execution), output)


def write_settled(settled: Sequence[Execution], output: Output | None, *, judged: bool = True) -> int:
    """Write executions that were waited for, and return the exit status.

    The status is right also if the reader has closed stdout and stderr (``2>&1 | head``).

    :param output: ``None`` if they have been written already.
    :param judged: whether executions that failed or were cancelled make the status 1.
    """
    if output is not None:
        with contextlib.suppress(BrokenPipeError):
            for execution in settled:
                write_execution(execution, output)
    bad = [execution for execution in settled if judged and execution.status in FAILED_STATUSES]
    for execution in bad:
        complain(f"execution {execution.id} ended as {execution.status}: {execution.error or 'no reason was given'}")
    return REFUSED if bad else 0


def write_move(result: ReplayResult | RollbackResult, follow: str, output: Output) -> None:
    """Write the result of a replay or rollback. :param follow: the id of the execution to follow."""
    if output is not Output.TABLE:
        write_json(result.to_dict(), output)
        return
    table = Table("id", "status", "message")
    table.add(follow, state_text(result.status), result.message)
    table.flush()


def _print_execution(execution: Execution) -> None:
    print_facts(
        {
            "id": execution.id,
            "workflow": execution.workflow_id,
            "status": None if execution.status is None else state_text(execution.status),
            "agent": execution.agent_id,
            "created": moment(execution.created_at),
            "started": moment(execution.started_at),
            "updated": moment(execution.updated_at),
            "completed": moment(execution.completed_at),
            "duration": execution.duration,
            "error": execution.error,
        }
    )
    print_json("input", execution.input_data)
    print_json("output", execution.output_data)
    print_json("metadata", _own_metadata(execution))
    if isinstance(execution, ExecutionDetail):
        _print_checkpoints(execution)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values; leave out those without a value."""
    console = screen()
    for name, value in facts.items():
        if value in (None, ""):
            continue
        text = value if isinstance(value, Text) else Text(printable(shortened(str(value))))
        if _LABEL + text.cell_len <= console.width:
            console.print(Text.assemble((name.ljust(_LABEL), "bold"), text))
        else:
            console.print(Text.assemble((name, "bold"), "\n  ", text))


def print_json(name: str, value: Any) -> None:
    """Print a JSON value on several lines, shortened if it is long."""
    if value in (None, {}):
        return
    lines, is_whole = readable_json(value)
    label = click.style(name.ljust(_LABEL), bold=True)
    for line in lines:
        click.echo(label + line)
        label = " " * _LABEL
    if not is_whole:
        click.echo(f"{label}... shortened; --output json shows all")


def _own_metadata(execution: Execution) -> Any:
    """Return the metadata without the checkpoints that the service repeats there."""
    metadata = execution.metadata
    if metadata and isinstance(execution, ExecutionDetail):
        return {name: value for name, value in metadata.items() if name != "checkpoints"}
    return metadata


def _print_checkpoints(execution: ExecutionDetail) -> None:
    if not execution.checkpoints:
        click.echo("no checkpoints")
        return
    table = Table("checkpoint", "name", "created", whole=("checkpoint", "name"))
    for checkpoint in execution.checkpoints:
        table.add(checkpoint.id, checkpoint.name, moment(checkpoint.created_at))
    table.flush()


# -- columns -----------------------------------------------------------------------------------------------------------

USUAL_COLUMNS: Final = ("id", "workflow_id", "status", "created_at", "error")
_FIELDS: Final = (*(field.name for field in attrs.fields(Execution) if field.name != "extra"), "duration")
_OBJECTS: Final = ("input_data", "output_data", "metadata")  # their keys can be columns: `input_data.day`
_HEADINGS: Final = {"workflow_id": "workflow", "created_at": "created", "updated_at": "updated"}


@attrs.frozen
class Columns:
    """The fields of executions that a table shows, such as ``status`` or ``input_data.day``."""

    names: tuple[str, ...]

    def table(self, output: Output) -> TableWriter:
        """Begin a table."""
        if output is Output.CSV:
            return CSVTable(*self.names)
        return Table(*(_HEADINGS.get(name, name) for name in self.names))

    def cells(self, execution: Execution, output: Output = Output.TABLE) -> list[object]:
        """Return the cells of one row."""
        return [_cell(name, execution, output) for name in self.names]


def _cell(name: str, execution: Execution, output: Output) -> object:
    field, *inner = name.split(".")
    value: Any = getattr(execution, field)
    for key in inner:
        fields: Mapping[str, Any] = cast("Any", value) if isinstance(value, Mapping) else {}
        value = fields.get(key)
    if value is None:
        return None
    if name == "status":
        return state_text(value)
    if name == "duration":
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat() if output is Output.CSV else moment(value)
    return value if isinstance(value, str) else json_text(value)


def _columns(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Columns | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        field, dot, _ = name.partition(".")
        if field not in _FIELDS or (dot and field not in _OBJECTS):
            raise click.BadParameter(
                f"there is no column {name!r}; give {', '.join(_FIELDS)}, or a key of an object, such as input_data.day"
            )
    return Columns(names)


def columns_option(function: F) -> F:
    """Add ``--columns``."""
    return click.option(
        "--columns",
        callback=_columns,
        metavar="NAME,...",
        help=f"The fields that a table shows, also such as input_data.day. Default: {','.join(USUAL_COLUMNS)}.",
    )(function)

"""Objects of the service as output: whole, as facts below each other, and as rows with columns of the user's choice.

A new column of tables is a name in `..._COLUMNS`, a new line of `show` a name in `..._FACTS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import attrs
import click
from rich.text import Text

from omium_async._statuses import UNSUCCESSFUL
from omium_sync import (
    Checkpoint,
    CheckpointDetail,
    Execution,
    ExecutionDetail,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
)

from .endings import REFUSED
from .output import (
    Output,
    complain,
    json_text,
    moment,
    printable,
    readable_json,
    shortened,
    write_json,
    write_json_rows,
)
from .tables import CSVTable, Table, screen, state_text

Row = Execution | Checkpoint | CheckpointDetail | WorkflowInfo
F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen
class Columns:
    """The fields that a table shows, such as ``status`` or ``input_data.day``.

    :ivar first: the heading of the first column, if it differs from the name of the field.
    """

    names: tuple[str, ...]
    first: str | None = None

    def table(self, output: Output = Output.TABLE) -> Table | CSVTable:
        """Begin a table."""
        if output is Output.CSV:
            return CSVTable(*self.names)
        headings = [_HEADINGS.get(name, name) for name in self.names]
        return Table(self.first or headings[0], *headings[1:])

    def cells(self, row: Row, output: Output = Output.TABLE) -> list[object]:
        """Return the cells of one row."""
        return [_cell(row, name, output) for name in self.names]


EXECUTION_COLUMNS: Final = Columns(("id", "workflow_id", "status", "created_at", "error"))
CHECKPOINT_COLUMNS: Final = Columns(("id", "name", "created_at"), first="checkpoint")
WORKFLOW_COLUMNS: Final = Columns(("id", "name", "workflow_type", "status", "created_at"))

#: The fields of one object that stand on a line; others are JSON below them.
EXECUTION_FACTS: Final = (
    "id", "workflow_id", "status", "agent_id", "created_at", "started_at", "updated_at", "completed_at", "duration",
    "error",
)  # fmt: skip
WORKFLOW_FACTS: Final = ("id", "name", "workflow_type", "status", "description", "tags", "created_at", "updated_at")

_HEADINGS: Final = {
    "workflow_id": "workflow",
    "workflow_type": "type",
    "agent_id": "agent",
    "created_at": "created",
    "started_at": "started",
    "updated_at": "updated",
    "completed_at": "completed",
}
_FIELDS: Final = (*(field.name for field in attrs.fields(Execution) if field.name != "extra"), "duration")
_OBJECTS: Final = ("input_data", "output_data", "metadata")  # their keys can be columns: `input_data.day`
_LABEL: Final = 12  # width of the names of fields

# -- rows --------------------------------------------------------------------------------------------------------------


def to_row(row: Row) -> dict[str, Any]:
    """Return the object as the service sent it, and ``error`` also if the service has another name for it."""
    sent = row.to_dict()
    if isinstance(row, Execution) and row.error is not None and sent.get("error") is None:
        sent["error"] = row.error
    return sent


def write_rows(rows: Iterable[Row], columns: Columns, output: Output, nothing: str | None = None) -> None:
    """Write rows as they come.

    :param nothing: the text of a table without rows.
    """
    if output in (Output.JSON, Output.JSONL):
        write_json_rows(map(to_row, rows), output)
        return
    table = columns.table(output)
    for row in rows:
        table.add(*columns.cells(row, output))
    table.flush()
    if nothing and not table.count and output is Output.TABLE:
        click.echo(nothing)


def _cell(row: Row, name: str, output: Output = Output.TABLE) -> object:
    field, *inner = name.split(".")
    value: Any = getattr(row, field)
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


def columns_option(function: F) -> F:
    """Add ``--columns``, a choice among the fields of executions."""
    return click.option(
        "--columns",
        callback=_columns,
        metavar="NAME,...",
        help="The fields that a table shows, also such as input_data.day. "
        f"Default: {','.join(EXECUTION_COLUMNS.names)}.",
    )(function)


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


# -- one object --------------------------------------------------------------------------------------------------------


def write_execution(execution: Execution, output: Output) -> None:
    """Write one execution."""
    if output is not Output.TABLE:
        write_json(to_row(execution), output)
        return
    print_facts(execution, EXECUTION_FACTS)
    print_json("input", execution.input_data)
    print_json("output", execution.output_data)
    if isinstance(execution, ExecutionDetail):
        # The service repeats the checkpoints in the metadata.
        own = {name: value for name, value in (execution.metadata or {}).items() if name != "checkpoints"}
        print_json("metadata", own)
        write_rows(execution.checkpoints, CHECKPOINT_COLUMNS, output, "no checkpoints")
    else:
        print_json("metadata", execution.metadata)


def print_facts(row: Row, names: Iterable[str]) -> None:
    """Print the fields below each other; leave out those without a value."""
    console = screen()
    for name in names:
        cell = _cell(row, name)
        if cell in (None, "", "[]"):
            continue
        label = _HEADINGS.get(name, name)
        text = cell if isinstance(cell, Text) else Text(printable(shortened(str(cell))))
        if _LABEL + text.cell_len <= console.width:
            console.print(Text.assemble((label.ljust(_LABEL), "bold"), text))
        else:
            console.print(Text.assemble((label, "bold"), "\n  ", text))


def print_json(name: str, value: Any) -> None:
    """Print a JSON value on several lines, shortened if it is long."""
    if value in (None, {}):
        return
    lines, is_whole = readable_json(value)
    console = screen()
    label = name.ljust(_LABEL)
    for line in lines:
        console.print(Text.assemble((label, "bold"), line))
        label = " " * _LABEL
    if not is_whole:
        click.echo(f"{label}... shortened; --output json shows all")


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
    bad = [execution for execution in settled if judged and execution.status in UNSUCCESSFUL]
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

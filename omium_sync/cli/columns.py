"""Which fields of executions a table shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import attrs
import click

from omium_sync import Execution

from .render import Output, json_text, moment, state_text
from .tables import CSVRows, Rows, RowWriter

__all__ = ["USUAL", "Columns", "columns_option"]

F = TypeVar("F", bound=Callable[..., Any])

USUAL: Final = ("id", "workflow_id", "status", "created_at", "error")
_FIELDS: Final = tuple(field.name for field in attrs.fields(Execution) if field.name != "extra")
_DEEP: Final = ("input_data", "output_data", "metadata")  # whose own fields may be named after a dot
_HEADINGS: Final = {"workflow_id": "workflow", "created_at": "created", "updated_at": "updated"}


@attrs.frozen
class Columns:
    """Fields, by their names, such as ``status`` or ``input_data.day``."""

    names: tuple[str, ...]

    def rows(self, output: Output) -> RowWriter:
        """Where the rows go."""
        if output is Output.CSV:
            return CSVRows(*self.names)
        headings = [_HEADINGS.get(name, name) for name in self.names]
        return Rows(*headings)

    def cells(self, execution: Execution, output: Output = Output.TABLE) -> list[object]:
        """The cells of one execution."""
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
    if isinstance(value, datetime):
        return value.isoformat() if output is Output.CSV else moment(value)
    return value if isinstance(value, str) else json_text(value)


def _columns(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Columns | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        field, dot, _ = name.partition(".")
        if field not in _FIELDS or (dot and field not in _DEEP):
            raise click.BadParameter(
                f"there is no column {name!r}, only {', '.join(_FIELDS)}, and fields of "
                f"{_in_words(_DEEP)} after a dot, such as input_data.day"
            )
    return Columns(names)


def _in_words(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def columns_option(function: F) -> F:
    """Adds ``--columns``."""
    return click.option(
        "--columns",
        callback=_columns,
        metavar="NAME,...",
        help=f"What a table shows [{','.join(USUAL)}]; any field, also such as input_data.day.",
    )(function)

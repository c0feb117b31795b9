"""Arguments and options that several commands share. They reject a value that cannot be sent as wrong usage."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from omium_async._data.codec import parse_json
from omium_async._filters import time_of, time_or_age
from omium_async._statuses import STATUS_BY_TEXT

from .endings import CommandFailed
from .output import Output

F = TypeVar("F", bound=Callable[..., Any])

# -- types of values ---------------------------------------------------------------------------------------------------


class Number(click.ParamType):  # type: ignore[type-arg] # it is not generic in click 8.1
    """A number.

    :param kind: ``int`` or ``float``.
    :param least: the lowest value allowed.
    :param above: the number must be above this.
    :param most: the highest value allowed.
    """

    name = "number"

    def __init__(
        self,
        kind: type[int | float],
        *,
        least: float = -math.inf,
        above: float = -math.inf,
        most: float = math.inf,
    ) -> None:
        self._kind = kind
        self._least, self._above, self._most = least, above, most
        self._wanted = "a whole number" if kind is int else "a number"
        if most < math.inf:
            self._wanted += f" from {least} to {most}"
        elif above > -math.inf:
            self._wanted += f" above {above}"
        elif least > -math.inf:
            self._wanted += f", {least} or more"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """Parse the text of an option."""
        try:
            number = self._kind(value)
        except ValueError:
            number = math.nan
        if not (self._least <= number <= self._most and number > self._above):
            self.fail(f"{value!r} is not {self._wanted}", param, ctx)
        return number


def rate(value: str) -> float | tuple[float, float]:
    """Parse a number of requests a minute, or two: a minute and an hour."""
    each = Number(float, above=0)
    a_minute, comma, an_hour = value.partition(",")
    first = each.convert(a_minute, None, None)
    return (first, each.convert(an_hour, None, None)) if comma else first


def execution_id(value: str) -> str:
    """Check that an id can be a segment of a path, as click's type of an argument."""
    from omium_async._arguments import execution_segment  # noqa: PLC0415 - `--help` does not need the SDK

    try:
        execution_segment(name(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def name(value: str) -> str:
    """Check that a text is not empty and is valid Unicode, as click's type of an option."""
    if not value:
        raise click.BadParameter("it is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not valid UTF-8") from None
    return value


def pair(value: str) -> tuple[str, str]:
    """Split ``KEY=VALUE``, as click's type of an option."""
    key, equals, text = value.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as team=search")
    return key, text


def time(value: str) -> datetime | timedelta:
    """Parse a time, or an age such as ``2h``, as click's type of an option. Times without a zone are UTC."""
    try:
        return time_or_age(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def file_path() -> click.Path:
    """Return click's type of a file."""
    return click.Path(path_type=Path, dir_okay=False)


# -- JSON and output ---------------------------------------------------------------------------------------------------


def _json(value: str) -> Any:
    try:
        if value == "@-":
            value = sys.stdin.buffer.read().decode("utf-8-sig")
        elif value.startswith("@"):
            value = Path(value[1:]).read_text(encoding="utf-8-sig")
        return parse_json(value)
    except OSError as error:
        raise click.BadParameter(f"{value[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}") from None


def json_option(option: str, variable: str, text: str) -> Callable[[F], F]:
    """Add an option whose value is JSON, ``@FILE`` or ``@-``."""
    return click.option(option, variable, type=_json, metavar="JSON", help=text)


def _output(_context: click.Context, _parameter: click.Parameter, value: str) -> Output:
    return Output(value)


def output_option(*forms: Output) -> Callable[[F], F]:
    """Add ``--output``. By default it offers a table, JSON and JSON lines."""
    choices = [form.value for form in forms or (Output.TABLE, Output.JSON, Output.JSONL)]
    return click.option(
        "--output",
        "-o",
        type=click.Choice(choices),
        default=Output.TABLE.value,
        show_default=True,
        callback=_output,
        help="A table for people, JSON for programs.",
    )


# -- numbers ---------------------------------------------------------------------------------------------------------

concurrency_option: Final = click.option(
    "--concurrency", type=Number(int, least=1), default=32, show_default=True, metavar="N", help="Calls at once."
)


def limit_option(text: str) -> Callable[[F], F]:
    """Add ``--limit``. :param text: its help."""
    return click.option("--limit", type=Number(int, least=0), metavar="N", help=text)


def port_option(usual: int) -> Callable[[F], F]:
    """Add ``--port``.

    :param usual: the port that is taken if it is free.
    """
    return click.option(
        "--port",
        type=Number(int, least=0, most=65535),
        metavar="N",
        help=f"The port; 0 takes any free one. Default: {usual}, or any free one if that is taken.",
    )


# -- which executions --------------------------------------------------------------------------------------------------

STATUSES: Final = tuple(STATUS_BY_TEXT)


def filter_options(begin: str) -> Callable[[F], F]:
    """Add the filters to a command, which receives those that were given as ``filters``: arguments of `list`.

    :param begin: the first words of each help text.
    """

    options = _filters(begin)

    def add(function: F) -> F:
        @functools.wraps(function)
        def with_filters(*arguments: Any, **values: Any) -> Any:
            given = {name: values.pop(name) for name in options}
            return function(*arguments, filters=_arguments(**given), **values)

        added = [click.option(f"--{name.replace('_', '-')}", **option) for name, option in options.items()]
        return cast("F", _all(*added)(with_filters))

    return add


def _filters(begin: str) -> dict[str, dict[str, Any]]:
    """Return the options by the name of their filter."""
    begin += " executions"
    return {
        "workflow_id": {"type": name, "metavar": "W", "help": f"{begin} of this workflow."},
        "status": {
            "type": click.Choice(STATUSES),
            "multiple": True,
            "metavar": "STATUS",
            "help": f"{begin} with this status ({', '.join(STATUSES)}). Repeat it for several.",
        },
        "since": {
            "type": time,
            "metavar": "TIME",
            "help": f"{begin} created then or later: a time, or an age such as 2h.",
        },
        "before": {"type": time, "metavar": "TIME", "help": f"{begin} created before then."},
        "metadata": {
            "type": pair,
            "multiple": True,
            "metavar": "KEY=VALUE",
            "help": f"{begin} whose metadata has this text. Repeat it; all must match.",
        },
    }


def _arguments(*, status: tuple[str, ...], metadata: tuple[tuple[str, str], ...], **others: Any) -> dict[str, Any]:
    """Return the filters that were given as arguments of `list`."""
    filters = {name: value for name, value in others.items() if value is not None}  # an age of 0 is given too
    if "since" in filters and "before" in filters and time_of(filters["since"]) > time_of(filters["before"]):
        raise click.UsageError("--since is after --before; no execution was created then")
    if len(dict(metadata)) < len(metadata):
        raise click.UsageError("--metadata names a key twice, but an execution has one value for it")
    if status:
        filters["status"] = status[0] if len(status) == 1 else list(status)
    if metadata:
        filters["metadata"] = dict(metadata)
    return filters


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def checkpoint_options(function: F) -> F:
    """Add ``--checkpoint-id`` and ``--checkpoint-name``."""
    return _all(
        click.option("--checkpoint-id", type=name, metavar="ID", help="The checkpoint, by its id."),
        click.option("--checkpoint-name", type=name, metavar="NAME", help="The checkpoint, by its name."),
    )(function)


def one_checkpoint(checkpoint_id: str | None, checkpoint_name: str | None) -> None:
    """Reject a command that names a checkpoint twice."""
    if checkpoint_id is not None and checkpoint_name is not None:
        raise click.UsageError("give --checkpoint-id or --checkpoint-name, not both")


# -- questions before writes that cannot be undone ---------------------------------------------------------------------

yes_option: Final = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def can_ask() -> bool:
    """Return whether a person can answer: stdin and stderr are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def confirm(question: str) -> None:
    """Ask for confirmation on stderr.

    :raises CommandFailed: the answer was no. Nothing was sent.
    """
    if not click.confirm(question, err=True):
        raise CommandFailed("not confirmed; nothing was sent")

"""The ids of executions that a command receives: as arguments, or on stdin after ``-``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import attrs
import click

from omium_async._data.codec import parse_json

from .options import execution_id

F = TypeVar("F", bound=Callable[..., Any])

_STDIN: Final = "-"


@attrs.frozen
class Ids:
    """The ids, each once, in their order.

    :ivar from_stdin: whether stdin was read. The number of ids is data then: a command that treats one id in another
        way than several treats them as several.
    """

    all: tuple[str, ...]
    from_stdin: bool = False

    @property
    def single(self) -> str | None:
        """The id, if the user gave exactly one as argument."""
        return self.all[0] if len(self.all) == 1 and not self.from_stdin else None


def ids_argument(*, required: bool = True) -> Callable[[F], F]:
    """Add the argument ``execution_ids``: an `Ids`, or ``None`` if none was given."""
    return click.argument(
        "execution_ids",
        nargs=-1,
        required=required,
        metavar="EXECUTION_ID..." if required else "[EXECUTION_ID]...",
        callback=_ids,
    )


def _ids(context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Ids | None:
    if not values or context.resilient_parsing:
        return None
    if values.count(_STDIN) > 1:
        raise click.BadParameter("- stands for all of stdin; give it once")
    ids: list[str] = []
    for value in values:
        ids += _read_stdin() if value == _STDIN else [execution_id(value)]
    return Ids(tuple(dict.fromkeys(ids)), _STDIN in values)


def _read_stdin() -> Iterator[str]:
    """Yield the ids on stdin. All are checked before the command begins, so that a broken line writes nothing."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: `<&-`
        raise click.BadParameter("- reads ids from stdin, but stdin is closed")
    for number, line in enumerate(sys.stdin.buffer, 1):
        if text := line.strip():
            try:
                yield execution_id(_id_of(text.decode("utf-8-sig")))
            except (ValueError, click.BadParameter) as error:
                why = error.message if isinstance(error, click.BadParameter) else str(error)
                raise click.BadParameter(f"line {number} of stdin: {why}") from None


def _id_of(line: str) -> str:
    """Return the id on a line, which is the id alone or a JSON object with it."""
    if not line.startswith("{"):
        return line
    row = parse_json(line)
    value = row.get("id") if isinstance(row, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(value, str):
        raise ValueError("the object has no id; give ids, or the JSON lines that `omiumctl list --output jsonl` prints")  # noqa: TRY004
    return value

"""Which executions: the filters that `list`, `count` and bulk `replay` share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from omium_sync import ExecutionStatus

from . import arguments

__all__ = ["FILTERS", "filter_options", "given_filters", "moment_or_age", "pair"]

F = TypeVar("F", bound=Callable[..., Any])

#: The names of the filters, as commands receive them.
FILTERS: Final = ("workflow_id", "status", "since", "before", "metadata")

_AGE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_or_age(text: str) -> datetime:
    """A time, or an age such as ``2h`` counted back from now: as click's type of an option.

    A time without a zone is UTC, as everything that is shown here.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return datetime.now(UTC) - timedelta(seconds=float(age[1]) * _SECONDS[age[2]])
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a time, such as 2026-11-27T08:30 or 2026-11-27 (UTC unless it says otherwise), "
            "nor an age, such as 90s, 30m, 2h, 1d or 1w"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE``, as click's type of an option."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE, such as team=search")
    return name, value


def filter_options(what: str) -> Callable[[F], F]:
    """Adds the filters to a command. :param what: begins the text of each, such as ``Only``."""
    options = (
        click.option("--workflow-id", type=arguments.name, metavar="W", help=f"{what} those of this workflow."),
        click.option(
            "--status",
            type=arguments.name,
            multiple=True,
            metavar="STATUS",
            help=f"{what} these: pending, running, completed, failed, ...; may be repeated.",
        ),
        click.option(
            "--since", type=moment_or_age, metavar="TIME", help=f"{what} those created then or later: a time, or 2h."
        ),
        click.option("--before", type=moment_or_age, metavar="TIME", help=f"{what} those created before then."),
        click.option(
            "--metadata",
            type=pair,
            multiple=True,
            metavar="KEY=VALUE",
            help=f"{what} those whose metadata has this text; may be repeated, then all must hold.",
        ),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def given_filters(
    *,
    workflow_id: str | None,
    status: tuple[str, ...],
    since: datetime | None,
    before: datetime | None,
    metadata: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    """The arguments of ``executions.list`` for what was given on the command line; what was not is left out."""
    if len(dict(metadata)) < len(metadata):
        raise click.UsageError("--metadata names a key twice, and no execution has two values for it")
    if since is not None and before is not None and since > before:
        raise click.UsageError("--since is after --before: nothing was created then")
    statuses = [ExecutionStatus(one) for one in status]
    given = {
        "workflow_id": workflow_id,
        "status": statuses[0] if len(statuses) == 1 else statuses or None,
        "since": since,
        "before": before,
        "metadata": dict(metadata) or None,
    }
    return {name: value for name, value in given.items() if value is not None}

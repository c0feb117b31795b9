"""`omiumctl check`: are key and URL right, where do they come from, how far is the service."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import click

from omium_async import AsyncOmium, Attempt, AuthenticationError, OmiumError

from ..arguments import output_option
from ..connection import Connection, connection_options, pass_connection
from ..failures import Failure
from ..render import Output, console, printable, write_json

__all__ = ["check"]

_OPTIONS = {"api_key": "--api-key-file", "base_url": "--url"}


@attrs.frozen
class Finding:
    """What one request showed.

    :ivar key_from: what gave the key: a variable, a file, an option.
    :ivar url_from: what gave the URL.
    :ivar milliseconds: of the last attempt, with its connection; ``None`` when none was begun.
    :ivar executions: how many the service has for this key; ``None`` when it did not say.
    """

    url: str
    key_from: str
    url_from: str
    milliseconds: float | None
    executions: int | None
    error: OmiumError | None


@click.command(
    short_help="Are key and URL right, and how far is the service?",
    epilog="""\b
Examples:
  omiumctl check
  omiumctl check --url http://127.0.0.1:8700 --output json""",
)
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def check(connection: Connection, /, output: Output) -> None:
    """Make one request, and say whether it was answered; exit with 1 if not, or if key or URL cannot be used.

    The key itself is never shown, only which variable, file or option it came from.
    """
    attempts: list[Attempt] = []
    try:
        omium = connection.made(AsyncOmium, on_attempt=attempts.append)
    except Failure as failure:  # that is what was to be found out, not wrong usage
        if output is not Output.TABLE:
            write_json({"ok": False, "error": str(failure)}, output)
        raise Failure(str(failure)) from None
    finding = asyncio.run(_look(omium, attempts))
    if output is Output.TABLE:
        _show(finding)
    else:
        write_json(_fields(finding), output)
    if isinstance(finding.error, AuthenticationError):
        raise Failure(f"the service refuses the key from {finding.key_from}: {finding.error}")
    if finding.error is not None:
        raise Failure(str(finding.error))


async def _look(omium: AsyncOmium, attempts: list[Attempt]) -> Finding:
    settings = omium._caller.shared.settings  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    found: int | None = None
    error: OmiumError | None = None
    async with omium:
        try:
            found = (await omium.executions.page(1, 1)).total
        except OmiumError as refused:
            error = refused
    return Finding(
        settings.base_url,
        _origin(settings.origins, "api_key"),
        _origin(settings.origins, "base_url"),
        attempts[-1].elapsed * 1000 if attempts else None,
        found,
        error,
    )


def _origin(origins: Any, name: str) -> str:
    origin = origins[name]
    return _OPTIONS[name] if origin == "argument" else origin


def _fields(finding: Finding) -> dict[str, Any]:
    fields = attrs.asdict(finding, filter=lambda field, _: field.name != "error")
    return {**fields, "ok": finding.error is None, "error": None if finding.error is None else str(finding.error)}


def _show(finding: Finding) -> None:
    screen = console()
    screen.print(f"key        from {printable(finding.key_from)}")
    screen.print(f"url        {printable(finding.url)}, from {printable(finding.url_from)}")
    if finding.error is None:
        count = "" if finding.executions is None else f"; {finding.executions:,} executions"
        screen.print(f"service    answers in {finding.milliseconds:,.0f} ms{count}")

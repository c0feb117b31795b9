"""`omiumctl check`: whether key and URL are right, where they come from, and how fast the service answers."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import attrs
import click

from omium_async import AsyncOmium, Attempt, AuthenticationError, OmiumError

from ..connection import Connection, service_command
from ..endings import CommandFailed
from ..options import output_option
from ..output import Output, printable, write_json
from ..probe import print_report, probe

__all__ = ["command"]

_OPTIONS: Final = {"api_key": "--api-key-file", "base_url": "--url"}


@attrs.frozen
class Finding:
    """The result of one request.

    :ivar key_from: the source of the key: a variable, a file or an option.
    :ivar url_from: the source of the URL.
    :ivar milliseconds: the time of the last attempt, with its connection; ``None`` if none began.
    :ivar executions: the service's total; ``None`` if it gave none.
    """

    url: str
    key_from: str
    url_from: str
    milliseconds: float | None
    executions: int | None
    error: OmiumError | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for programs."""
        fields = attrs.asdict(self, filter=lambda field, _: field.name != "error")
        return {**fields, "ok": self.error is None, "error": None if self.error is None else str(self.error)}

    def print(self) -> None:
        """Print the fields for people."""
        click.echo(f"key        from {printable(self.key_from)}")
        click.echo(f"url        {printable(self.url)}, from {printable(self.url_from)}")
        if self.error is None:
            count = "" if self.executions is None else f"; {self.executions:,} executions"
            click.echo(f"service    answers in {self.milliseconds:,.0f} ms{count}")


@service_command(
    "check",
    "omiumctl check",
    "omiumctl check --url http://127.0.0.1:8700 --output json",
    "omiumctl check --probe > report.txt",
)
@click.option("--probe", "probing", is_flag=True, help="Find out what the service does, with at most 30 reads.")
@output_option()
def command(connection: Connection, /, probing: bool, output: Output) -> None:
    """Make one request, and report whether it was answered. The exit status is 1 if key or URL cannot be used.

    The key is never shown, only the variable, file or option that it came from.

    --probe reports what the service's document does not say: page sizes, totals, order, authentication, rate limits,
    clock, other endpoints. It only reads. The report contains no key, no ids and no data: please attach it to an
    issue.
    """
    if probing:
        report = asyncio.run(probe(connection.async_client))
        if output is Output.TABLE:
            print_report(report)
        else:
            write_json(report, output)
        return
    attempts: list[Attempt] = []
    try:
        omium = connection.async_client(on_attempt=attempts.append)
    except CommandFailed as failure:  # the check has failed; this is not wrong usage
        if output is not Output.TABLE:
            write_json({"ok": False, "error": str(failure)}, output)
        raise CommandFailed(str(failure)) from None
    finding = asyncio.run(_check(omium, attempts))
    if output is Output.TABLE:
        finding.print()
    else:
        write_json(finding.to_dict(), output)
    if isinstance(finding.error, AuthenticationError):
        raise CommandFailed(f"the service refuses the key from {finding.key_from}: {finding.error}")
    if finding.error is not None:
        raise CommandFailed(str(finding.error))


async def _check(omium: AsyncOmium, attempts: list[Attempt]) -> Finding:
    settings = omium._caller.shared.settings  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    total: int | None = None
    refusal: OmiumError | None = None
    async with omium:
        try:
            total = (await omium.executions.page(1, 1)).total
        except OmiumError as error:
            refusal = error
    return Finding(
        settings.base_url,
        _source(settings.origins["api_key"], "api_key"),
        _source(settings.origins["base_url"], "base_url"),
        attempts[-1].elapsed * 1000 if attempts else None,
        total,
        refusal,
    )


def _source(origin: str, name: str) -> str:
    return _OPTIONS[name] if origin == "argument" else origin

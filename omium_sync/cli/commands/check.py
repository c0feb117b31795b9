"""`omiumctl check`: whether key and URL are right, where they come from, and how fast the service answers."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from omium_async import AsyncOmium, Attempt, OmiumError

from ..connection import Connection, service_command
from ..endings import CommandFailed
from ..options import output_option
from ..output import Output, printable, write_json
from ..probe import print_report, probe


@service_command(
    "check",
    "omiumctl check",
    "omiumctl check --url http://127.0.0.1:8700 --output json",
    "omiumctl check --probe > report.txt",
)
@click.option("--probe", "probing", is_flag=True, help="Find out what the service does, with at most 30 reads.")
@output_option()
def check_command(connection: Connection, /, probing: bool, output: Output) -> None:
    """Make one request, and report whether it was answered. The exit status is 1 if key or URL cannot be used.

    The key is never shown, only the variable, file or option that it came from.

    --probe reports what the service's document does not say: page sizes, totals, order, authentication, rate limits,
    clock, other endpoints, the form of logs. It only reads. The report contains no key, no ids and no data: please
    attach it to an issue.
    """
    attempts: list[Attempt] = []
    try:
        omium = connection.async_client(on_attempt=attempts.append)
    except CommandFailed as failure:  # the check has failed; this is not wrong usage
        if output is not Output.TABLE:
            write_json({"ok": False, "error": str(failure)}, output)
        raise CommandFailed(str(failure)) from None
    if probing:
        found = asyncio.run(probe(connection.async_client))
        if output is Output.TABLE:
            print_report(found)
        else:
            write_json(found, output)
        return
    report, error = asyncio.run(_check(omium, attempts))
    if output is Output.TABLE:
        _print(report)
    else:
        write_json(report, output)
    if error is not None:
        raise CommandFailed(str(error))


async def _check(omium: AsyncOmium, attempts: list[Attempt]) -> tuple[dict[str, Any], OmiumError | None]:
    settings = omium._caller.shared.settings  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    key_from, url_from = settings.origins["api_key"], settings.origins["base_url"]
    total: int | None = None
    refusal: OmiumError | None = None
    async with omium:
        try:
            total = (await omium.executions.page(1, 1)).total
        except OmiumError as error:
            refusal = error
    return {
        "url": settings.base_url,
        "key_from": "--api-key-file" if key_from == "argument" else key_from,
        "url_from": "--url" if url_from == "argument" else url_from,
        "milliseconds": attempts[-1].elapsed * 1000 if attempts else None,
        "executions": total,
        "ok": refusal is None,
        "error": None if refusal is None else str(refusal),
    }, refusal


def _print(report: dict[str, Any]) -> None:
    click.echo(f"key        from {printable(report['key_from'])}")
    click.echo(f"url        {printable(report['url'])}, from {printable(report['url_from'])}")
    if report["ok"]:
        total = report["executions"]
        count = "" if total is None else f"; {total:,} execution{'s' * (total != 1)}"
        click.echo(f"service    answers in {report['milliseconds']:,.0f} ms{count}")

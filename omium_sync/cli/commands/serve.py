"""`omiumctl serve`: an Omium of one's own in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omium_async import AsyncOmium

from ..connection import key_of_file
from ..console import console_served, require_console
from ..failures import Failure
from ..interrupts import stop_signals
from ..render import Output, printable, write_json

if TYPE_CHECKING:
    from omium_async.local import LocalOmium

__all__ = ["serve"]


@click.command(
    short_help="Serve an Omium of your own, with your workflows.",
    epilog="""\b
Examples:
  omiumctl serve --workflows myflows
  omiumctl serve --database omium.db --port 8700 --workflows flows/report.py""",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep all in this SQLite file, and go on with what it holds [in memory: gone at the end].",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="any free one",
    metavar="N",
    help="The port on 127.0.0.1.",
)
@click.option(
    "--workflows",
    "module",
    metavar="MODULE",
    help="A module, looked for in the current folder first, or a file .py, that defines workflows ="
    " {ID: ASYNC_FUNCTION}, or has a LocalOmium with @local.workflow(ID).",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Accept the key in this file, and do not print it [the database's own key, made up at its first start].",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to say where it serves; json: one line with url and api_key.",
)
@click.option("--ui", is_flag=True, help="Serve the console too, the page of `omiumctl ui`, on a port of its own.")
def serve(
    database: Path | None, port: int, module: str | None, api_key_file: Path | None, output: str, ui: bool
) -> int:
    """Serve an Omium of your own on this machine, until Ctrl-C (exit status 130) or SIGTERM (0).

    It prints its URL and its key, in the form of commands for your shell. Executions of a workflow that --workflows
    does not define are accepted and stay pending. After any end, also a kill, the next serve on the same --database
    goes on with each running execution from its last checkpoint.
    """
    if ui:
        require_console()
    from omium_async.local import LocalOmium, LocalOmiumError, load_workflows  # noqa: PLC0415 - only here is a server needed

    try:
        workflows = {} if module is None else load_workflows(module)
    except LocalOmiumError as error:
        raise click.UsageError(str(error)) from None
    keys = None if api_key_file is None else [key_of_file(api_key_file)]
    try:
        local = LocalOmium(database, port=port, api_keys=keys)
    except ValueError as error:  # a key that no header can carry; the message does not show it
        raise click.UsageError(str(error)) from None
    for name, function in workflows.items():
        local.workflow(name)(function)
    try:
        return asyncio.run(_serve(local, Announcement(database, list(workflows), output, keys is None), ui=ui))
    except LocalOmiumError as error:
        raise Failure(str(error)) from None


class Announcement:
    """What `serve` says when it has started."""

    def __init__(self, database: Path | None, workflows: list[str], output: str, shows_key: bool) -> None:
        self._database = database
        self._workflows = workflows
        self._json = output == Output.JSON
        self._shows_key = shows_key

    def make(self, local: LocalOmium, console: str | None) -> None:
        """Say where it serves, and how to use it; ``console`` is the URL of the page, if there is one."""
        if self._json:
            key = {"api_key": local.api_key} if self._shows_key else {}
            page = {} if console is None else {"console": console}
            write_json({"url": local.url, **key, **page, "workflows": self._workflows}, Output.JSONL)
            return
        where = "in memory" if self._database is None else f"on {printable(self._database)}"
        click.echo(f"LocalOmium serves {local.url} {where}. To use it from another terminal:")
        click.echo(f"  export OMIUM_API_URL={local.url}")
        if self._shows_key:
            # A key for this machine alone, of no use elsewhere: who serves needs it, and the database keeps it.
            click.echo(f"  export OMIUM_API_KEY={shlex.quote(local.api_key)}")
        else:
            click.echo("  and OMIUM_API_KEY, the key of your file")
        names = ", ".join(map(printable, self._workflows))
        click.echo(f"Workflows: {names or 'none (executions stay pending; see --workflows)'}")
        if console is not None:
            click.echo(f"Console: {console}")
        click.echo("Stop with Ctrl-C.")


async def _serve(local: LocalOmium, announcement: Announcement, *, ui: bool) -> int:
    with stop_signals() as stopped:
        async with local, contextlib.AsyncExitStack() as stack:
            console = None
            if ui:
                omium = await stack.enter_async_context(AsyncOmium(local.api_key, base_url=local.url))
                console = await stack.enter_async_context(console_served(omium))
            announcement.make(local, console)
            return await stopped

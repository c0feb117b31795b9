"""`omiumctl serve`: a local Omium in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
import socket
from pathlib import Path
from typing import Final

import click

from omium_async import AsyncOmium
from omium_async.local import LocalOmium, LocalOmiumError, load_workflows

from ..connection import examples, key_of_file
from ..console_server import console_served, require_console
from ..endings import CommandFailed
from ..files import state_folder, write_private
from ..options import Number
from ..output import Output, printable, write_json
from ..signals import stop_signals

__all__ = ["command"]

_USUAL_PORT: Final = 8700
_KEY: Final = re.compile(r"omium_local_[0-9a-f]{32}")


@click.command(
    "serve",
    epilog=examples(
        "omiumctl serve --workflows myflows",
        "omiumctl serve --database omium.db --port 8700 --workflows flows/report.py",
    ),
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Store executions in this SQLite file, and continue those in it. Default: in memory, lost at the end.",
)
@click.option(
    "--port",
    type=Number(int, least=0, most=65535),
    metavar="N",
    help=f"The port on 127.0.0.1; 0 takes any free one. Default: {_USUAL_PORT}, or any free one if that is taken.",
)
@click.option(
    "--workflows",
    "module",
    metavar="MODULE",
    help="A module, searched for in the current folder first, or a .py file. It defines workflows = {ID: FUNCTION}, or"
    " has a LocalOmium with @local.workflow(ID).",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Accept the key in this file, and do not print it. Default: a random key, the same at each start.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: print one line with url and api_key.",
)
@click.option("--ui", is_flag=True, help="Also serve the console, the page of `omiumctl ui`, on another port.")
def command(
    database: Path | None, port: int | None, module: str | None, api_key_file: Path | None, output: str, ui: bool
) -> int:
    """Serve a local Omium on this machine, until Ctrl-C (exit status 130) or SIGTERM (0).

    It prints its URL and its key as commands for your shell. Without --workflows, executions are accepted and stay
    pending. If it is stopped or killed, the next serve with the same --database continues each running execution from
    its last checkpoint.
    """
    if ui:
        require_console()
    try:
        workflows = {} if module is None else load_workflows(module)
    except LocalOmiumError as error:
        raise click.UsageError(str(error)) from None
    keys = _keys(database, api_key_file)
    try:
        local = LocalOmium(database, port=_free_port() if port is None else port, api_keys=keys)
    except ValueError as error:  # a key that no header can carry; the message does not contain it
        raise click.UsageError(str(error)) from None
    for name, function in workflows.items():
        local.workflow(name)(function)
    try:
        return asyncio.run(
            _serve(local, Announcement(database, list(workflows), output == "json", api_key_file is None), ui=ui)
        )
    except LocalOmiumError as error:
        raise CommandFailed(str(error)) from None


def _free_port() -> int:
    """Return the usual port, or 0 if another program uses it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _USUAL_PORT))
        except OSError:
            return 0
    return _USUAL_PORT


def _keys(database: Path | None, api_key_file: Path | None) -> list[str] | None:
    if api_key_file is not None:
        return [key_of_file(api_key_file)]
    return [_kept_key()] if database is None else None  # a database keeps its own key


def _kept_key() -> str:
    """Return the key of servers in memory, from a private file, so that exported variables survive a restart."""
    file = state_folder() / "serve.key"
    key = file.read_text(encoding="ascii", errors="replace") if file.exists() else ""
    if not _KEY.fullmatch(key):
        key = f"omium_local_{secrets.token_hex(16)}"
        write_private(file, key.encode())
    return key


class Announcement:
    """The lines that `serve` prints when it has started."""

    def __init__(self, database: Path | None, workflows: list[str], as_json: bool, with_key: bool) -> None:
        self._database = database
        self._workflows = workflows
        self._as_json = as_json
        self._with_key = with_key

    def print(self, local: LocalOmium, console: str | None) -> None:
        """Print where it serves and how to use it. :param console: the URL of the console, if it is served."""
        if self._as_json:
            key = {"api_key": local.api_key} if self._with_key else {}
            page = {} if console is None else {"console": console}
            write_json({"url": local.url, **key, **page, "workflows": self._workflows}, Output.JSONL)
            return
        where = "in memory" if self._database is None else f"on {printable(self._database)}"
        click.echo(f"LocalOmium serves {local.url} {where}. To use it from another terminal:")
        click.echo(f"  export OMIUM_API_URL={local.url}")
        if self._with_key:  # it is valid for this server only, and the user needs it
            click.echo(f"  export OMIUM_API_KEY={shlex.quote(local.api_key)}")
        else:
            click.echo("  and set OMIUM_API_KEY to the key in your file")
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
            announcement.print(local, console)
            return await stopped

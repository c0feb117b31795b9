"""`omiumctl serve`: a local Omium in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import secrets
import shlex
import socket
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from omium_async import AsyncOmium
from omium_async.local import LocalOmiumError, load_workflows
from omium_sync import LocalOmium

from ..connection import key_of_file, local_command, show_log
from ..endings import CommandFailed
from ..options import Number, port_option
from ..output import Output, printable, write_json
from ..signals import stop_signals
from .ui import HOST, ConsoleAddress, console_served, require_console

_USUAL_PORT: Final = 8700
_KEY: Final = re.compile(r"omium_local_[0-9a-f]{32}")


@local_command(
    "serve",
    "omiumctl serve --workflows myflows",
    "omiumctl serve --database omium.db --port 8700 --workflows flows/report.py",
    "omiumctl serve --host 0.0.0.0 --ui --allow-host omium.example.com",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Store executions in this SQLite file, and continue those in it. Default: in memory, lost at the end.",
)
@click.option(
    "--host",
    metavar="HOST",
    default=HOST,
    show_default=True,
    help="Listen at this address of the machine; 0.0.0.0 is all of them, for a container.",
)
@port_option(_USUAL_PORT)
@click.option(
    "--workflows",
    "module",
    metavar="MODULE",
    help="A module, searched for in the current folder first, or a .py file. It defines workflows = {ID: FUNCTION}, or"
    " has a LocalOmium with @local.workflow(ID).",
)
@click.option(
    "--max-running",
    type=Number(int, least=1),
    metavar="N",
    help="Run at most N executions at once; others are pending, and begin in order of creation. Default: no limit.",
)
@click.option("--uuids", is_flag=True, help="Reject a workflow_id or agent_id that is no UUID, as the service does.")
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
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="A name, or NAME:PORT, by which browsers may reach the console besides loopback. With another --host than"
    " loopback, --ui needs one. May be repeated.",
)
def serve_command(
    database: Path | None,
    host: str,
    port: int | None,
    module: str | None,
    max_running: int | None,
    uuids: bool,
    api_key_file: Path | None,
    output: str,
    ui: bool,
    allowed: tuple[str, ...],
) -> int:
    """Serve a local Omium on this machine, until Ctrl-C (exit status 130) or SIGTERM (0).

    It prints its URL and its key as commands for your shell. Without --workflows, executions are accepted and stay
    pending. If it is stopped or killed, the next serve with the same --database continues each running execution from
    its last checkpoint.
    """
    page = _console_address(host, allowed, ui=ui)
    try:
        workflows = {} if module is None else load_workflows(module)
    except LocalOmiumError as error:
        raise click.UsageError(str(error)) from None
    keys = _keys(database, api_key_file)
    try:
        local = LocalOmium(
            database,
            host=host,
            port=_free_port(host) if port is None else port,
            api_keys=keys,
            max_running=max_running,
            uuids=uuids,
        )
        for name, function in workflows.items():
            local.workflow(name)(function)
    except ValueError as error:  # such as a key that no header can carry; the message does not contain it
        raise click.UsageError(str(error)) from None
    show_log(verbose=False)
    try:
        return asyncio.run(_serve(local, database, page, as_json=output == "json", with_key=api_key_file is None))
    except LocalOmiumError as error:
        raise CommandFailed(str(error)) from None


async def _serve(
    local: LocalOmium, database: Path | None, page: ConsoleAddress | None, *, as_json: bool, with_key: bool
) -> int:
    # The server and its workflows have a thread and an event loop of their own: a workflow neither ends nor blocks this
    # one. Start and stop of the server block this one, which has nothing else to do then.
    with stop_signals() as stopped, local:
        async with contextlib.AsyncExitStack() as stack:
            said: dict[str, Any] = {"url": local.url}
            if with_key:  # it is valid for this server only, and the user needs it
                said["api_key"] = local.api_key
            if page is not None:
                # The address is one of this machine, also if it is not loopback.
                client = AsyncOmium(local.api_key, base_url=local.url, allow_insecure_http=True)
                omium = await stack.enter_async_context(client)
                said["console"] = await stack.enter_async_context(console_served(omium, address=page))
            said["workflows"] = list(local.workflows)
            if as_json:
                write_json(said, Output.JSONL)
            else:
                _print(said, database)
            return await stopped


def _print(said: dict[str, Any], database: Path | None) -> None:
    where = "in memory" if database is None else f"on {printable(database)}"
    click.echo(f"LocalOmium serves {said['url']} {where}. To use it from another terminal:")
    click.echo(f"  export OMIUM_API_URL={said['url']}")
    if "api_key" in said:
        click.echo(f"  export OMIUM_API_KEY={shlex.quote(said['api_key'])}")
    else:
        click.echo("  and set OMIUM_API_KEY to the key in your file")
    names = ", ".join(map(printable, said["workflows"]))
    click.echo(f"Workflows: {names or 'none (executions stay pending; see --workflows)'}")
    if "console" in said:
        click.echo(f"Console: {said['console']}")
    click.echo("Stop with Ctrl-C.")


def _console_address(host: str, allowed: tuple[str, ...], *, ui: bool) -> ConsoleAddress | None:
    """Return where to serve the console, or ``None`` for no console.

    :raises click.UsageError: the options do not fit together.
    """
    if not ui:
        if allowed:
            raise click.UsageError("--allow-host names the hosts of the console; it needs --ui")
        return None
    require_console()
    if not allowed and not _is_loopback(host):
        raise click.UsageError(
            f"--ui with --host {host} needs --allow-host NAME, a name by which browsers may reach the console"
        )
    try:
        return ConsoleAddress(host, allowed)
    except ValueError as error:
        raise click.UsageError(f"--allow-host: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port(host: str) -> int:
    """Return the usual port, or 0 if another program uses it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, _USUAL_PORT))
        except OSError as error:
            return 0 if error.errno == errno.EADDRINUSE else _USUAL_PORT  # the server reports any other error
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
        _write_private(file, key.encode())
    return key


def state_folder() -> Path:
    """Create the folder in which `omiumctl` keeps files between runs; without a home folder, a temporary one."""
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "omiumctl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # it may have existed
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="omiumctl-"))


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that is closed to other users.

    :raises OSError: the system refuses.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # the file may have existed
        file.write(content)

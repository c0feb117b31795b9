"""`omiumctl ui`: the console."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import webbrowser

import click

from omium_async import AsyncOmium

from ..connection import Connection, service_command
from ..console_server import console_served, require_console
from ..options import Number
from ..signals import stop_signals


@service_command(
    "ui",
    "omiumctl ui",
    "omiumctl ui --port 9000 --no-browser",
    "omiumctl --url http://127.0.0.1:8000 ui",
)
@click.option(
    "--port",
    type=Number(int, least=0, most=65535),
    metavar="N",
    help="The port on 127.0.0.1; 0 takes any free one. Default: 8484, or any free one if that is taken.",
)
@click.option("--no-browser", is_flag=True, help="Print the URL, and open no browser.")
def command(connection: Connection, /, port: int | None, no_browser: bool) -> int:
    """Serve the console on this machine, until Ctrl-C (exit status 130) or SIGTERM (0).

    The console is a web page over your executions: failures and their reasons, the steps of each execution, and
    buttons to replay, roll back and cancel. The key stays in this process. The last line printed is the URL.
    """
    require_console()
    return asyncio.run(_serve(connection.async_client(), port, browser=not no_browser))


async def _serve(omium: AsyncOmium, port: int | None, *, browser: bool) -> int:
    with stop_signals() as stopped:
        async with omium, console_served(omium, port) as url:
            can_open = browser and _has_browser()
            if browser and not can_open:
                click.echo("There is no browser to open on this machine.")
            click.echo("Stop with Ctrl-C. The console of your executions:")
            click.echo(url)
            sys.stdout.flush()
            if can_open:  # in a thread, because some browsers block until they are closed
                threading.Thread(target=_open, args=(url,), daemon=True).start()
            return await stopped


def _has_browser() -> bool:
    """Return whether there is a browser with windows. A text browser would take over this terminal."""
    windows = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if windows:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.get()
            return True
    return False


def _open(url: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)

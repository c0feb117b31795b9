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

from ..connection import Connection, connection_options, pass_connection
from ..console import console_served, require_console
from ..interrupts import stop_signals

__all__ = ["ui"]


@click.command(short_help="Look at executions in a browser, and mend them.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="The port on 127.0.0.1; 0: any free one [8484, or any free one if that is taken].",
)
@click.option("--no-browser", is_flag=True, help="Print the URL only.")
@connection_options()
@pass_connection
def ui(connection: Connection, /, port: int | None, no_browser: bool) -> int:
    """Serve the console on this machine, until Ctrl-C (exit status 130) or SIGTERM (0).

    A web page over your executions: what failed and why, each step of an execution, replay and rollback by a button.
    The key stays in this process. The last line printed is the URL.

    \b
    Examples:
      omiumctl ui
      omiumctl ui --port 9000 --no-browser
      omiumctl --url http://127.0.0.1:8000 ui
    """
    require_console()
    return asyncio.run(_serve(connection.made(AsyncOmium), port, browser=not no_browser))


async def _serve(omium: AsyncOmium, port: int | None, *, browser: bool) -> int:
    with stop_signals() as stopped:
        async with omium, console_served(omium, port) as url:
            can_open = browser and _has_browser()
            if browser and not can_open:
                click.echo("There is no browser to open here.")
            click.echo("Stop with Ctrl-C. The console of your executions:")
            click.echo(url)
            sys.stdout.flush()
            if can_open:  # in a thread that nothing waits for: some browsers are waited for until they are closed
                threading.Thread(target=_open, args=(url,), daemon=True).start()
            return await stopped


def _has_browser() -> bool:
    """Whether there is one with windows: one for the terminal would take this one."""
    windows = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if windows:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.get()
            return True
    return False


def _open(url: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)

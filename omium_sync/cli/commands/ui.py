"""`omiumctl ui`, and the console of `serve --ui` and `demo --ui`: on loopback, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import os
import sys
import threading
import webbrowser
from collections.abc import AsyncGenerator
from typing import Final

import click
from aiohttp import web

from omium_async import AsyncOmium

from ..connection import Connection, service_command
from ..endings import USAGE, CommandFailed
from ..options import port_option
from ..signals import stop_signals

_HOST: Final = "127.0.0.1"
_USUAL_PORT: Final = 8484  # tried first, so that bookmarks continue to work


@service_command(
    "ui",
    "omiumctl ui",
    "omiumctl ui --port 9000 --no-browser",
    "omiumctl --url http://127.0.0.1:8000 ui",
)
@port_option(_USUAL_PORT)
@click.option("--no-browser", is_flag=True, help="Print the URL, and open no browser.")
def ui_command(connection: Connection, /, port: int | None, no_browser: bool) -> int:
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


def require_console() -> None:
    """Check that the extra is installed.

    :raises CommandFailed: it is not.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise CommandFailed("the console needs jinja2: pip install 'omium-async[ui]'", USAGE)


@contextlib.asynccontextmanager
async def console_served(omium: AsyncOmium, port: int | None = None) -> AsyncGenerator[str]:
    """Serve the console of a client within the context, and give its URL.

    :param port: ``None`` takes 8484, or any free port if that is taken.
    :raises CommandFailed: it cannot listen on that port.
    """
    from omium_async.ui import console  # noqa: PLC0415 - it needs the extra

    runner = web.AppRunner(console(omium), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield f"http://{_HOST}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int | None) -> None:
    try:
        await web.TCPSite(runner, _HOST, _USUAL_PORT if port is None else port).start()
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            await web.TCPSite(runner, _HOST, 0).start()
            return
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise CommandFailed(f"port {port} on {_HOST} {why}; choose another one with --port N") from None

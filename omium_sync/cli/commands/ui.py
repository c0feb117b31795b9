"""`omiumctl ui`, and the console of `serve --ui` and `demo --ui`: on loopback, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import urlsplit

import attrs
import click
from aiohttp import web

from omium_async import AsyncOmium

from ..connection import Connection, service_command
from ..endings import USAGE, CommandFailed
from ..options import port_option
from ..signals import stop_signals

HOST: Final = "127.0.0.1"
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


@attrs.frozen
class ConsoleAddress:
    """Where the console listens, and the names by which browsers reach it besides loopback.

    :raises ValueError: one of them is neither a name nor a name with a port.
    """

    host: str = HOST
    names: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        for name in self.names:
            _check_name(name)

    def origins(self, port: int) -> list[str]:
        """Return the origins of the console: a name without a port has the console's, or the one of its scheme."""
        hosts = {each for name in self.names for each in ((name,) if _port_of(name) else (name, f"{name}:{port}"))}
        return [f"{scheme}://{host}" for scheme in ("http", "https") for host in sorted(hosts)]

    def url(self, port: int) -> str:
        """Return a URL that browsers can open."""
        host = next(iter(self.names), f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}/" if _port_of(host) else f"http://{host}:{port}/"


def _check_name(name: str) -> None:
    parts = urlsplit(f"//{name}")
    if parts.netloc != name or not parts.hostname or parts.username is not None or "*" in name or _port_of(name) == 0:
        raise ValueError(f"{name!r} is no name of a host, such as omium.example.com or localhost:9000")


def _port_of(name: str) -> int | None:
    try:
        return urlsplit(f"//{name}").port
    except ValueError:
        return 0


@contextlib.asynccontextmanager
async def console_served(
    omium: AsyncOmium, port: int | None = None, *, address: ConsoleAddress | None = None
) -> AsyncGenerator[str]:
    """Serve the console of a client within the context, and give its URL.

    :param port: ``None`` takes 8484, or any free port if that is taken.
    :param address: by default loopback.
    :raises CommandFailed: it cannot listen there.
    """
    from omium_async.ui import console  # noqa: PLC0415 - it needs the extra

    address = ConsoleAddress() if address is None else address
    with _bound(address.host, port) as listening:
        bound: int = listening.getsockname()[1]
        app = console(omium, origins=address.origins(bound))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield address.url(bound)
        finally:
            await runner.cleanup()


def _bound(host: str, port: int | None) -> socket.socket:
    """Return a socket that is bound: the console must know its port before it listens."""
    first = _USUAL_PORT if port is None else port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, first), family=family)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return socket.create_server((host, 0), family=family)
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise CommandFailed(f"port {first} on {host} {why}; choose another one with --port N") from None

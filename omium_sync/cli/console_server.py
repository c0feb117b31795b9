"""Serves the console for `ui`, `serve --ui` and `demo --ui`: on loopback, in this process."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from omium_async import AsyncOmium

from .endings import USAGE, CommandFailed

__all__ = ["console_served", "require_console"]

_HOST: Final = "127.0.0.1"
_USUAL: Final = 8484  # tried first, so that bookmarks continue to work


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
        await web.TCPSite(runner, _HOST, _USUAL if port is None else port).start()
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            await web.TCPSite(runner, _HOST, 0).start()
            return
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise CommandFailed(f"port {port} on {_HOST} {why}; choose another one with --port N") from None

"""The console of `omiumctl ui`, `serve --ui` and `demo --ui`: served on loopback, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import threading
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Final

from omium_async import AsyncOmium

from .failures import USAGE, Failure

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["console_beside", "console_served", "require_console"]

_HOST: Final = "127.0.0.1"
_USUAL: Final = 8484  # so that bookmarks stay good; where it is taken, any free one


def require_console() -> None:
    """:raises Failure: the extra is not installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise Failure("the console needs jinja2: pip install 'omium-async[ui]'", USAGE)


@contextlib.asynccontextmanager
async def console_served(omium: AsyncOmium, port: int | None = None) -> AsyncGenerator[str]:
    """Serve the console of a client; gives its URL.

    :param port: ``None``: the usual one, or any free one if that is taken.
    :raises Failure: it cannot listen on that port.
    """
    from aiohttp import web  # noqa: PLC0415 - only here is a server needed

    from omium_async.ui import console  # noqa: PLC0415 - likewise

    runner = web.AppRunner(console(omium), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield f"http://{_HOST}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int | None) -> None:
    from aiohttp import web  # noqa: PLC0415 - see above

    try:
        await web.TCPSite(runner, _HOST, _USUAL if port is None else port).start()
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            await web.TCPSite(runner, _HOST, 0).start()
            return
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise Failure(f"port {port} on {_HOST} {why}; another one: --port N") from None


@contextlib.contextmanager
def console_beside(api_key: str, url: str) -> Generator[str]:
    """Serve the console from a thread, beside what runs in this one; gives its URL."""
    ready, loops = threading.Event(), _Beside()

    async def serve() -> None:
        loops.loop, loops.stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with AsyncOmium(api_key, base_url=url) as omium, console_served(omium) as loops.url:
                ready.set()
                await loops.stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="console", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield loops.url
    finally:
        if loops.loop is not None and loops.stop is not None and thread.is_alive():
            loops.loop.call_soon_threadsafe(loops.stop.set)
        thread.join(5)


class _Beside:
    """What the thread tells the one that started it."""

    url = ""
    loop: asyncio.AbstractEventLoop | None = None
    stop: asyncio.Event | None = None

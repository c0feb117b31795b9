"""The console as an aiohttp application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from omium_async import AsyncOmium

from . import bulk_page, create_page, execution_page, list_page, move_page
from .guard import Guard, add_headers, parse_origins
from .site import SITE, Site


def console(omium: AsyncOmium, *, origins: Iterable[str] = ()) -> web.Application:
    """Return an aiohttp application that shows the executions which a client's key can read.

    Serve it by itself, or mount it under a prefix of another application: ``app.add_subapp("/omium", console(omium))``.
    It sends its requests through the client, so they share its pacing, connections and retry budget. A client's own
    ``on_attempt`` is not called for bulk replays. The key stays in this process: no page contains it.

    Everyone who can reach the application can start, replay and cancel work with that key. So it answers only on
    loopback (``localhost`` and loopback addresses) and on ``origins``. If you serve it elsewhere, require a login.

    :param omium: the client. It is not closed with the application.
    :param origins: where browsers reach the console besides loopback, such as ``("https://console.example.com",)``.
    :return: the application; it sends requests only for pages that are open.
    :raises TypeError: ``omium`` is not an `AsyncOmium`, or ``origins`` is not a collection of texts.
    :raises ValueError: an item of ``origins`` is not an origin.
    """
    if not isinstance(omium, AsyncOmium):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"omium: got {type(omium).__name__}; console() takes an AsyncOmium")
    app = web.Application(middlewares=[_middleware(Guard(parse_origins(origins)))])
    app[SITE] = Site(omium)
    app.cleanup_ctx.append(_close_at_end)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("", _show_root)
    app.router.add_get("/static/{name}", _show_static)
    for pages in (list_page, execution_page, move_page, create_page, bulk_page):
        app.router.add_routes(pages.routes)
    app.router.add_route("*", "/{anything:.*}", _not_found)
    return app


def _middleware(guard: Guard) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard(request, handler)

    return guarded


async def _close_at_end(app: web.Application) -> AsyncIterator[None]:
    yield
    await app[SITE].close()


async def _show_root(request: web.Request) -> web.StreamResponse:
    """Show the list; redirect a prefix without a final slash, because relative links would lead elsewhere."""
    path = request.rel_url.raw_path
    if path.endswith("/"):
        return await list_page.show(request)
    query = request.rel_url.raw_query_string
    raise web.HTTPFound(f"./{path.rpartition('/')[2]}/{'?' if query else ''}{query}")


async def _show_static(request: web.Request) -> web.Response:
    return request.app[SITE].renderer.static(request, request.match_info["name"])


async def _not_found(request: web.Request) -> web.Response:
    resource = request.match_info.route.resource
    prefix = "" if resource is None else resource.canonical.rpartition("/")[0]
    depth = request.rel_url.raw_path[len(prefix) + 1 :].count("/")
    return request.app[SITE].renderer.notice(
        "No such page", "The console has no such page.", ("", "To the executions"), depth=depth
    )

"""The console as an aiohttp application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from omium_async import AsyncOmium

from . import bulk_page, client_page, create_page, execution_page, list_page, move_page
from .guard import Guard, checked_origins
from .site import MAX_FORM, SITE, Site

__all__ = ["console"]


def console(omium: AsyncOmium, *, origins: Iterable[str] = ()) -> web.Application:
    """An aiohttp application that shows what a client's key may see: a console over executions.

    Serve it by itself, or mount it under a prefix of another application: ``app.add_subapp("/omium", console(omium))``.
    It calls through copies of the client, so that pacing, connections and retry budget are shared; a client's own
    ``on_attempt`` does not see the console's calls. The key stays in this process: no page carries it. Everybody who
    can reach the application can start and discard work with that key, so it answers only under names of this machine
    (``localhost``, loopback addresses) and under ``origins``; whoever serves it elsewhere asks for a login before it.

    :param omium: the client whose executions are shown. It is not closed with the application.
    :param origins: where browsers reach it besides loopback, such as ``("https://console.example.com",)``.
    :return: the application; it begins to ask the service when somebody looks at a page.
    :raises TypeError: ``omium`` is no `AsyncOmium`, or ``origins`` no collection of texts.
    :raises ValueError: one of the origins is none.
    """
    if not isinstance(omium, AsyncOmium):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"console() shows the executions of an AsyncOmium, not of {type(omium).__name__}")
    guard = Guard(checked_origins(origins))
    app = web.Application(middlewares=[_as_middleware(guard)], client_max_size=MAX_FORM)
    app[SITE] = Site(omium)
    app.cleanup_ctx.append(_running)
    app.router.add_get("", _root)
    app.router.add_get("/static/{name}", _static)
    for pages in (list_page, execution_page, move_page, create_page, bulk_page, client_page):
        app.router.add_routes(pages.routes)
    app.router.add_route("*", "/{anything:.*}", _not_found)
    return app


def _as_middleware(guard: Guard) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard(request, handler)

    return guarded


async def _running(app: web.Application) -> AsyncIterator[None]:
    site = app[SITE]
    await site.open()
    yield
    await site.close()


async def _root(request: web.Request) -> web.StreamResponse:
    """The list; without the slash at the end, as of a prefix, its relative links would lead elsewhere."""
    path = request.rel_url.raw_path
    if path.endswith("/"):
        return await list_page.show(request)
    query = request.rel_url.raw_query_string
    raise web.HTTPFound(f"./{path.rpartition('/')[2]}/{'?' if query else ''}{query}")


async def _static(request: web.Request) -> web.Response:
    return request.app[SITE].renderer.static(request, request.match_info["name"])


async def _not_found(request: web.Request) -> web.Response:
    resource = request.match_info.route.resource
    prefix = "" if resource is None else resource.canonical.rpartition("/")[0]
    depth = request.rel_url.raw_path[len(prefix) + 1 :].count("/")
    return request.app[SITE].renderer.page("not_found.html", depth=depth, status=404, what="page", of_id=None)

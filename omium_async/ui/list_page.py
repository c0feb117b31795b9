"""The list of executions: what there is, what failed and why."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from .live import longest_failing
from .overview import GROUPED
from .site import SITE, Site
from .view import BadView, View

__all__ = ["routes", "view_of"]

routes: Final = web.RouteTableDef()

_PARTS: Final = ("outage", "counts", "failures", "rows", "freshness")
_FIELDS: Final = ("status", "workflow_id", "since", "before", "metadata", "page", "reach")


def view_of(request: web.Request) -> View:
    """The view that an address asks for.

    :raises BadView: its filters make no sense.
    """
    return View.of(request.query)


@routes.get("/")
async def show(request: web.Request) -> web.StreamResponse:
    """The list, with the filters of its address."""
    site = request.app[SITE]
    try:
        view = view_of(request)
    except BadView as bad:
        return _bad(site, request, bad)
    if any(name in _FIELDS and not value for name, value in request.query.items()):
        raise web.HTTPFound(f"./{view.query()}")  # a form sends its empty fields too; addresses are kept short
    if view.reach > 1 and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise web.HTTPFound(f"./{view.query(reach=1)}")  # how far a search goes is not for another site to say
    rows = site.rows(view)
    await site.settled(rows, request)
    overview = site.overview(view)  # after the rows, which may answer it
    await site.settled(overview, request)
    failing = longest_failing([rows, overview])
    nothing_known = rows.value is None and rows.error is not None
    return site.renderer.live(
        request,
        "list.html",
        _PARTS,
        due_in=min(rows.due_in, overview.due_in),
        status=502 if nothing_known and "have" not in request.query else 200,
        **_of_view(view, {}),
        rows=rows,
        overview=overview,
        failing=failing,
        watches=[rows, overview],
        asked=site.meter.in_the_last(60),
    )


def _of_view(view: View, problems: dict[str, str]) -> dict[str, Any]:
    return {
        "view": view,
        "problems": problems,
        "grouped": GROUPED,
    }


def _bad(site: Site, request: web.Request, bad: BadView) -> web.Response:
    query = request.query
    view = View(
        workflow_id=query.get("workflow_id", ""),
        statuses=tuple(filter(None, query.getall("status", []))),
        since=query.get("since", ""),
        before=query.get("before", ""),
        metadata=tuple(filter(None, query.getall("metadata", []))),
    )
    return site.renderer.page("bad_view.html", status=400, **_of_view(view, bad.problems))

"""The list of executions, with counts by status and failures by error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from .reading import GROUPED, Overview, Rows
from .rendering import is_look
from .site import FIRST_WAIT, LOOK_EVERY, SITE, ReadResult, Site, attempt, next_look
from .view import FIELDS, InvalidView, View

routes: Final = web.RouteTableDef()

_COUNTS_EVERY: Final = 60.0
_SHOWN_GROUPS: Final = 8
_ROW_PARTS: Final = ("outage", "rows", "freshness")
_COUNT_PARTS: Final = ("counts", "failures")


@routes.get("/")
async def show(request: web.Request) -> web.StreamResponse:
    """The list, with the filters of its address."""
    site = request.app[SITE]
    try:
        view = View.of(request.query)
    except InvalidView as invalid:
        view = View.unchecked(request.query)
        return site.renderer.page("list.html", status=400, view=view, problems=invalid.problems, parts={})
    if any(name in FIELDS and not value for name, value in request.query.items()):
        raise web.HTTPFound(f"./{view.query()}")
    if is_look(request) and request.query.get("look") == "counts":
        return await _look_at_counts(request, site, view)
    return await _show_rows(request, site, view)


async def _show_rows(request: web.Request, site: Site, view: View) -> web.StreamResponse:
    """Return the whole page, or the rows and what stands around them; what could not be read stays as it was."""
    if is_look(request):
        rows: ReadResult[Rows] = await attempt(site.reader.rows(view), None)
        overview: ReadResult[Overview] = ReadResult()
        parts: Sequence[str] = ("outage",) if rows.value is None else _ROW_PARTS
    else:
        rows, overview = await asyncio.gather(
            attempt(site.reader.rows(view), None if view.needs_search else FIRST_WAIT),
            attempt(site.reader.overview(view.workflow_id), FIRST_WAIT),
        )
        parts = _ROW_PARTS + _COUNT_PARTS
    return site.renderer.live(
        request,
        "list.html",
        parts,
        status=502 if rows.error and not is_look(request) else 200,
        **_context(view, overview),
        known=rows.value,
        failing=rows.error or overview.error,
        as_of=rows.as_of(request),
        every=next_look(rows, LOOK_EVERY),
    )


async def _look_at_counts(request: web.Request, site: Site, view: View) -> web.StreamResponse:
    overview = await attempt(site.reader.overview(view.workflow_id), None)
    parts = () if overview.value is None else _COUNT_PARTS
    context = _context(view, overview)
    return site.renderer.live(request, "list.html", parts, every=context["counts_every"], **context)


def _context(view: View, overview: ReadResult[Overview]) -> dict[str, Any]:
    return {
        "view": view,
        "problems": {},
        "overview": overview.value,
        "counts_error": overview.error,
        "counts_every": next_look(overview, _COUNTS_EVERY),
        "grouped": GROUPED,
        "shown_groups": _SHOWN_GROUPS,
    }

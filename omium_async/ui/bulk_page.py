"""Bulk replay of what the filters show: a dry run, the confirmation, progress, a verdict for each."""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from omium_async import WriteOutcome

from .bulk import AT_ONCE, Bulk
from .list_page import view_of
from .once import StaleForm, Verdict, WrittenOtherwise
from .site import SITE, Site, form_of
from .view import BadView, View, number_in

__all__ = ["routes"]

routes: Final = web.RouteTableDef()

_PARTS: Final = ("bulk_state", "bulk_decide", "bulk_items", "bulk_pages")
_LIMITS: Final = (100, 500, 2_000, 10_000)
_SHOWN: Final = 100  # verdicts on a page: each look gets what changed of these, and not of thousands
_WHILE_BUSY: Final = 0.7  # seconds between looks at what this process does by itself


@routes.get("/bulk")
async def ask(request: web.Request) -> web.StreamResponse:
    """What would be looked for."""
    site = request.app[SITE]
    try:
        view = view_of(request)
    except BadView as bad:
        return site.renderer.page("bulk.html", status=400, view=View(), problems=bad.problems, limits=_LIMITS, token="")
    return site.renderer.page("bulk.html", view=view, problems={}, limits=_LIMITS, token=site.once.token())


@routes.post("/bulk")
async def plan(request: web.Request) -> web.StreamResponse:
    """Begin a dry run."""
    site = request.app[SITE]
    form = await form_of(request)
    try:
        view = view_of(request)
    except BadView as bad:
        return site.renderer.page("bulk.html", status=400, view=View(), problems=bad.problems, limits=_LIMITS, token="")
    limit = int(form["limit"]) if form.get("limit", "") in map(str, _LIMITS) else _LIMITS[1]

    async def begin(_key: str) -> Verdict:
        return Verdict(WriteOutcome.NOT_APPLIED, site.bulks.plan(view, limit).name)

    try:
        verdict = await site.once.do(form.get("token", ""), (view, limit), begin)
    except StaleForm:
        return site.renderer.page("stale.html", status=409, back=f"bulk{view.query()}")
    except WrittenOtherwise:  # which wrote nothing: another limit is another dry run
        verdict = await begin("")
    raise web.HTTPSeeOther(f"bulk/{verdict.message}")


@routes.get("/bulk/{name}")
async def show(request: web.Request) -> web.StreamResponse:
    """A bulk replay, from its dry run to its verdicts."""
    site = request.app[SITE]
    bulk = _bulk(site, request)
    if bulk is None:
        return _forgotten(site)
    busy = bulk.state in ("planning", "replaying")
    pages = max(1, math.ceil(len(bulk.planned) / _SHOWN))
    page = min(number_in(request.query.get("page", "")), pages)
    return site.renderer.live(
        request,
        "bulk_run.html",
        _PARTS,
        due_in=_WHILE_BUSY if busy else 60.0,
        depth=1,
        bulk=bulk,
        tally=bulk.tally(),
        at_once=AT_ONCE,
        outage=site.meter.outage if busy else None,
        verdicts=bulk.verdicts()[(page - 1) * _SHOWN : page * _SHOWN],
        page=page,
        pages=pages,
    )


@routes.post("/bulk/{name}")
async def replay(request: web.Request) -> web.StreamResponse:
    """Replay what the dry run found."""
    site = request.app[SITE]
    bulk = _bulk(site, request)
    if bulk is None:
        return _forgotten(site)
    site.bulks.replay(bulk)  # which does it once, whoever sends the form again
    raise web.HTTPSeeOther(bulk.name)


@routes.post("/bulk/{name}/stop")
async def stop(request: web.Request) -> web.StreamResponse:
    """Send nothing more."""
    site = request.app[SITE]
    bulk = _bulk(site, request)
    if bulk is None:
        return _forgotten(site, depth=2)
    site.bulks.stop(bulk)
    raise web.HTTPSeeOther(f"../{bulk.name}")


def _bulk(site: Site, request: web.Request) -> Bulk | None:
    return site.bulks.find(request.match_info["name"])


def _forgotten(site: Site, depth: int = 1) -> web.Response:
    return site.renderer.page("not_found.html", depth=depth, status=404, what="bulk replay", of_id=None)

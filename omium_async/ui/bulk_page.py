"""The pages of bulk replays: what to look for, the dry run, the confirmation, progress and outcomes."""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from omium_async import WriteOutcome

from .bulk import CONCURRENCY, Bulk
from .guard import read_form
from .site import LOOK_EVERY, SITE, Site
from .view import InvalidView, View, page_number
from .writes import Result, SentOtherwiseError, StaleFormError

routes: Final = web.RouteTableDef()

_PARTS: Final = ("state", "decide", "items", "pages")
_LIMITS: Final = (100, 500, 2_000, 10_000)
_SHOWN: Final = 100  # items a page: a look sends what changed of these, not of thousands
_WHILE_BUSY: Final = 1.0  # seconds between looks, which cost the service nothing


@routes.get("/bulk")
async def ask(request: web.Request) -> web.StreamResponse:
    """The form that begins a dry run."""
    site = request.app[SITE]
    try:
        view = View.of(request.query)
    except InvalidView as invalid:
        return _invalid(site, invalid)
    return site.renderer.page("bulk.html", view=view, problems={}, limits=_LIMITS, token=site.forms.token())


@routes.post("/bulk")
async def plan(request: web.Request) -> web.StreamResponse:
    """Begin a dry run."""
    site = request.app[SITE]
    form = await read_form(request)
    try:
        view = View.of(request.query)
    except InvalidView as invalid:
        return _invalid(site, invalid)
    limit = int(form["limit"]) if form.get("limit", "") in map(str, _LIMITS) else _LIMITS[1]

    async def begin(_key: str) -> Result:
        return Result(WriteOutcome.NOT_APPLIED, site.bulks.plan(view, limit).name)

    try:
        result = await site.forms.send(form.get("token", ""), (view, limit), begin)
    except StaleFormError:
        return site.renderer.stale(f"bulk{view.query()}")
    except SentOtherwiseError:  # a dry run writes nothing, so another limit may begin another one
        result = await begin("")
    raise web.HTTPSeeOther(f"bulk/{result.message}")


def _invalid(site: Site, invalid: InvalidView) -> web.Response:
    return site.renderer.page("bulk.html", status=400, view=View(), problems=invalid.problems, limits=_LIMITS, token="")


@routes.get("/bulk/{name}")
async def show(request: web.Request) -> web.StreamResponse:
    """Show a bulk replay, from its dry run to its outcomes."""
    site, bulk = request.app[SITE], _find(request)
    if bulk is None:
        return _forgotten(site)
    pages = max(1, math.ceil(len(bulk.items) / _SHOWN))
    page = min(page_number(request.query.get("page", "")), pages)
    return site.renderer.live(
        request,
        "bulk_run.html",
        _PARTS,
        depth=1,
        bulk=bulk,
        tally=bulk.tally(),
        concurrency=CONCURRENCY,
        outage=site.bulks.outage if bulk.is_busy else None,
        being_sent=site.bulks.being_sent(bulk) if bulk.state == "planned" else 0,
        is_passed_over=site.bulks.is_passed_over,
        shown=bulk.by_importance()[(page - 1) * _SHOWN : page * _SHOWN],
        page=page,
        pages=pages,
        every=_WHILE_BUSY if bulk.is_busy else LOOK_EVERY,
    )


@routes.post("/bulk/{name}")
async def replay(request: web.Request) -> web.StreamResponse:
    """Replay what the dry run listed; a second press changes nothing."""
    site, bulk = request.app[SITE], _find(request)
    if bulk is None:
        return _forgotten(site)
    site.bulks.replay(bulk)
    raise web.HTTPSeeOther(bulk.name)


@routes.post("/bulk/{name}/stop")
async def stop(request: web.Request) -> web.StreamResponse:
    """Send no more replays."""
    site, bulk = request.app[SITE], _find(request)
    if bulk is None:
        return _forgotten(site, depth=2)
    site.bulks.stop(bulk)
    raise web.HTTPSeeOther(f"../{bulk.name}")


def _find(request: web.Request) -> Bulk | None:
    return request.app[SITE].bulks.find(request.match_info["name"])


def _forgotten(site: Site, depth: int = 1) -> web.Response:
    return site.renderer.notice(
        "No such bulk replay",
        "The console keeps its last fifty bulk replays while it runs. If it was stopped during one, look in the list"
        " for the status of its executions.",
        ("", "To the executions"),
        depth=depth,
    )

"""One execution: where it stands, its checkpoints as a timeline, and its data as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

from aiohttp import web

from omium_async import ExecutionDetail, NotFoundError, OmiumError

from .json_view import NotThere, at, found_in, tree
from .live import Watch
from .site import SITE, Site
from .timeline import timeline

__all__ = ["routes"]

routes: Final = web.RouteTableDef()

_PARTS: Final = ("outage", "summary", "timeline", "output", "input", "metadata", "extra", "freshness")

#: The data of an execution that is shown as JSON: its field by the name of the part.
_DATA: Final = {"output": "output_data", "input": "input_data", "metadata": "metadata", "extra": "extra"}


@routes.get("/executions/{id:[^/]+}")
async def show(request: web.Request) -> web.StreamResponse:
    """One execution."""
    site = request.app[SITE]
    execution_id = request.match_info["id"]
    watch = site.execution(execution_id)
    await site.settled(watch, request)
    unknown = watch.value is None and isinstance(watch.error, NotFoundError | ValueError)
    if unknown and "have" not in request.query:
        return site.renderer.page("not_found.html", depth=1, status=404, what="execution", of_id=execution_id)
    detail = watch.value
    first = _number(request.query.get("first", ""))
    verdict = site.once.verdict(request.query.get("done", ""))
    return site.renderer.live(
        request,
        "execution.html",
        _PARTS,
        due_in=watch.due_in,
        depth=1,
        status=502 if detail is None and watch.error is not None and "have" not in request.query else 200,
        execution_id=execution_id,
        execution=detail,
        line=None if detail is None else timeline(detail, first),
        relatives={} if detail is None else site.relations.of(detail),
        data={} if detail is None else _data(watch, detail),
        verdict=verdict if verdict and execution_id in (verdict.execution_id, verdict.origin) else None,
        failing=watch if watch.failing_since is not None else None,
        watches=[watch],
        asked=site.meter.in_the_last(60),
    )


@routes.get("/executions/{id:[^/]+}/json")
async def show_json(request: web.Request) -> web.StreamResponse:
    """A place in the data of an execution, or where a search found its text."""
    site, execution_id = request.app[SITE], request.match_info["id"]
    part, pointer = request.query.get("part", ""), request.query.get("at", "")
    wanted = request.query.get("find", "").strip()
    value = await _value(site, execution_id, part)
    context: dict[str, Any] = {"execution_id": execution_id, "part": part, "pointer": pointer, "wanted": wanted}
    try:
        if wanted:
            finds, more = await asyncio.to_thread(found_in, value, wanted)
            context |= {"node": None, "finds": finds, "more": more}
        else:
            start = _number(request.query.get("start", "")) or 0
            node = tree(at(value, pointer), pointer, start, whole_text="whole" in request.query)
            context |= {"node": node, "finds": None, "more": False}
    except NotThere:
        return site.renderer.page("not_found.html", depth=2, status=404, what="place", of_id=pointer)
    if request.headers.get("HX-Request") == "true":
        return site.renderer.fragment("json_fragment.html", depth=1, **context)
    return site.renderer.page("json_page.html", depth=2, **context)


@routes.get("/executions/{id:[^/]+}/raw")
async def show_raw(request: web.Request) -> web.StreamResponse:
    """The data of an execution as a JSON file."""
    part = request.query.get("part", "")
    value = await _value(request.app[SITE], request.match_info["id"], part)
    text = await asyncio.to_thread(json.dumps, value, indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": f'attachment; filename="{part}.json"'}
    return web.Response(body=text.encode("utf-8", "replace"), content_type="application/json", headers=headers)


async def _value(site: Site, execution_id: str, part: str) -> Any:
    """The data of an execution as it is known, else as the service gives it now."""
    if part not in _DATA:
        raise web.HTTPNotFound(text="There is no such part of an execution.\n")
    known: Watch[ExecutionDetail] | None = site.live.known(("execution", execution_id))
    detail = None if known is None else known.value
    if detail is None:
        try:
            detail = await site.questions.execution(execution_id)
        except (NotFoundError, ValueError):
            raise web.HTTPNotFound(text="The service knows no such execution.\n") from None
        except OmiumError as error:
            raise web.HTTPBadGateway(text=f"{error}\n") from None
    return getattr(detail, _DATA[part])


def _data(watch: Watch[ExecutionDetail], detail: ExecutionDetail) -> dict[str, Any]:
    """A tree for each kind of data, numbered: its number grows when its value changes, also where nobody looks."""
    known = watch.kept
    if known.get("of") is not detail:
        known["of"] = detail
        for part, field in _DATA.items():
            value, before = _shown(detail, field), known.get(part)
            if before is None or before["value"] != value:
                number = 1 if before is None else before["number"] + 1
                known[part] = {"value": value, "number": number, "node": tree(value)}
    return known


def _shown(detail: ExecutionDetail, field: str) -> Any:
    """The value of a field without what the page shows elsewhere, checkpoints and the error; files have all."""
    value = getattr(detail, field)
    if (
        field == "metadata"
        and value
        and detail.checkpoints
        and len(value.get("checkpoints") or ()) == len(detail.checkpoints)
    ):
        return {name: each for name, each in value.items() if name != "checkpoints"}
    if field == "extra":
        return {
            name: each for name, each in value.items() if name != "error_message" or each not in (None, detail.error)
        }
    return value


def _number(text: str) -> int | None:
    with contextlib.suppress(ValueError):
        if text.isascii() and text.isdecimal() and len(text) < 10:
            return int(text)
    return None

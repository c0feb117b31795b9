"""One execution: how it stands, its checkpoints as a timeline, and its data as JSON."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

from aiohttp import web

from omium_async import ExecutionDetail, NotFoundError, OmiumError

from .._data.shown_json import show_json
from .._statuses import ENDED, FAILED
from .json_view import NoSuchPlaceError, at, tree
from .rendering import is_look
from .site import FIRST_WAIT, LOOK_EVERY, SITE, Site, attempt, next_look
from .timeline import timeline
from .view import page_number
from .words import explained
from .writes import Earlier

routes: Final = web.RouteTableDef()

_WHEN_ENDED: Final = 60.0  # seconds between looks at an execution that only a rollback can still change
_INDENTED: Final = 16 * 2**20  # characters of a file that is indented
_NOISE: Final = ("tenant_id", "error_message", "checkpoints")  # shown elsewhere, or the same everywhere

#: The fields of an execution that are shown as JSON, by the name of their part of the page.
_DATA: Final = {"output": "output_data", "input": "input_data", "metadata": "metadata", "extra": "extra"}
_PARTS: Final = ("outage", "summary", "timeline", *_DATA, "freshness")


@routes.get("/executions/{id:[^/]+}")
async def show(request: web.Request) -> web.StreamResponse:
    """One execution."""
    site, execution_id = request.app[SITE], request.match_info["id"]
    look = is_look(request)
    read = await attempt(site.reader.execution(execution_id), None if look else FIRST_WAIT)
    if isinstance(read.error, NotFoundError | ValueError) and not look:
        return site.renderer.unreadable(read.error, execution_id, depth=1, status=404)
    detail = read.value
    first = page_number(request.query["first"]) if "first" in request.query else None
    result = site.forms.result(request.query.get("done", ""))
    has_ended = detail is not None and detail.status in ENDED and detail.status not in FAILED
    return site.renderer.live(
        request,
        "execution.html",
        _PARTS if detail is not None or not look else ("outage",),
        depth=1,
        status=502 if read.error is not None and not look else 200,
        execution_id=execution_id,
        execution=detail,
        line=None if detail is None else timeline(detail, first),
        data={} if detail is None else {part: tree(_shown(detail, part)) for part in _DATA},
        replay_id=None if detail is None else detail.extra.get("replay_execution_id"),
        earlier=None if detail is None else _earlier(site, detail),
        result=result if result and execution_id in (result.execution_id, result.origin) else None,
        failing=read.error,
        as_of=read.as_of(request),
        every=next_look(read, _WHEN_ENDED if has_ended else LOOK_EVERY),
    )


@routes.get("/executions/{id:[^/]+}/json")
async def show_place(request: web.Request) -> web.StreamResponse:
    """A place in the data of an execution, or in the state of a checkpoint."""
    site, query = request.app[SITE], request.query
    pointer = query.get("at", "")
    start = page_number(query["start"]) if "start" in query else 0
    node = problem = None
    status = 404
    try:
        node = tree(at(await _value(request), pointer), pointer, start, is_whole="whole" in query)
    except NoSuchPlaceError:
        problem = "The value has no such place; it may have changed."
    except (OmiumError, ValueError) as error:
        problem, status = f"It could not be read. {explained(error)}", _read_status(error)
    context: dict[str, Any] = {
        "execution_id": request.match_info["id"],
        "part": query.get("part", ""),
        "checkpoint_id": query.get("checkpoint", ""),
        "pointer": pointer,
        "node": node,
        "problem": problem,
    }
    if request.headers.get("HX-Request") == "true":
        return site.renderer.fragment("json.html", "inside", depth=1, **context)
    return site.renderer.page("json.html", depth=2, status=status if problem else 200, **context)


@routes.get("/executions/{id:[^/]+}/raw")
async def show_file(request: web.Request) -> web.StreamResponse:
    """The data of an execution as a JSON file."""
    try:
        value = await _value(request)
    except (OmiumError, ValueError) as error:
        return web.Response(status=_read_status(error), text=f"{explained(error)}\n")
    body = await asyncio.to_thread(_as_file, value)
    headers = {"Content-Disposition": f'attachment; filename="{request.query["part"]}.json"'}
    return web.Response(body=body, content_type="application/json", headers=headers)


def _read_status(error: Exception) -> int:
    return 404 if isinstance(error, NotFoundError | ValueError) else 502


def _as_file(value: Any) -> bytes:
    text, is_whole = show_json(value, most=_INDENTED)
    if not is_whole:  # on one line it is hardly larger than the response of the service
        text, _ = show_json(value, most=sys.maxsize, indent=None)
    return text.encode("utf-8", "replace")


async def _value(request: web.Request) -> Any:
    """Read the data that an address names.

    :raises ValueError: the address names something else.
    """
    site, part = request.app[SITE], request.query.get("part", "")
    if part == "state":
        state = (await site.reader.checkpoint(request.query.get("checkpoint", ""))).state
        if state is None:
            raise ValueError("the service sent no state of this checkpoint")
        return state
    if part not in _DATA:
        raise ValueError("an execution has no such part")
    return getattr(await site.reader.execution(request.match_info["id"]), _DATA[part])


def _shown(detail: ExecutionDetail, part: str) -> Any:
    """Return the value of a part without what the page shows elsewhere; files and searches have all of it."""
    value: Any = getattr(detail, _DATA[part])
    if part in ("metadata", "extra") and value:
        return {name: each for name, each in value.items() if name not in _NOISE} or None
    return value or (None if part == "extra" else value)


def _earlier(site: Site, detail: ExecutionDetail) -> Earlier | None:
    """Return how the execution stood before the last write of this console, if it failed and stands otherwise now."""
    earlier = site.writes.earlier(detail.id)
    return earlier if earlier and earlier.error and (detail.error or "")[:400] != earlier.error[:400] else None

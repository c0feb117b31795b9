"""Create an execution: a form with JSON that is checked before it is sent, and kept when it is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from omium_async import OmiumError, WriteOutcome

from .once import StaleForm, Verdict, WrittenOtherwise
from .rendering import escaped_id
from .site import SITE, Site, form_of
from .strict_json import parse

__all__ = ["routes"]

routes: Final = web.RouteTableDef()

_FIELDS: Final = ("workflow_id", "input_data", "metadata", "agent_id")
_LIKE_AT_MOST: Final = 1_000_000  # characters of JSON that a form is filled with


@routes.get("/new")
async def ask(request: web.Request) -> web.StreamResponse:
    """The form; ``like`` fills it with what another execution was created with."""
    site = request.app[SITE]
    values = {name: request.query.get(name, "") for name in _FIELDS}
    problems: dict[str, str] = {}
    like = request.query.get("like", "")
    if like:
        try:
            values |= await _like(site, like)
        except (OmiumError, ValueError) as error:
            problems["like"] = f"It could not be filled with what {like} was created with: {error}"
    return _form(site, values, problems)


@routes.post("/new")
async def do(request: web.Request) -> web.StreamResponse:
    """Create it, if the form can be sent as it stands."""
    site = request.app[SITE]
    form = await form_of(request)
    values = {name: form.get(name, "") for name in _FIELDS}
    token = form.get("token", "")
    wanted, problems = await asyncio.to_thread(_checked, values)  # it may be large
    if problems:
        return _form(site, values, problems, status=422, token=token)

    async def write(key: str) -> Verdict:
        try:
            created = await site.questions.acting.executions.create(**wanted, idempotency_key=key)
        finally:
            site.live.soon()
        return Verdict(WriteOutcome.APPLIED, "It was created.", created.id)

    try:
        verdict = await site.once.do(token, values, write)
    except StaleForm:
        problems = {
            "form": "This form is older than the console remembers, or the console was restarted: nothing was "
            "sent now. If you sent it before, look at the list first; else send it again."
        }
        return _form(site, values, problems, status=409)
    except WrittenOtherwise as sent:
        return _form(site, values, _sent_before(sent.verdict), status=409, verdict=sent.verdict)
    if verdict.outcome is WriteOutcome.APPLIED and verdict.execution_id is not None:
        raise web.HTTPSeeOther(f"executions/{escaped_id(verdict.execution_id)}?done={site.once.receipt(token)}")
    status = 422 if verdict.outcome is WriteOutcome.NOT_APPLIED else 502
    return _form(site, values, {}, status=status, verdict=verdict)


def _checked(values: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arguments of `create` that a form says, or what is wrong with its fields."""
    problems: dict[str, str] = {}
    wanted: dict[str, Any] = {"workflow_id": values["workflow_id"].strip()}
    if not wanted["workflow_id"]:
        problems["workflow_id"] = "Say which workflow is to run."
    if values["agent_id"].strip():
        wanted["agent_id"] = values["agent_id"].strip()
    for name in ("input_data", "metadata"):
        if values[name].strip():
            try:
                wanted[name] = parse(values[name])
            except ValueError as error:
                problems[name] = f"It is not sent like this: {error}."
    if not isinstance(wanted.get("metadata", {}), dict):
        problems["metadata"] = "Metadata is an object: {…}."
    return wanted, problems


def _sent_before(verdict: Verdict) -> dict[str, str]:
    became = {
        WriteOutcome.APPLIED: f"created {verdict.execution_id}",
        WriteOutcome.NOT_APPLIED: "refused",
        WriteOutcome.UNKNOWN: "sent, and may have been created",
    }[verdict.outcome]
    return {
        "form": f"This form was {became} before, with other values. What stands here now was not sent; send it"
        " to create another one."
    }


async def _like(site: Site, execution_id: str) -> dict[str, str]:
    execution = await site.questions.execution(execution_id)
    found = {"workflow_id": execution.workflow_id or "", "agent_id": execution.agent_id or ""}
    metadata = {name: value for name, value in (execution.metadata or {}).items() if name != "checkpoints"}
    for name, value in (("input_data", execution.input_data), ("metadata", metadata)):
        text = json.dumps(value, indent=2, ensure_ascii=False) if value else ""
        if len(text) > _LIKE_AT_MOST:
            raise ValueError(f"its {name} is too large for a form")
        found[name] = text
    return found


def _form(
    site: Site,
    values: dict[str, str],
    problems: dict[str, str],
    *,
    status: int = 200,
    token: str | None = None,
    verdict: Verdict | None = None,
) -> web.Response:
    return site.renderer.page(
        "create.html",
        status=status,
        values=values,
        problems=problems,
        verdict=verdict,
        token=token or site.once.token(),
    )

"""Create an execution: a form with JSON that is checked before it is sent, and that keeps its content if refused."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from omium_async import OmiumError, WriteOutcome

from .._data.codec import parse_json
from .._data.shown_json import show_json
from .guard import read_form
from .rendering import escape_id
from .site import SITE, Site
from .words import cut, explained
from .writes import Result, SentOtherwiseError, StaleFormError

routes: Final = web.RouteTableDef()

_FIELDS: Final = ("workflow_id", "input_data", "metadata", "agent_id")


@routes.get("/new")
async def ask(request: web.Request) -> web.StreamResponse:
    """The form; ``like`` fills it with the values of another execution."""
    site = request.app[SITE]
    values = {name: request.query.get(name, "") for name in _FIELDS}
    problems: dict[str, str] = {}
    like = request.query.get("like", "")
    if like:
        try:
            values |= await _values_of(site, like)
        except (OmiumError, ValueError) as error:
            problems["like"] = f"The form could not be filled with the values of {cut(like)}. {explained(error)}"
    return _form(site, values, problems)


@routes.post("/new")
async def do(request: web.Request) -> web.StreamResponse:
    """Create the execution, if the form is valid."""
    site = request.app[SITE]
    form = await read_form(request)
    values = {name: form.get(name, "") for name in _FIELDS}
    token = form.get("token", "")
    arguments, problems = await asyncio.to_thread(_parse, values)  # it may be large
    if problems:
        return _form(site, values, problems, status=422, token=token)

    async def write(key: str) -> Result:
        created = await site.omium.executions.create(**arguments, idempotency_key=key)
        return Result(WriteOutcome.APPLIED, "The execution was created.", created.id)

    try:
        result = await site.forms.send(token, values, write)
    except StaleFormError:
        text = "This form is too old, or the console was restarted. Nothing was sent now. If you sent it before, look"
        return _form(site, values, {"form": f"{text} at the list first; otherwise send it again."}, status=409)
    except SentOtherwiseError as sent:
        return _form(site, values, _sent_before(sent.result), status=409, result=sent.result)
    if result.outcome is WriteOutcome.APPLIED and result.execution_id is not None:
        raise web.HTTPSeeOther(f"executions/{escape_id(result.execution_id)}?done={site.forms.receipt(token)}")
    status = 422 if result.outcome is WriteOutcome.NOT_APPLIED else 502
    return _form(site, values, {}, status=status, result=result)


def _parse(values: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments of `create`, and what is wrong with each field."""
    problems: dict[str, str] = {}
    arguments: dict[str, Any] = {"workflow_id": values["workflow_id"].strip()}
    if not arguments["workflow_id"]:
        problems["workflow_id"] = "Give the workflow to run."
    if values["agent_id"].strip():
        arguments["agent_id"] = values["agent_id"].strip()
    for name in ("input_data", "metadata"):
        if values[name].strip():
            try:
                arguments[name] = parse_json(values[name])
            except ValueError as error:
                problems[name] = f"This cannot be sent: {error}."
    if not isinstance(arguments.get("metadata", {}), dict):
        problems["metadata"] = "Metadata is an object: {…}."
    return arguments, problems


def _sent_before(result: Result) -> dict[str, str]:
    outcome = {
        WriteOutcome.APPLIED: f"created {result.execution_id}",
        WriteOutcome.NOT_APPLIED: "refused",
        WriteOutcome.UNKNOWN: "sent, and may have been created",
    }[result.outcome]
    return {"form": f"This form was {outcome} before, with other values. The values below were not sent."}


async def _values_of(site: Site, execution_id: str) -> dict[str, str]:
    execution = await site.reader.execution(execution_id)
    values = {"workflow_id": execution.workflow_id or "", "agent_id": execution.agent_id or ""}
    metadata = {name: value for name, value in (execution.metadata or {}).items() if name != "checkpoints"}
    for name, value in (("input_data", execution.input_data), ("metadata", metadata)):
        text, is_whole = await asyncio.to_thread(show_json, value) if value not in (None, {}) else ("", True)
        if not is_whole:
            raise ValueError(f"{name} is too large for a form")
        values[name] = text
    return values


def _form(
    site: Site,
    values: dict[str, str],
    problems: dict[str, str],
    *,
    status: int = 200,
    token: str | None = None,
    result: Result | None = None,
) -> web.Response:
    return site.renderer.page(
        "create.html",
        status=status,
        values=values,
        problems=problems,
        result=result,
        token=token or site.forms.token(),
    )

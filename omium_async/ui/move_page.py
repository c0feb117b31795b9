"""Replay, rollback and cancel: the first press says what will happen, the second press does it."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, cast, get_args

import attrs
from aiohttp import web

from omium_async import Checkpoint, ExecutionDetail, NotFoundError, OmiumError, WriteOutcome

from .._statuses import ENDED
from .guard import read_form
from .rendering import escape_id
from .site import SITE, Site
from .words import cut, plain_status
from .writes import Result, SentOtherwiseError, StaleFormError

routes: Final = web.RouteTableDef()

Action = Literal["replay", "rollback", "cancel"]

_PATH: Final = rf"/executions/{{id:[^/]+}}/{{action:{'|'.join(get_args(Action))}}}"
_LISTED: Final = 100


@attrs.frozen
class Move:
    """What a replay, rollback or cancel would do.

    :ivar checkpoint: the chosen one; ``None`` to cancel.
    :ivar later: the checkpoints after it, which a replay runs again and a rollback discards.
    :ivar last: the number of the last write of this console to the execution (see `Writes`).
    """

    action: Action
    execution: ExecutionDetail
    checkpoint: Checkpoint | None
    later: tuple[Checkpoint, ...]
    last: int

    @classmethod
    def of(cls, site: Site, action: Action, execution: ExecutionDetail, checkpoint_id: str) -> Move | None:
        """Return the move; ``None`` if it is not possible: the checkpoint is gone, or there is nothing to cancel."""
        last = site.writes.last(execution.id)
        if action == "cancel":
            return None if execution.status in ENDED else cls(action, execution, None, (), last)
        for number, checkpoint in enumerate(execution.checkpoints):
            if checkpoint.id == checkpoint_id:
                return cls(action, execution, checkpoint, execution.checkpoints[number + 1 :], last)
        return None

    @property
    def seen(self) -> str:
        """A digest of what the page shows: it differs if the move would do something else by now."""
        shown = [self.action, str(self.execution.status), str(self.last), self.checkpoint.id if self.checkpoint else ""]
        shown += [each.id for each in self.later]
        return hashlib.sha256("\0".join(shown).encode("utf-8", "replace")).hexdigest()[:32]


class _ChangedError(Exception):
    """The move would do something else than the page showed, or is not possible any more; nothing was written."""

    def __init__(self, execution: ExecutionDetail) -> None:
        super().__init__()
        self.execution = execution


@routes.get(_PATH)
async def ask(request: web.Request) -> web.StreamResponse:
    """What it would do. Nothing is written."""
    site, execution_id, action = _asked(request)
    try:
        execution = await site.reader.execution(execution_id)
    except (OmiumError, ValueError) as error:
        status = 404 if isinstance(error, NotFoundError | ValueError) else 502
        return site.renderer.unreadable(error, execution_id, depth=2, status=status)
    return _confirm(site, action, execution, request.query.get("checkpoint", ""), has_changed=False)


@routes.post(_PATH)
async def do(request: web.Request) -> web.StreamResponse:
    """Do what was confirmed, if it is still what the page showed."""
    site, execution_id, action = _asked(request)
    form = await read_form(request)
    token, checkpoint_id = form.get("token", ""), form.get("checkpoint", "")

    async def write(key: str) -> Result:
        async with site.writes.lock(execution_id):
            return await _move(site, action, execution_id, checkpoint_id, form.get("seen", ""), key)

    try:
        result = await site.forms.send(token, (action, execution_id, checkpoint_id), write)
    except (StaleFormError, SentOtherwiseError):
        return site.renderer.stale(f"executions/{escape_id(execution_id)}", depth=2)
    except _ChangedError as changed:
        return _confirm(site, action, changed.execution, checkpoint_id, has_changed=True)
    if result.outcome is WriteOutcome.APPLIED:
        target = escape_id(result.execution_id or execution_id)
        raise web.HTTPSeeOther(f"../{target}?done={site.forms.receipt(token)}")
    refused = result.outcome is WriteOutcome.NOT_APPLIED
    return site.renderer.notice(
        "Nothing was written" if refused else "It may have been done",
        "",
        (f"executions/{escape_id(execution_id)}", "Back to the execution" if refused else "See whether it was done"),
        depth=2,
        status=409 if refused else 502,
        result=result,
        about=execution_id,
    )


async def _move(site: Site, action: Action, execution_id: str, checkpoint_id: str, seen: str, key: str) -> Result:
    execution = await site.reader.execution(execution_id)
    move = Move.of(site, action, execution, checkpoint_id)
    if move is None or move.seen != seen:
        raise _ChangedError(execution)
    site.writes.begin(execution_id, execution.status, execution.error)
    executions = site.omium.executions
    message, target = None, execution_id
    try:
        if action == "replay":
            replayed = await executions.replay(execution_id, checkpoint_id, idempotency_key=key)
            message, target = replayed.message, replayed.execution_id
        elif action == "rollback":
            message = (await executions.rollback(execution_id, checkpoint_id, idempotency_key=key)).message
        else:
            cancelled = await executions.cancel(execution_id, idempotency_key=key)
            message = "It was cancelled." if cancelled.cancelled else "It had ended before: nothing was sent."
    finally:
        site.writes.end(execution_id)
    return Result(WriteOutcome.APPLIED, message or f"The service took the {action}.", target, execution_id)


def _asked(request: web.Request) -> tuple[Site, str, Action]:
    return request.app[SITE], request.match_info["id"], cast("Action", request.match_info["action"])


def _confirm(
    site: Site, action: Action, execution: ExecutionDetail, checkpoint_id: str, *, has_changed: bool
) -> web.Response:
    move = Move.of(site, action, execution, checkpoint_id)
    if move is None:
        say = _has_ended if action == "cancel" else _is_gone
        title, text = say(execution, checkpoint_id)
        back = (f"executions/{escape_id(execution.id)}", "See it as it is now")
        status = 409 if has_changed or action == "cancel" else 404
        return site.renderer.notice(title, text, back, depth=2, status=status, about=execution.id)
    return site.renderer.page(
        "confirm.html",
        depth=2,
        status=409 if has_changed else 200,
        execution=execution,
        move=move,
        listed=move.later[:_LISTED],
        has_changed=has_changed,
        is_in_progress=site.writes.in_progress(execution.id),
        token=site.forms.token(),
    )


def _has_ended(execution: ExecutionDetail, _: str) -> tuple[str, str]:
    return "It has ended", f"The execution is {plain_status(execution.status)}. Nothing was written."


def _is_gone(execution: ExecutionDetail, checkpoint_id: str) -> tuple[str, str]:
    named = cut(checkpoint_id) or "(none was named)"
    latest = execution.latest_checkpoint
    left = "It has none now." if latest is None else f"Its latest one is “{cut(latest.name or latest.id)}”."
    return (
        "The checkpoint is gone",
        f"The execution has no checkpoint {named}; a rollback may have discarded it. {left} Nothing was written.",
    )

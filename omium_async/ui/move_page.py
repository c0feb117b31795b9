"""Replay and rollback: the first press says what it will do, the second does it."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal, cast, get_args

import attrs
from aiohttp import web

from omium_async import Checkpoint, ExecutionDetail, NotFoundError, OmiumError, WriteOutcome

from .once import StaleForm, Verdict, WrittenOtherwise
from .rendering import escaped_id
from .site import SITE, Site, form_of

__all__ = ["routes"]

routes: Final = web.RouteTableDef()

Action = Literal["replay", "rollback"]

_PATH: Final = rf"/executions/{{id:[^/]+}}/{{action:{'|'.join(get_args(Action))}}}"
_LISTED: Final = 100


@attrs.frozen
class Move:
    """What a replay or a rollback would do, as it is shown before it is done.

    :ivar later: checkpoints after the chosen one: run again by a replay, discarded by a rollback.
    :ivar sent: how many replays and rollbacks of it this console has sent before.
    """

    action: Action
    execution: ExecutionDetail
    checkpoint: Checkpoint
    later: tuple[Checkpoint, ...]
    sent: int

    @classmethod
    def of(cls, action: Action, execution: ExecutionDetail, checkpoint_id: str, sent: int) -> Move | None:
        """The move to a checkpoint; ``None`` if the execution has no such checkpoint."""
        for number, checkpoint in enumerate(execution.checkpoints):
            if checkpoint.id == checkpoint_id:
                return cls(action, execution, checkpoint, execution.checkpoints[number + 1 :], sent)
        return None

    @property
    def seen(self) -> str:
        """What somebody who confirms has seen: another text when it would do something else by now."""
        told = [self.action, str(self.execution.status), str(self.sent), self.checkpoint.id]
        told += [each.id for each in self.later]
        return hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()[:32]


@routes.get(_PATH)
async def ask(request: web.Request) -> web.StreamResponse:
    """What it would do. Nothing is written."""
    site = request.app[SITE]
    execution_id, action = _asked(request)
    execution = await _execution(site, execution_id)
    if isinstance(execution, web.StreamResponse):
        return execution
    return _confirm(site, action, execution, request.query.get("checkpoint", ""), changed=False)


@routes.post(_PATH)
async def do(request: web.Request) -> web.StreamResponse:
    """Do what was confirmed, if it is still what was shown."""
    site = request.app[SITE]
    execution_id, action = _asked(request)
    form = await form_of(request)
    token, checkpoint_id = form.get("token", ""), form.get("checkpoint", "")

    async def write(key: str) -> Verdict:
        async with site.moves.alone(execution_id):
            return await _move(site, action, execution_id, checkpoint_id, form.get("seen", ""), key)

    try:
        verdict = await site.once.do(token, (action, execution_id, checkpoint_id), write)
    except (StaleForm, WrittenOtherwise):
        return site.renderer.page("stale.html", depth=2, status=409, back=f"../{escaped_id(execution_id)}")
    except _Changed as changed:
        return _confirm(site, action, changed.execution, checkpoint_id, changed=True)
    if verdict.outcome is WriteOutcome.APPLIED:
        target = escaped_id(verdict.execution_id or execution_id)
        raise web.HTTPSeeOther(f"../{target}?done={site.once.receipt(token)}")
    status = 409 if verdict.outcome is WriteOutcome.NOT_APPLIED else 502
    return site.renderer.page(
        "verdict.html",
        depth=2,
        status=status,
        what=action,
        verdict=verdict,
        execution_id=execution_id,
        workflow_id=None,
    )


class _Changed(Exception):  # noqa: N818 - it says what is the case
    """The move would do something else than was shown, or can no longer be done; nothing was written."""

    def __init__(self, execution: ExecutionDetail) -> None:
        super().__init__()
        self.execution = execution


async def _move(site: Site, action: Action, execution_id: str, checkpoint_id: str, seen: str, key: str) -> Verdict:
    execution = await site.questions.execution(execution_id)
    move = Move.of(action, execution, checkpoint_id, site.moves.sent(execution_id))
    if move is None or move.seen != seen:
        raise _Changed(execution)
    site.moves.send(execution_id)
    executions = site.questions.acting.executions
    try:
        match action:
            case "replay":
                replayed = await executions.replay(execution_id, checkpoint_id, idempotency_key=key)
                site.relations.note(execution_id, replayed.execution_id)
                said, target = replayed.message, replayed.execution_id
            case "rollback":
                rolled_back = await executions.rollback(execution_id, checkpoint_id, idempotency_key=key)
                said, target = rolled_back.message, execution_id
    finally:
        site.live.soon()
    return Verdict(WriteOutcome.APPLIED, said or f"The service took the {action}.", target, execution_id)


def _asked(request: web.Request) -> tuple[str, Action]:
    """The id of the execution, and what is to be done with it."""
    return request.match_info["id"], cast("Action", request.match_info["action"])


async def _execution(site: Site, execution_id: str) -> ExecutionDetail | web.Response:
    """The execution as it is now, or the page that says why not."""
    try:
        return await site.questions.execution(execution_id)
    except (NotFoundError, ValueError):
        return site.renderer.page("not_found.html", depth=2, status=404, what="execution", of_id=execution_id)
    except OmiumError as error:
        return site.renderer.page(
            "trouble.html", depth=2, status=502, error=error, back=f"../{escaped_id(execution_id)}"
        )


def _confirm(
    site: Site, action: Action, execution: ExecutionDetail, checkpoint_id: str, *, changed: bool
) -> web.Response:
    move = Move.of(action, execution, checkpoint_id, site.moves.sent(execution.id))
    context: dict[str, Any] = {"execution": execution, "execution_id": execution.id, "action": action}
    if move is None:
        return site.renderer.page(
            "gone.html", depth=2, status=409 if changed else 404, checkpoint_id=checkpoint_id, **context
        )
    return site.renderer.page(
        "confirm.html",
        depth=2,
        status=409 if changed else 200,
        move=move,
        listed=move.later[:_LISTED],
        changed=changed,
        token=site.once.token(),
        **context,
    )

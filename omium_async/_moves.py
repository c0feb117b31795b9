"""Replay and rollback: the checkpoint meant is looked up first, within the time of the one call."""

from __future__ import annotations

import time

from . import _arguments as check
from . import _endpoints as endpoints
from ._caller import Caller
from ._models.types import ReplayResult, RollbackResult

__all__ = ["replay", "rollback"]


async def replay(
    caller: Caller, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None, key: str | None
) -> ReplayResult:
    """Replay an execution from a checkpoint, by id, by name, or from the latest.

    :raises ValueError: there is no such checkpoint; nothing was written.
    """
    check.execution_segment(execution_id)
    check.checkpoint_choice(checkpoint_id, checkpoint_name)
    found, caller = await _checkpoint_and_rest(caller, execution_id, checkpoint_id, checkpoint_name)
    return await endpoints.replay(caller, execution_id, found, key)


async def rollback(
    caller: Caller, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None, key: str | None
) -> RollbackResult:
    """Roll an execution back to a checkpoint, by id or by name.

    :raises ValueError: neither is given, or there is no such checkpoint; nothing was written.
    """
    check.execution_segment(execution_id)
    check.checkpoint_choice(checkpoint_id, checkpoint_name)
    if checkpoint_id is None and checkpoint_name is None:
        raise ValueError("rollback needs checkpoint_id or checkpoint_name: it discards what came after")
    found, caller = await _checkpoint_and_rest(caller, execution_id, checkpoint_id, checkpoint_name)
    return await endpoints.rollback(caller, execution_id, found, key)


async def _checkpoint_and_rest(
    caller: Caller, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None
) -> tuple[str, Caller]:
    """The id of the checkpoint meant, looked up if need be, and what is then left of the call's time."""
    if checkpoint_id is not None:
        return checkpoint_id, caller
    timeout, started = caller.options.timeout, time.monotonic()
    detail = await endpoints.get(caller, execution_id)
    found = endpoints.checkpoint_of(detail, checkpoint_name)
    if timeout is None:
        return found, caller
    return found, caller.within(max(timeout - (time.monotonic() - started), 0.001))

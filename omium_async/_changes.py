"""Replay, rollback and cancel: they read the execution first, then write, within the time of one call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from . import _arguments as check
from . import _endpoints as endpoints
from ._caller import Caller
from ._errors.base import OmiumError
from ._errors.calls import ConflictError
from ._models.types import CancelResult, ExecutionDetail, ReplayResult, RollbackResult
from ._statuses import ENDED

_ARGUMENTS: Final = ("execution_id", "checkpoint_id", "checkpoint_name", "idempotency_key")


async def replay(
    caller: Caller,
    execution_id: str,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    extra_body: Mapping[str, Any] | None,
    key: str | None,
) -> ReplayResult:
    """Replay an execution from a checkpoint, by id, by name, or from the latest.

    :param extra_body: more fields of the body.
    :raises NoCheckpointError: there is no such checkpoint; nothing was written.
    """
    _check(execution_id, checkpoint_id, checkpoint_name, key)
    extra = endpoints.extra_fields(caller, extra_body, *_ARGUMENTS)
    found, caller = await _checkpoint_and_rest(caller, execution_id, checkpoint_id, checkpoint_name)
    return await endpoints.replay(caller, execution_id, found, key, extra)


async def rollback(
    caller: Caller,
    execution_id: str,
    checkpoint_id: str | None,
    checkpoint_name: str | None,
    extra_body: Mapping[str, Any] | None,
    key: str | None,
) -> RollbackResult:
    """Roll an execution back to a checkpoint, by id or by name.

    :param extra_body: more fields of the body.
    :raises ValueError: neither is given.
    :raises NoCheckpointError: there is no such checkpoint; nothing was written.
    """
    _check(execution_id, checkpoint_id, checkpoint_name, key)
    if checkpoint_id is None and checkpoint_name is None:
        raise ValueError("rollback needs checkpoint_id or checkpoint_name, because it discards all later checkpoints")
    extra = endpoints.extra_fields(caller, extra_body, *_ARGUMENTS)
    found, caller = await _checkpoint_and_rest(caller, execution_id, checkpoint_id, checkpoint_name)
    return await endpoints.rollback(caller, execution_id, found, key, extra)


async def cancel(caller: Caller, execution_id: str, key: str | None) -> CancelResult:
    """Cancel an execution that has not ended; of one that has, return its status and send nothing."""
    _check(execution_id, None, None, key)
    rest = _Rest(caller)
    detail = await endpoints.get(caller, execution_id)
    if detail.status not in ENDED:
        try:
            return await endpoints.cancel(rest.caller(), execution_id, key)
        except ConflictError as conflict:
            # The execution may have ended between the read and the PATCH.
            detail = await _read_again(rest.caller(), execution_id, conflict)
            if detail.status not in ENDED:
                raise
    return CancelResult(id=detail.id, status=detail.status, cancelled=False)


async def _read_again(caller: Caller, execution_id: str, conflict: ConflictError) -> ExecutionDetail:
    try:
        return await endpoints.get(caller, execution_id)
    except OmiumError:
        raise conflict from None


class _Rest:
    """What is left of the time of a call that makes several requests."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._started = time.monotonic()

    def caller(self) -> Caller:
        timeout = self._caller.options.timeout
        if timeout is None:
            return self._caller
        return self._caller.within(max(timeout - (time.monotonic() - self._started), 0.001))


def _check(execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None, key: str | None) -> None:
    check.execution_segment(execution_id)
    check.checkpoint_choice(checkpoint_id, checkpoint_name)
    if key is not None:
        check.idempotency_key(key)


async def _checkpoint_and_rest(
    caller: Caller, execution_id: str, checkpoint_id: str | None, checkpoint_name: str | None
) -> tuple[str, Caller]:
    """The id of the checkpoint, looked up if need be, and a caller with the time that is left."""
    if checkpoint_id is not None:
        return checkpoint_id, caller
    rest = _Rest(caller)
    detail = await endpoints.get(caller, execution_id)
    return endpoints.checkpoint_of(detail, checkpoint_name), rest.caller()

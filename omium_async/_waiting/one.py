"""Waiting for one execution: looks that grow rarer, and end at the status asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import APITimeoutError, OmiumError, WaitTimeoutError, WriteOutcome
from .._models.types import ExecutionDetail
from .._transport.retry import could_mend
from .polling import Pace, Polling

__all__ = ["run_and_wait", "wait_for", "watch_changes"]


async def wait_for(caller: Caller, execution_id: str, polling: Polling) -> ExecutionDetail:
    """Look until the status is one that was asked for.

    :raises WaitTimeoutError: it was not in time; what last went wrong is its cause.
    """
    last: OmiumError | None = None
    pace = Pace(polling)
    while True:
        left = polling.left()
        if left != 0:
            try:
                detail = await endpoints.get(caller.within(left), execution_id)
            except OmiumError as error:
                last = error
                if not could_mend(error):
                    raise
            else:
                last = None
                if detail.status in polling.until:
                    return detail
        if not await polling.sleep(pace.next()):
            break
    raise WaitTimeoutError(
        f"execution {execution_id} did not come to {polling.in_words()} within {polling.timeout:g} s",
        pending=(execution_id,),
        execution_id=execution_id,
        outcome="not_applied",
    ) from last


async def watch_changes(caller: Caller, execution_id: str, polling: Polling) -> AsyncGenerator[ExecutionDetail]:
    """The execution now and after each change, until its status is one that was asked for."""
    before: ExecutionDetail | None = None
    pace = Pace(polling)
    while True:
        detail: ExecutionDetail | None = None
        try:
            detail = await endpoints.get(caller, execution_id)
        except OmiumError as error:
            if not could_mend(error):
                raise
        changed = detail is not None and detail != before
        if detail is not None and changed:
            before = detail
            yield detail
            if detail.status in polling.until:
                return
        await asyncio.sleep(pace.next(moved=changed))


async def run_and_wait(caller: Caller, body: Mapping[str, Any], key: str | None, polling: Polling) -> ExecutionDetail:
    """Create an execution and wait for it, both within the same time.

    :raises WaitTimeoutError: the time ran out, in the create (then with the verdict of the write) or after it.
    """
    try:
        created = await endpoints.create(caller.within(polling.left()), body, key)
    except APITimeoutError as error:
        if polling.left() != 0:
            raise
        raise WaitTimeoutError(
            f"the execution was not created within {polling.timeout:g} s",
            request_id=error.request_id,
            idempotency_key=error.idempotency_key,
            attempts=error.attempts,
            outcome=error.outcome,
        ) from error
    try:
        return await wait_for(caller, created.id, polling)
    except OmiumError as error:
        error.execution_id = created.id
        error.outcome = WriteOutcome.APPLIED
        raise

"""Waiting for one execution: looks that grow rarer, and end at the status asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import APITimeoutError, OmiumError, WaitTimeoutError, WriteOutcome
from .._models.types import Execution, ExecutionDetail
from .._transport.retry import could_mend
from .outage import Outage
from .pending import PendingForLong
from .polling import Pace, Polling

__all__ = ["goes_on", "run_and_wait", "wait_for", "watch_changes"]


async def wait_for(caller: Caller, execution_id: str, polling: Polling) -> ExecutionDetail:
    """Look until the status is one that was asked for.

    :raises WaitTimeoutError: it was not in time; what last went wrong is its cause.
    :raises OmiumError: what no later look could mend; or the last failure of an outage longer than ``patience``.
    """
    patience = 0.0 if polling.once else caller.options.patience
    outage = Outage(f"wait for execution {execution_id}", patience, polling.interval[0], telemetry=caller.telemetry)
    pending, pace = PendingForLong(), Pace(polling)
    seen: ExecutionDetail | None = None
    failure: OmiumError | None = None
    while True:
        left, started = polling.left(), time.monotonic()
        pause = 0.0
        if left != 0:
            try:
                seen = await endpoints.get(outage.looker(caller, left), execution_id)
            except OmiumError as error:
                failure = error
                if not could_mend(error):
                    raise
                if polling.left() != 0:  # else it may be that this look only had too little time
                    outage.failed(error, started)
                pause = outage.pause()
            else:
                outage.answered()
                if seen.status in polling.until:
                    return seen
                pending.saw(seen)
                pause = pace.next()
        if not await polling.sleep(pause):
            break
    raise WaitTimeoutError(
        f"execution {execution_id} {polling.missed()}; {last_seen(None if seen is None else seen.status, failure)}",
        pending=(execution_id,),
        execution_id=execution_id,
        outcome="not_applied",
    ) from failure


def last_seen(status: str | None, failure: OmiumError | None) -> str:
    """The last status and the last failure that a wait saw, in words."""
    found = "its status was never seen" if status is None else f"its last status was {status}"
    return found if failure is None else f"{found}, the last failure: {failure}"


async def watch_changes(caller: Caller, execution_id: str, polling: Polling) -> AsyncGenerator[ExecutionDetail]:
    """The execution now and after each change, until its status is one that was asked for."""
    outage = Outage(
        f"watch of execution {execution_id}", caller.options.patience, polling.interval[0], telemetry=caller.telemetry
    )
    pace = Pace(polling)
    before: ExecutionDetail | None = None
    while True:
        detail = await outage.sat_out(caller, lambda caller: endpoints.get(caller, execution_id))
        changed = detail != before
        if changed:
            before = detail
            yield detail
            if detail.status in polling.until:
                return
        await asyncio.sleep(pace.next(moved=changed))


async def run_and_wait(
    caller: Caller,
    body: Mapping[str, Any],
    key: str | None,
    polling: Polling,
    on_created: Callable[[Execution], object] | None = None,
) -> ExecutionDetail:
    """Create an execution and wait for it, both within the same time.

    Whatever interrupts this once the execution exists says its id: as a field, or in a note.

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
        if on_created is not None:
            await _tell(on_created, created)
        return await wait_for(caller, created.id, polling)
    except OmiumError as error:
        error.execution_id = created.id
        error.outcome = WriteOutcome.APPLIED
        raise
    except BaseException as error:
        error.add_note(goes_on(created.id))
        raise


async def _tell(on_created: Callable[[Execution], object], created: Execution) -> None:
    try:
        told = on_created(created)
        if asyncio.isfuture(told):  # the facade's is called in the thread that waits for this
            await told
    except OmiumError as error:  # which is about something else, as its message shows
        error.add_note(goes_on(created.id))
        raise


def goes_on(execution_id: str) -> str:
    """What a note says to whoever interrupts a wait."""
    return f"execution {execution_id} was created before this, and goes on"

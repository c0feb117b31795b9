"""Waiting for one execution: polls with a growing interval, until its status is a wanted one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.attempts import WriteOutcome
from .._errors.base import OmiumError
from .._errors.calls import APITimeoutError
from .._errors.others import WaitTimeoutError
from .._models.types import Execution, ExecutionDetail
from .._statuses import ExecutionStatus
from .exit import cancel_created, create_or_cancel
from .polling import PendingMonitor, Polling, PollInterval, too_late


async def wait_for(caller: Caller, execution_id: str, polling: Polling, *, is_created: bool = False) -> ExecutionDetail:
    """Poll until the status is a wanted one.

    :param is_created: whether this call has created the execution, for messages.
    :raises WaitTimeoutError: it was not in time; its cause is the last failure.
    :raises OmiumError: an error that no later poll can help; or the last failure of an outage longer than ``patience``.
    """
    patience = polling.patience(caller, f"wait for execution {execution_id}")
    monitor, interval = PendingMonitor(), PollInterval(polling)
    seen: ExecutionDetail | None = None
    was_only_pending = True

    async def poll() -> ExecutionDetail:
        nonlocal seen, was_only_pending
        while True:
            seen = await patience.read(lambda caller: endpoints.get(caller, execution_id))
            if seen.status in polling.until:
                return seen
            was_only_pending &= seen.status is ExecutionStatus.PENDING
            monitor.saw(seen)
            await polling.sleep(interval.next())

    def late(failure: OmiumError | None) -> WaitTimeoutError:
        if seen is not None and was_only_pending:
            text = _still_pending(seen, polling, is_created)
        else:
            text = _too_late(execution_id, polling, seen)
        return too_late(text, (execution_id,), failure or patience.last, execution_id)

    return await polling.in_time(poll, late)


def _too_late(execution_id: str, polling: Polling, seen: ExecutionDetail | None) -> str:
    last = "its status was not seen" if seen is None else f"its last status was {seen.status}"
    return f"execution {execution_id} has {polling.not_reached}; {last}"


def _still_pending(seen: ExecutionDetail, polling: Polling, is_created: bool) -> str:
    created = "it was created; " if is_created else ""
    workflow = "its workflow" if seen.workflow_id is None else f"its workflow {seen.workflow_id!r}"
    return (
        f"execution {seen.id} is still pending {polling.waited}; {created}wait for it with "
        f"executions.wait({seen.id!r}), or is {workflow} not served?"
    )


async def watch_changes(caller: Caller, execution_id: str, polling: Polling) -> AsyncGenerator[ExecutionDetail]:
    """Yield the execution now and after each change, until its status is a wanted one."""
    patience = polling.patience(caller, f"watch of execution {execution_id}")
    interval = PollInterval(polling)
    before: ExecutionDetail | None = None
    while True:
        detail = await patience.read(lambda caller: endpoints.get(caller, execution_id))
        changed = detail != before
        if changed:
            before = detail
            yield detail
            if detail.status in polling.until:
                return
        await asyncio.sleep(interval.next(changed=changed))


async def run_and_wait(
    caller: Caller,
    body: Mapping[str, Any],
    key: str | None,
    polling: Polling,
    on_created: Callable[[Execution], object] | None = None,
    *,
    cancel_on_exit: bool = False,
) -> ExecutionDetail:
    """Create an execution and wait for it, both within one time-out.

    Every exception after the create has the id of the execution, in a field or a note.

    :param cancel_on_exit: cancel the execution if an exception ends the call.
    :raises WaitTimeoutError: the time ran out, in the create (with the outcome of the write) or after it.
    """
    create = endpoints.create_keeping_answer(caller.within(polling.left()), body, key)
    try:
        created, response = await (create_or_cancel(caller, create) if cancel_on_exit else create)
    except APITimeoutError as error:
        if polling.left() != 0:
            raise
        raise WaitTimeoutError(
            f"the create was not answered within {polling.timeout:g} s",
            request_id=error.request_id,
            idempotency_key=error.idempotency_key,
            attempts=error.attempts,
            outcome=error.outcome,
        ) from error
    endpoints.check_created(caller, created.id, response)
    try:
        if on_created is not None:
            await _call(on_created, created)
        return await wait_for(caller, created.id, polling, is_created=True)
    except OmiumError as error:
        error.execution_id = created.id
        error.outcome = WriteOutcome.APPLIED
        if cancel_on_exit:
            await cancel_created(caller, created.id, error)
        raise
    except BaseException as error:
        if cancel_on_exit and not isinstance(error, GeneratorExit):  # a closed coroutine cannot wait
            await cancel_created(caller, created.id, error)
        else:
            error.add_note(created_note(created.id))
        raise


async def _call(on_created: Callable[[Execution], object], created: Execution) -> None:
    try:
        result = on_created(created)
        if asyncio.isfuture(result):  # `omium_sync` calls it in the caller's thread
            await result
    except OmiumError as error:  # the error of another call, whose fields describe that call
        error.add_note(created_note(created.id))
        raise


def created_note(execution_id: str) -> str:
    """Return the note for an exception that interrupts a wait after the create."""
    return f"execution {execution_id} was created before this, and continues"

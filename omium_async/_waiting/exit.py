"""``cancel_on_exit``: cancel the execution of a call that ends early, even if the caller is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from .. import _changes as changes
from .._caller import Caller
from .._errors.attempts import WriteOutcome
from .._errors.base import OmiumError
from .._errors.others import WaitTimeoutError, set_cancelled
from .._models.types import Execution
from .._tasks import wait_until_done
from .._transport.admission import LaneClosed

_log = logging.getLogger("omium_async.waiting")

SECONDS: Final = 5.0  # for the response to the create and the cancel together

_Created = tuple[Execution, bytes]


class Result(NamedTuple):
    """The result of a cancel.

    :ivar note: for the exception that is the reason.
    :ivar has_ended: whether no execution continues.
    """

    note: str
    has_ended: bool


async def create_or_cancel(caller: Caller, create: Coroutine[Any, Any, _Created]) -> _Created:
    """Await a create. If the caller is cancelled meanwhile, wait for the response and cancel the new execution.

    :raises OmiumError: the error of the create; nothing is cancelled then, because no id is known.
    """
    creating = asyncio.ensure_future(create)
    try:
        await asyncio.wait([creating])
    except asyncio.CancelledError as interrupt:
        await _finish(_cancel_when_created(caller, creating), interrupt)
        raise
    return creating.result()


async def cancel_created(caller: Caller, execution_id: str, reason: BaseException) -> bool:
    """Cancel an execution unless it has ended, within 5 seconds, and add a note to the exception that is the reason.

    A failure is a note too, and a WARNING.

    :return: whether the execution has ended.
    :raises asyncio.CancelledError: the caller was cancelled meanwhile, for the first time.
    """
    return await _finish(cancel_by(caller, execution_id, asyncio.get_running_loop().time() + SECONDS, reason), reason)


async def _finish(work: Coroutine[Any, Any, Result], reason: BaseException) -> bool:
    """Run the work in a task of its own until it ends, and add the note that it returns."""
    task = asyncio.ensure_future(work)
    try:
        await wait_until_done([task])
    except asyncio.CancelledError as interrupt:
        if not isinstance(reason, asyncio.CancelledError):
            _add_note(interrupt, task)
            raise
    finally:
        has_ended = _add_note(reason, task)
    return has_ended


def _add_note(error: BaseException, task: asyncio.Future[Result]) -> bool:
    result = Result("the cancel of its execution was interrupted", has_ended=False)
    if not task.cancelled():  # with all tasks of a loop that ends
        result = task.result()
    if result.note:
        error.add_note(result.note)
    return result.has_ended


async def _cancel_when_created(caller: Caller, creating: asyncio.Future[_Created]) -> Result:
    deadline = asyncio.get_running_loop().time() + SECONDS
    try:
        async with asyncio.timeout_at(deadline):
            created, _ = await creating
    except LaneClosed:  # it was not sent
        return Result("", has_ended=True)
    except Exception as error:  # noqa: BLE001 - a converter's hook may raise anything
        if isinstance(error, OmiumError) and error.outcome == WriteOutcome.NOT_APPLIED:
            return Result("", has_ended=True)
        note = f"the create was interrupted; it may have been applied, and nothing was cancelled ({_shown(error)})"
        _log.warning("%s", note, extra={"omium_error": type(error).__name__})
        return Result(note, has_ended=False)
    return await cancel_by(caller, created.id, deadline)


async def cancel_by(caller: Caller, execution_id: str, deadline: float, reason: BaseException | None = None) -> Result:
    """Cancel an execution unless it has ended, and return the result; a failure is also a WARNING.

    :param deadline: by the clock of the event loop.
    :param reason: if it is a `WaitTimeoutError`, its text says that the execution was cancelled.
    """
    left = max(deadline - asyncio.get_running_loop().time(), 0.001)
    try:
        async with asyncio.timeout_at(deadline):
            result = await changes.cancel(caller.within(left), execution_id, None)
    except Exception as error:  # noqa: BLE001 - nothing may replace the exception that ended the call
        note = f"execution {execution_id} was created before this, could not be cancelled and may continue"
        _log.warning("%s: %s", note, _shown(error), extra={"omium_execution_id": execution_id})
        return Result(f"{note} ({_shown(error)})", has_ended=False)
    if result.cancelled and isinstance(reason, WaitTimeoutError):
        set_cancelled(reason)
    ended = "was cancelled" if result.cancelled else f"has ended as {result.status}"
    return Result(f"execution {execution_id} was created before this, and {ended}", has_ended=True)


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

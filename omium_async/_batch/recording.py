"""What a batch writes to its journal after a request: the outcome, and the response as JSON."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from .._data.codec import write_timestamp
from .._errors.base import OmiumError, error_from_json, error_to_json
from .._errors.calls import APIStatusError
from .._errors.others import JournalError
from .._journal.file import JournalFile
from .._models.types import Execution
from .calls import Calls

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

M = TypeVar("M")

_LONGEST: Final = 4096  # bytes of a stored body, because a service that echoes the input would fill the disk
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


async def record(
    file: JournalFile, calls: Calls, item_id: int, state: str, execution_id: str | None, answer: str | None
) -> None:
    """Record an outcome. If that fails, the batch yields this outcome and then raises the error."""
    try:
        await file.record(item_id, state, execution_id, answer)
    except JournalError as error:
        calls.fail(error)


# -- responses: JSON, because a file must not be able to run code ------------------------------------------------------


def stored_answer(execution: Execution, body: bytes | None = None) -> str:
    """Return the text to store for a created execution.

    :param body: the body of the response; it is stored unless it is long.
    """
    if body is not None and len(body) <= _LONGEST:
        return body.decode()
    return snapshot_of(execution)


def snapshot_of(execution: Execution) -> str:
    """Return an execution as JSON without input, output and metadata: enough to see whether it has changed."""
    found: dict[str, object] = {
        "id": execution.id,
        "workflow_id": execution.workflow_id,
        "status": execution.status,
    }
    for name in ("created_at", "updated_at", "started_at", "completed_at"):
        moment = getattr(execution, name)
        if moment is not None:
            found[name] = write_timestamp(moment)
    if execution.error is not None:
        found["error"] = execution.error[:_LONGEST]
    if execution.agent_id is not None:
        found["agent_id"] = execution.agent_id
    return _to_json(found).decode()


def model_from(converter: OmiumConverter, model: type[M]) -> Callable[[str | None], M]:
    """Return the function that reads a stored model."""
    return lambda text: converter.decode((text or "{}").encode(), model)


def stored_refusal(error: OmiumError) -> str | None:
    """Return the text to store for a final refusal, with the whole error."""
    if not isinstance(error, APIStatusError):
        return None
    kept = copy.copy(error)
    kept.body = error.body[:_LONGEST]
    return _to_json(error_to_json(kept)).decode()


def refusal_from(text: str | None) -> OmiumError:
    """Return the error of `stored_refusal`."""
    return error_from_json(_from_json(text or "{}"))

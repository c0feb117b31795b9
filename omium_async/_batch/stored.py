"""Answers and errors as a journal keeps them: JSON, for a file must not be able to run code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from .._data.moments import write_timestamp
from .._errors import APIStatusError, OmiumError
from .._errors.base import error_from_json, error_to_json
from .._models.types import Execution, ReplayResult

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

__all__ = [
    "execution_from",
    "refusal_from",
    "result_from",
    "snapshot_of",
    "stored_answer",
    "stored_refusal",
]

_LONGEST: Final = 4096  # bytes; a service that echoes the input would fill the disk twice
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


def stored_answer(execution: Execution, body: bytes | None = None) -> str:
    """An execution as it was answered, or as a list showed it without input, output and metadata.

    :param body: the answer itself, where it is at hand.
    """
    if body is not None and len(body) <= _LONGEST:
        return body.decode()
    return snapshot_of(execution)


def snapshot_of(execution: Execution) -> str:
    """What is kept of an execution: enough to know it again, and to see whether it has changed."""
    moments = {
        name: None if moment is None else write_timestamp(moment)
        for name in ("created_at", "updated_at", "started_at", "completed_at")
        if (moment := getattr(execution, name)) is not None
    }
    found = {"id": execution.id, "workflow_id": execution.workflow_id, "status": execution.status, **moments}
    if execution.error is not None:
        found["error"] = execution.error[:_LONGEST]
    if execution.agent_id is not None:
        found["agent_id"] = execution.agent_id
    return _to_json(found).decode()


def execution_from(converter: OmiumConverter) -> Callable[[str | None], Execution]:
    """What reads the execution of `stored_answer` or `snapshot_of`, with the hooks of the client."""
    return lambda text: converter.decode((text or "{}").encode(), Execution)


def result_from(converter: OmiumConverter) -> Callable[[str | None], ReplayResult]:
    """What reads the result of a replay from its answer, with the hooks of the client."""
    return lambda text: converter.decode((text or "{}").encode(), ReplayResult)


def stored_refusal(error: OmiumError) -> str | None:
    """An answer that refused an item, with all that it said."""
    if not isinstance(error, APIStatusError):
        return None
    kept = copy.copy(error)
    kept.body = error.body[:_LONGEST]
    return _to_json(error_to_json(kept)).decode()


def refusal_from(text: str | None) -> OmiumError:
    """The error of `stored_refusal`."""
    return error_from_json(_from_json(text or "{}"))

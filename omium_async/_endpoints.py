"""The bodies of writes, checked and in plain JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ._models.codec import plain
from ._models.types import ExecutionDetail
from ._transport.paths import text_argument

__all__ = ["checkpoint_of", "create_body"]


def create_body(
    workflow_id: str,
    input_data: Any,
    metadata: Mapping[str, Any] | None,
    agent_id: str | None,
    default_agent: str | None,
) -> dict[str, Any]:
    """The body of a create.

    :param agent_id: else ``default_agent``, the client's.
    :raises TypeError: a value has no form in JSON. :raises ValueError: a value would be changed by it.
    """
    body: dict[str, Any] = {"workflow_id": text_argument(workflow_id, "workflow_id")}
    if input_data is not None:
        body["input_data"] = plain(input_data, "input_data")
    if metadata is not None:
        body["metadata"] = _plain_metadata(metadata)
    agent_id = default_agent if agent_id is None else text_argument(agent_id, "agent_id")
    if agent_id is not None:
        body["agent_id"] = agent_id
    return body


def _plain_metadata(metadata: Any) -> dict[str, Any]:
    found = plain(metadata, "metadata")
    if not isinstance(found, dict):
        raise TypeError(f"metadata must be an object (a mapping), not {type(metadata).__name__}")
    return cast("dict[str, Any]", found)


def checkpoint_of(detail: ExecutionDetail, name: str | None) -> str:
    """The id of the execution's checkpoint of that name, or of the latest.

    :raises ValueError: there is none; the message lists what there is.
    """
    if name is None:
        if detail.latest_checkpoint is None:
            raise ValueError(f"execution {detail.id} has no checkpoints yet, so there is nothing to replay from")
        return detail.latest_checkpoint.id
    try:
        return detail.checkpoint(name).id
    except KeyError as error:
        raise ValueError(error.args[0]) from None

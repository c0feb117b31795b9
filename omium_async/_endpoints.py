"""The endpoints of the service, each one function: its path, its body, how its answer is read, and what it is called.

They take checked, plain data and a `Caller`, which has the options of the call. Everything else stands on these.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Final, cast

from ._arguments import execution_segment, text
from ._caller import Caller
from ._data.misfit import Misfit
from ._data.plain import plain
from ._models.types import Execution, ExecutionDetail, ExecutionPage, ReplayResult, RollbackResult
from ._streaming.filters import Filters
from ._transport.request import Operation

__all__ = [
    "checkpoint_of",
    "count",
    "create",
    "create_body",
    "create_keeping_answer",
    "get",
    "page",
    "replay",
    "rollback",
]

_CREATE: Final = Operation("omium.executions.create", "/executions")
_GET: Final = Operation("omium.executions.get", "/executions/{execution_id}")
_PAGE: Final = Operation("omium.executions.page", "/executions")
_COUNT: Final = Operation("omium.executions.count", "/executions")
_REPLAY: Final = Operation("omium.executions.replay", "/executions/{execution_id}/replay")
_ROLLBACK: Final = Operation("omium.executions.rollback", "/executions/{execution_id}/rollback")


def create(caller: Caller, body: Mapping[str, Any], key: str | None = None) -> Coroutine[Any, Any, Execution]:
    """Start an execution.

    :param body: as `create_body` gives it.
    :param key: the idempotency key; ``None``: a fresh one.
    """
    return caller.write(_CREATE.template, body, caller.converter.decoder(Execution), key, _CREATE)


def create_keeping_answer(
    caller: Caller, body: Mapping[str, Any], key: str | None = None
) -> Coroutine[Any, Any, tuple[Execution, bytes]]:
    """Start an execution, and give the body of the answer too, as a journal keeps it."""
    read = caller.converter.decoder(Execution)
    return caller.write(_CREATE.template, body, lambda answer: (read(answer), answer), key, _CREATE)


def get(caller: Caller, execution_id: str) -> Coroutine[Any, Any, ExecutionDetail]:
    """One execution in full."""
    path = f"/executions/{execution_segment(execution_id)}"
    return caller.read(path, caller.converter.decoder(ExecutionDetail), _GET)


def page(caller: Caller, page: int, page_size: int, filters: Filters) -> Coroutine[Any, Any, ExecutionPage]:
    """One page of the list, filtered by what the service can filter."""
    path = f"/executions?page={page}&page_size={page_size}{filters.wire}"
    return caller.read(path, caller.converter.decoder(ExecutionPage), _PAGE)


def count(caller: Caller, filters: Filters) -> Coroutine[Any, Any, int]:
    """The service's own total of the list."""
    read = caller.converter.decoder(ExecutionPage)
    path = f"/executions?page=1&page_size=1{filters.wire}"
    return caller.read(path, lambda answer: _total(read(answer)), _COUNT)


def replay(
    caller: Caller, execution_id: str, checkpoint_id: str, key: str | None = None
) -> Coroutine[Any, Any, ReplayResult]:
    """Replay an execution from a checkpoint."""
    path = f"/executions/{execution_segment(execution_id)}/replay"
    read = caller.converter.decoder(ReplayResult)
    return caller.write(path, {"checkpoint_id": checkpoint_id}, read, key, _REPLAY)


def rollback(
    caller: Caller, execution_id: str, checkpoint_id: str, key: str | None = None
) -> Coroutine[Any, Any, RollbackResult]:
    """Roll an execution back to a checkpoint."""
    path = f"/executions/{execution_segment(execution_id)}/rollback"
    return caller.write(
        path, {"checkpoint_id": checkpoint_id}, caller.converter.decoder(RollbackResult), key, _ROLLBACK
    )


def _total(page: ExecutionPage) -> int:
    if page.total is None:
        raise Misfit("the service did not say", "total")
    return page.total


# -- what goes into them -----------------------------------------------------------------------------------------------


def create_body(
    caller: Caller,
    workflow_id: str,
    input_data: Any,
    metadata: Mapping[str, Any] | None,
    agent_id: str | None,
) -> dict[str, Any]:
    """The body of a create.

    :param caller: whose converter gives the data its form.
    :param agent_id: else the client's.
    :raises TypeError: a value has no form in JSON. :raises ValueError: a value would be changed by it.
    """
    body: dict[str, Any] = {"workflow_id": text(workflow_id, "workflow_id")}
    if input_data is not None:
        body["input_data"] = plain(input_data, "input_data", caller.converter)
    if metadata is not None:
        body["metadata"] = _plain_metadata(caller, metadata)
    agent_id = caller.options.agent_id if agent_id is None else text(agent_id, "agent_id")
    if agent_id is not None:
        body["agent_id"] = agent_id
    return body


def _plain_metadata(caller: Caller, metadata: Any) -> dict[str, Any]:
    found = plain(metadata, "metadata", caller.converter)
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

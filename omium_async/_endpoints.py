"""The endpoints of the service, one declaration each: name, method, path, and the model of the answer.

They take checked, plain data and a `Caller`, which has the options of the call. All other modules call the service
through them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import NoneType
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import urlencode

from . import _arguments as check
from ._caller import Caller
from ._data.codec import decode_json, encode
from ._data.plain import plain
from ._data.validation import ValidationError, wrong
from ._errors.calls import InvalidResponseError
from ._errors.others import NoCheckpointError
from ._filters import Filters
from ._models.types import (
    CancelResult,
    CheckpointDetail,
    CheckpointPage,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
    WorkflowPage,
    existing_checkpoints,
)
from ._request import Operation
from ._transport.answers import LARGEST_ERROR_BODY

T = TypeVar("T")
R = TypeVar("R")


class Endpoint(Generic[T]):
    """One endpoint of the service; calling it makes the request.

    :param name: the public method, such as ``executions.get``.
    :param method: of HTTP.
    :param path: below the base URL, with at most one id in braces, by the name of its argument.
    :param answer: the model of the answer; ``None``: the answer is not read.
    :param is_documented: whether the service's document of executions has it.
    """

    def __init__(self, name: str, method: str, path: str, answer: type[T], *, is_documented: bool = True) -> None:
        self.operation: Final = Operation(f"omium.{name}", path, is_documented)
        self._method, self._answer = method, answer
        self._start, _, rest = path.partition("{")
        self._id, _, self._end = rest.partition("}")

    def __call__(
        self,
        caller: Caller,
        id: str | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
        *,
        query: str = "",
    ) -> Coroutine[Any, Any, T]:
        """Make the request, and read the answer into its model.

        :param id: the id in the path, checked and escaped here.
        :param body: plain JSON data.
        :param key: the idempotency key of a write; ``None``: a new one.
        :param query: escaped, with its ``?``.
        """
        return self.read_by(caller.converter.decoder(self._answer), caller, id, body, key, query=query)

    def read_by(
        self,
        read: Callable[[bytes], R],
        caller: Caller,
        id: str | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
        *,
        query: str = "",
    ) -> Coroutine[Any, Any, R]:
        """Make the request, and read the answer by a function."""
        path = self._start
        if self._id:  # also if `None` was given as the id: without it, the path would be that of the collection
            segment = check.execution_segment(id) if self._id == "execution_id" else check.segment(id, self._id)
            path = f"{path}{segment}{self._end}"
        if self._method == "GET":
            return caller.read(path + query, read, self.operation)
        return caller.write(self._method, path + query, body, read, key, self.operation)


_create: Final = Endpoint("executions.create", "POST", "/executions", Execution)
_page: Final = Endpoint("executions.page", "GET", "/executions", ExecutionPage)
_count: Final = Endpoint("executions.count", "GET", "/executions", ExecutionPage)
get: Final = Endpoint("executions.get", "GET", "/executions/{execution_id}", ExecutionDetail)
_replay: Final = Endpoint("executions.replay", "POST", "/executions/{execution_id}/replay", ReplayResult)
_rollback: Final = Endpoint("executions.rollback", "POST", "/executions/{execution_id}/rollback", RollbackResult)
_cancel: Final = Endpoint(
    "executions.cancel", "PATCH", "/executions/{execution_id}/status", CancelResult, is_documented=False
)
_delete: Final = Endpoint("executions.delete", "DELETE", "/executions/{execution_id}", NoneType, is_documented=False)
_checkpoints: Final = Endpoint("checkpoints.list", "GET", "/checkpoints", CheckpointPage, is_documented=False)
checkpoint: Final = Endpoint(
    "checkpoints.get", "GET", "/checkpoints/{checkpoint_id}", CheckpointDetail, is_documented=False
)
_workflows: Final = Endpoint("workflows.list", "GET", "/workflows", WorkflowPage, is_documented=False)
workflow: Final = Endpoint("workflows.get", "GET", "/workflows/{workflow_id}", WorkflowInfo, is_documented=False)


# -- executions --------------------------------------------------------------------------------------------------------


def create(caller: Caller, body: Mapping[str, Any], key: str | None = None) -> Coroutine[Any, Any, Execution]:
    """Start an execution.

    :param body: as `create_body` gives it.
    :param key: the idempotency key; ``None``: a new one.
    """
    return _create(caller, None, body, key)


def create_keeping_answer(
    caller: Caller, body: Mapping[str, Any], key: str | None = None
) -> Coroutine[Any, Any, tuple[Execution, bytes]]:
    """Start an execution, and return the body of the answer too."""
    read = caller.converter.decoder(Execution)
    return _create.read_by(lambda answer: (read(answer), answer), caller, None, body, key)


def check_created(caller: Caller, execution_id: str, response: bytes) -> None:
    """Check that the id of a new execution can be used in a path.

    :raises InvalidResponseError: it cannot; the create was applied.
    """
    try:
        check.execution_segment(execution_id)
    except ValueError as error:
        problem = str(error)
    else:
        return
    raise InvalidResponseError(
        f"the execution was created, but the id in the response cannot be used ({problem})",
        body=caller.shared.settings.redactor.body(response)[:LARGEST_ERROR_BODY],
        path="id",
        execution_id=execution_id,
        outcome="applied",
    )


def page(caller: Caller, page: int, page_size: int, filters: Filters) -> Coroutine[Any, Any, ExecutionPage]:
    """One page of the list, filtered by what the service can filter."""
    return _page(caller, query=f"?page={page}&page_size={page_size}{filters.wire}")


def count(caller: Caller, filters: Filters) -> Coroutine[Any, Any, int]:
    """The service's own total of the list."""
    read = caller.converter.decoder(ExecutionPage)
    return _count.read_by(lambda answer: _total(read(answer)), caller, query=f"?page=1&page_size=1{filters.wire}")


def _total(page: ExecutionPage) -> int:
    if page.total is None:
        raise ValidationError("the service did not say", "total")
    return page.total


def replay(
    caller: Caller,
    execution_id: str,
    checkpoint_id: str,
    key: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Coroutine[Any, Any, ReplayResult]:
    """Replay an execution from a checkpoint.

    :param extra: more fields of the body, as `extra_fields` gives them.
    """
    return _replay(caller, execution_id, {"checkpoint_id": checkpoint_id, **(extra or {})}, key)


def rollback(
    caller: Caller,
    execution_id: str,
    checkpoint_id: str,
    key: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Coroutine[Any, Any, RollbackResult]:
    """Roll an execution back to a checkpoint.

    :param extra: more fields of the body, as `extra_fields` gives them.
    """
    return _rollback(caller, execution_id, {"checkpoint_id": checkpoint_id, **(extra or {})}, key)


def cancel(caller: Caller, execution_id: str, key: str | None = None) -> Coroutine[Any, Any, CancelResult]:
    """Overwrite the status of an execution with ``cancelled``, whatever it was."""
    read = caller.converter.decoder(CancelResult)

    def read_liberally(answer: bytes) -> CancelResult:
        sent = decode_json(answer) if answer.strip() else None
        if sent is None:
            sent = {}
        if not isinstance(sent, dict):
            raise wrong("an object", sent)
        given = {name: value for name, value in cast("dict[str, Any]", sent).items() if value is not None}
        return read(encode({**sent, "id": execution_id, "status": "cancelled", **given, "cancelled": True}))

    return _cancel.read_by(read_liberally, caller, execution_id, None, key, query="?status=cancelled")


def delete(caller: Caller, execution_id: str, key: str | None = None) -> Coroutine[Any, Any, None]:
    """Delete an execution; the answer is not read."""
    return _delete.read_by(_ignored, caller, execution_id, None, key)


def _ignored(answer: bytes) -> None:
    """Read nothing of an answer."""


# -- checkpoints and workflows -----------------------------------------------------------------------------------------


def checkpoints(caller: Caller, execution_id: str, limit: int, offset: int) -> Coroutine[Any, Any, CheckpointPage]:
    """Some checkpoints of an execution."""
    query = urlencode({"execution_id": execution_id, "limit": limit, "offset": offset})
    return _checkpoints(caller, query=f"?{query}")


def workflows(
    caller: Caller, status: str | None, workflow_type: str | None, page: int, page_size: int
) -> Coroutine[Any, Any, WorkflowPage]:
    """One page of the workflows."""
    wanted = {"status": status, "workflow_type": workflow_type, "page": page, "page_size": page_size}
    return _workflows(caller, query=check.query(wanted))


# -- what goes into them -----------------------------------------------------------------------------------------------


def create_body(
    caller: Caller,
    workflow_id: str,
    input_data: Any,
    metadata: Mapping[str, Any] | None,
    agent_id: str | None,
) -> dict[str, Any]:
    """Return the body of a create.

    :param caller: its converter serializes the data.
    :param agent_id: ``None``: the client's.
    :raises TypeError: JSON cannot hold a value.
    :raises ValueError: JSON would change a value.
    """
    body: dict[str, Any] = {"workflow_id": check.text(workflow_id, "workflow_id")}
    if input_data is not None:
        body["input_data"] = plain(input_data, "input_data", caller.converter)
    if metadata is not None:
        body["metadata"] = _plain_mapping(caller, metadata, "metadata")
    agent_id = caller.options.agent_id if agent_id is None else check.text(agent_id, "agent_id")
    if agent_id is not None:
        body["agent_id"] = agent_id
    return body


def extra_fields(caller: Caller, extra_body: Mapping[str, Any] | None, *arguments: str) -> dict[str, Any]:
    """Return the fields that a caller adds to the body of a write.

    :param arguments: the names of the write's own arguments, which the fields must not have.
    :raises TypeError: JSON cannot hold a value.
    :raises ValueError: JSON would change a value, or a field has an argument of its own.
    """
    if extra_body is None:
        return {}
    fields = _plain_mapping(caller, extra_body, "extra_body")
    for name in arguments:
        if name in fields:
            raise ValueError(f"extra_body: {name!r} has an argument of its own; give it as {name}=...")
    return fields


def _plain_mapping(caller: Caller, value: Any, name: str) -> dict[str, Any]:
    found = plain(value, name, caller.converter)
    if not isinstance(found, dict):
        raise TypeError(f"{name}: {type(value).__name__} is not a mapping; give keys and values")
    return cast("dict[str, Any]", found)


def checkpoint_of(detail: ExecutionDetail, name: str | None) -> str:
    """The id of the execution's last checkpoint of that name, or of the latest.

    :raises NoCheckpointError: there is none; the message lists the existing ones.
    """
    if name is None and detail.latest_checkpoint is not None:
        return detail.latest_checkpoint.id
    named = [found.id for found in detail.checkpoints if found.name == name]
    if name is not None and named:
        return named[-1]
    wanted = "no checkpoint yet" if name is None else f"no checkpoint {name!r}; {existing_checkpoints(detail)}"
    raise NoCheckpointError(
        f"execution {detail.id} has {wanted}",
        execution_id=detail.id,
        names=tuple(found.name for found in detail.checkpoints if found.name is not None),
        outcome="not_applied",
    )

"""Checkpoints and workflows: the calls of the service's sister APIs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar

from . import _arguments as check
from . import _endpoints as endpoints
from ._caller import Caller
from ._models.types import CheckpointDetail, WorkflowInfo
from ._patience import Patience
from ._telemetry import Telemetry, spanned_each


class _Row(Protocol):
    @property
    def id(self) -> str: ...


Row_co = TypeVar("Row_co", bound=_Row, covariant=True)


class _PageOfRows(Protocol[Row_co]):
    @property
    def items(self) -> tuple[Row_co, ...]: ...
    @property
    def total(self) -> int | None: ...


class Checkpoints:
    """The checkpoints of executions, as ``client.checkpoints``. Errors are those of `Executions`.

    :param caller: sends the requests; each client has its own.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @spanned_each(writes=False)
    def list(self, execution_id: str, *, page_size: int = 50) -> AsyncGenerator[CheckpointDetail]:
        """Iterate over the checkpoints of an execution, each once, without their state.

        After an outage the list continues, if it was shorter than ``patience`` seconds of the client.

        Evidence: the service's document of the Checkpoints API describes ``GET /checkpoints``, and the live service was
        seen to answer it. Unknown: the order, and the largest page.

        :param execution_id: the id of the execution.
        :param page_size: checkpoints a request, from 1; the service may send fewer.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        :raises InvalidResponseError: the response holds no list of checkpoints.
        """
        check.execution_segment(execution_id)
        check.at_least(1, page_size, "page_size")
        return _each_once(
            self._caller,
            "list of checkpoints",
            lambda caller, _, offset: endpoints.checkpoints(caller, execution_id, page_size, offset),
        )

    async def get(self, checkpoint_id: str, *, include_state: bool = True) -> CheckpointDetail:
        """Return one checkpoint, with the state that it recorded.

        Evidence: the service's document of the Checkpoints API describes ``GET /checkpoints/{id}``. The live service
        answered 500 for an unknown id (a `ServerError`).

        :param checkpoint_id: its id.
        :param include_state: request the state too; it may be large.
        :raises NotFoundError: there is no checkpoint with that id.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        """
        query = "?include_state=true" if check.flag(include_state, "include_state") else ""
        return await endpoints.checkpoint(self._caller, checkpoint_id, query=query)

    @property
    def _telemetry(self) -> Telemetry | None:
        return self._caller.telemetry


class Workflows:
    """The workflows of the service, as ``client.workflows``. Errors are those of `Executions`.

    :param caller: sends the requests; each client has its own.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @spanned_each(writes=False)
    def list(
        self, *, status: str | None = None, workflow_type: str | None = None, page_size: int = 100
    ) -> AsyncGenerator[WorkflowInfo]:
        """Iterate over the workflows, each once.

        After an outage the list continues, if it was shorter than ``patience`` seconds of the client.

        Evidence: the service's document of the Workflows API describes ``GET /workflows``, and answers of the live
        service were recorded. Unknown: the order, and the largest page.

        :param status: only those with this status, such as ``"published"``.
        :param workflow_type: only those of this type, such as ``"langgraph"``.
        :param page_size: workflows a request, from 1; the service may send fewer.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        :raises InvalidResponseError: the response holds no list of workflows.
        """
        for name, value in (("status", status), ("workflow_type", workflow_type)):
            if value is not None:
                check.text(value, name)
        check.at_least(1, page_size, "page_size")
        return _each_once(
            self._caller,
            "list of workflows",
            lambda caller, page, _: endpoints.workflows(caller, status, workflow_type, page, page_size),
        )

    async def get(self, workflow_id: str) -> WorkflowInfo:
        """Return one workflow.

        Evidence: the service's document of the Workflows API describes ``GET /workflows/{id}``, and answers of the
        live service were recorded.

        :param workflow_id: its id.
        :raises NotFoundError: there is no workflow with that id.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        """
        return await endpoints.workflow(self._caller, workflow_id)

    @property
    def _telemetry(self) -> Telemetry | None:
        return self._caller.telemetry


async def _each_once(
    caller: Caller,
    name: str,
    request: Callable[[Caller, int, int], Awaitable[_PageOfRows[Row_co]]],
) -> AsyncGenerator[Row_co]:
    """The rows of all pages, each id once.

    The list ends where ``total`` says, and without one at a page that brings nothing new: a page that is not full may
    have been capped by the service.

    :param name: of the list, in warnings.
    :param request: requests a page by its number (from 1) and by the number of rows before it.
    """
    seen: set[str] = set()
    page, offset = 1, 0

    def next_page(caller: Caller) -> Awaitable[_PageOfRows[Row_co]]:
        return request(caller, page, offset)

    answer = await next_page(caller)
    patience = Patience(caller, name, caller.options.patience, caller.options.poll_interval[0])
    while True:
        new = {row.id: row for row in answer.items if row.id not in seen}
        seen.update(new)
        for row in new.values():
            yield row
        page, offset = page + 1, offset + len(answer.items)
        if not answer.items or (not new if answer.total is None else offset >= answer.total):
            return
        answer = await patience.read(next_page)

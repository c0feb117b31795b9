"""Workflows as functions of a user's own types: what goes in and what comes out is checked and converted."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar, cast, overload

from . import _arguments as check
from ._arguments import Status, Statuses
from ._caller import Caller
from ._data.reading import check_type, matches, read_typed
from ._data.validation import ValidationError
from ._executions import Executions
from ._journal.settings import Journal
from ._models.outcomes import CancelOutcome, CreateOutcome, ReplayOutcome
from ._models.types import (
    SETTLED,
    Execution,
    ExecutionDetail,
    ExecutionFailedError,
    ExecutionRequest,
    ExecutionStatus,
    InvalidRequest,
    OutputError,
    ended_as,
)
from ._run import Run

__all__ = ["Definition", "Workflow"]

In = TypeVar("In")
Out = TypeVar("Out")
I = TypeVar("I")  # noqa: E741 - of one overload
O = TypeVar("O")  # noqa: E741 - likewise

_NO_INPUT: Final[Any] = None


class Definition(Generic[In, Out]):
    """What a `Workflow` of either package is, with or without a client."""

    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None:
        self.workflow_id = check.text(workflow_id, "workflow_id")
        self.input_type = input_type
        self.output_type = output_type
        self._caller: Caller | None = None

    def _bound_to(self, caller: Caller) -> Workflow[In, Out]:
        """The same for the client's calls.

        :raises TypeError: a type cannot be structured by the client's converter.
        """
        bound: Workflow[In, Out] = Workflow(self.workflow_id, self.input_type, self.output_type)
        bound._caller = caller  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        for name, found in (("input_type", self.input_type), ("output_type", self.output_type)):
            if found is not None:
                check_type(caller.converter, found, name)
        return bound

    def __repr__(self) -> str:
        kind = "definition" if self._caller is None else "workflow"
        return f"<{kind} {self.workflow_id!r}: {_shown(self.input_type)} -> {_shown(self.output_type)}>"


class Workflow(Definition[In, Out]):
    """A workflow, with the types of its input and its output.

    ``client.workflow(...)`` gives one that is bound to the client. One made by itself is a definition, to be shared by
    those who serve the workflow and those who call it: ``client.workflow(definition)`` binds it.

    :param workflow_id: the id of the workflow.
    :param input_type: the type of its input; ``None``: anything that can be sent.
    :param output_type: the type of its output; ``None``: the output as it is.
    :ivar workflow_id: the id of the workflow.
    :ivar input_type: the type of its input; ``None``: anything that can be sent.
    :ivar output_type: the type of its output; ``None``: the output as it is.
    """

    @overload
    def __init__(
        self: Workflow[Any, Any], workflow_id: str, input_type: None = None, output_type: None = None
    ) -> None: ...

    @overload
    def __init__(self: Workflow[I, Any], workflow_id: str, input_type: type[I], output_type: None = None) -> None: ...

    @overload
    def __init__(
        self: Workflow[Any, O], workflow_id: str, input_type: None = None, *, output_type: type[O]
    ) -> None: ...

    @overload
    def __init__(self: Workflow[I, O], workflow_id: str, input_type: type[I], output_type: type[O]) -> None: ...

    @overload
    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None: ...

    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None:
        super().__init__(workflow_id, input_type, output_type)

    # -- one execution ---------------------------------------------------------------------------------------------

    async def start(
        self,
        input_data: In = _NO_INPUT,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run[Out]:
        """Start an execution, and give its handle: ``run.id`` is known before anything is waited for.

        :param input_data: the input, of the workflow's input type.
        :param metadata: as in `Executions.create`.
        :param agent_id: as in `Executions.create`.
        :param idempotency_key: as in `Executions.create`.
        :raises TypeError: the input is of another type; nothing was sent.
        """
        self._check_input(input_data)
        created = await self._executions.create(
            self.workflow_id, input_data, metadata=metadata, agent_id=agent_id, idempotency_key=idempotency_key
        )
        return self._run(created.id, started=True)

    async def execute(
        self,
        input_data: In = _NO_INPUT,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `Executions.wait`
        poll_interval: float | None = None,
        on_created: Callable[[Execution], object] | None = None,
    ) -> Out:
        """Start an execution, wait for it, and give its output.

        :param input_data: the input, of the workflow's input type.
        :param metadata: as in `Executions.create`.
        :param agent_id: as in `Executions.create`.
        :param idempotency_key: as in `Executions.create`.
        :param timeout: as in `Executions.run`.
        :param poll_interval: as in `Executions.wait`.
        :param on_created: as in `Executions.run`.
        :raises TypeError: the input is of another type; nothing was sent.
        :raises ExecutionFailedError: it did not complete.
        :raises OutputError: its output is not of the workflow's output type.
        :raises WaitTimeoutError: it did not settle in time.
        """
        self._check_input(input_data)
        detail = await self._executions.run(
            self.workflow_id,
            input_data,
            metadata=metadata,
            agent_id=agent_id,
            idempotency_key=idempotency_key,
            timeout=timeout,
            poll_interval=poll_interval,
            on_created=on_created,
        )
        return self._result_of(detail)

    def handle(self, execution_id: str) -> Run[Out]:
        """The handle of an execution that exists; nothing is asked of the service.

        :param execution_id: its id.
        """
        check.execution_segment(execution_id)
        return self._run(execution_id, started=False)

    def input(self, execution: Execution) -> In:
        """The input of an execution, as the workflow's input type.

        :param execution: a row of a list, or an execution in full.
        :raises OutputError: it does not fit; the error keeps the execution.
        """
        return cast("In", self._read(execution, execution.input_data, self.input_type, "input_data"))

    def output(self, execution: Execution) -> Out:
        """The output of an execution, as the workflow's output type.

        :param execution: a row of a list, or an execution in full.
        :raises OutputError: it does not fit; the error keeps the execution.
        """
        return cast("Out", self._read(execution, execution.output_data, self.output_type, "output_data"))

    # -- many executions -------------------------------------------------------------------------------------------

    def list(
        self,
        *,
        status: Statuses | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int | None = None,
    ) -> AsyncGenerator[Execution]:
        """The workflow's executions, as `Executions.list` gives them.

        :param status: as in `Executions.list`.
        :param since: as in `Executions.list`.
        :param before: as in `Executions.list`.
        :param metadata: as in `Executions.list`.
        :param page_size: as in `Executions.list`.
        :param limit: as in `Executions.list`.
        :param prefetch: as in `Executions.list`.
        """
        return self._executions.list(
            workflow_id=self.workflow_id,
            status=status,
            since=since,
            before=before,
            metadata=metadata,
            page_size=page_size,
            limit=limit,
            prefetch=prefetch,
        )

    async def count(self, *, status: Status | None = None) -> int:
        """How many executions of the workflow there are, by the service's own total.

        :param status: only those at this status.
        """
        return await self._executions.count(workflow_id=self.workflow_id, status=status)

    def create_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        *,
        concurrency: int = 32,
        journal: str | os.PathLike[str] | Journal | None = None,
        settle: float | None = None,
    ) -> AsyncGenerator[CreateOutcome]:
        """Start an execution for each input, as `Executions.create_many` does; one of another type is ``rejected``.

        :param inputs: inputs, or an `ExecutionRequest` where more than the input is to be said.
        :param concurrency: as in `Executions.create_many`.
        :param journal: as in `Executions.create_many`.
        :param settle: as in `Executions.create_many`.
        """
        found = check.many(inputs, "inputs", "inputs")
        later = isinstance(found, AsyncIterable)
        requests: Any = self._requests_later(cast("Any", found)) if later else map(self._request, found)
        return self._executions.create_many(requests, concurrency=concurrency, journal=journal, settle=settle)

    def replay_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        status: Statuses | None = "failed",
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        checkpoint_name: str | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> AsyncGenerator[ReplayOutcome]:
        """Replay executions of the workflow, as `Executions.replay_many` does.

        :param execution_ids: as in `Executions.replay_many`.
        :param status: as in `Executions.replay_many`.
        :param since: as in `Executions.list`.
        :param before: as in `Executions.list`.
        :param metadata: as in `Executions.list`.
        :param checkpoint_name: as in `Executions.replay_many`.
        :param limit: as in `Executions.replay_many`.
        :param concurrency: as in `Executions.replay_many`.
        :param dry_run: as in `Executions.replay_many`.
        :param journal: as in `Executions.replay_many`.
        """
        return self._executions.replay_many(
            execution_ids,
            workflow_id=self.workflow_id if execution_ids is None else None,
            status=status,
            since=since,
            before=before,
            metadata=metadata,
            checkpoint_name=checkpoint_name,
            limit=limit,
            concurrency=concurrency,
            dry_run=dry_run,
            journal=journal,
        )

    def cancel_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        status: Statuses | None = ("pending", "running"),
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
    ) -> AsyncGenerator[CancelOutcome]:
        """Cancel executions of the workflow, as `Executions.cancel_many` does.

        :param execution_ids: as in `Executions.cancel_many`.
        :param status: as in `Executions.cancel_many`.
        :param since: as in `Executions.list`.
        :param before: as in `Executions.list`.
        :param metadata: as in `Executions.list`.
        :param limit: as in `Executions.cancel_many`.
        :param concurrency: as in `Executions.cancel_many`.
        :param dry_run: as in `Executions.cancel_many`.
        """
        return self._executions.cancel_many(
            execution_ids,
            workflow_id=self.workflow_id if execution_ids is None else None,
            status=status,
            since=since,
            before=before,
            metadata=metadata,
            limit=limit,
            concurrency=concurrency,
            dry_run=dry_run,
        )

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[False] = False,
    ) -> AsyncGenerator[Execution]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[True],
    ) -> AsyncGenerator[ExecutionDetail]: ...

    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: bool = False,
    ) -> AsyncGenerator[Any]:
        """Wait for executions, as `Executions.wait_many` does.

        :param execution_ids: as in `Executions.wait_many`.
        :param timeout: as in `Executions.wait_many`.
        :param poll_interval: as in `Executions.wait_many`.
        :param until: as in `Executions.wait_many`.
        :param details: as in `Executions.wait_many`.
        """
        wait_many: Callable[..., AsyncGenerator[Any]] = self._executions.wait_many
        return wait_many(execution_ids, timeout=timeout, poll_interval=poll_interval, until=until, details=details)

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _bound_caller(self) -> Caller:
        if self._caller is None:
            raise RuntimeError(
                f"{self!r} has no client: omium.workflow(definition) gives one that has, where omium is an AsyncOmium"
            )
        return self._caller

    @property
    def _executions(self) -> Executions:
        return Executions(self._bound_caller)

    def _run(self, execution_id: str, *, started: bool) -> Run[Out]:
        return Run(self._executions, self.workflow_id, execution_id, self._result_of, started=started)

    def _check_input(self, value: Any) -> None:
        if self.input_type is not None:
            matches(self._bound_caller.converter, value, self.input_type, "input_data")

    def _request(self, given: Any) -> ExecutionRequest | InvalidRequest:
        request = given if isinstance(given, ExecutionRequest) else ExecutionRequest(self.workflow_id, given)
        try:
            if request.workflow_id != self.workflow_id:
                raise ValueError(  # noqa: TRY301 - told as what is wrong with the item, like the rest
                    f"workflow_id: {check.shown(request.workflow_id)} is another workflow than {self.workflow_id!r}; "
                    "give requests of this one"
                )
            self._check_input(request.input_data)
        except Exception as error:  # noqa: BLE001 - what a user's own hooks raise is about this item, whatever it is
            return InvalidRequest(request, error)
        return request

    async def _requests_later(self, inputs: AsyncIterable[Any]) -> AsyncGenerator[ExecutionRequest | InvalidRequest]:
        async for given in inputs:
            yield self._request(given)

    def _read(self, execution: Execution, value: Any, type: Any, place: str) -> Any:
        if type is None:
            return value
        try:
            return read_typed(self._bound_caller.converter, value, type, place)
        except ValidationError as error:
            path, message = error.path, error.message
        # Not within the handler: the errors of cattrs underneath do not survive every pickle.
        raise OutputError(f"execution {execution.id}: {path}: {message}", execution=execution, path=path)

    def _result_of(self, detail: ExecutionDetail) -> Out:
        if detail.status is not ExecutionStatus.COMPLETED:
            raise ExecutionFailedError(ended_as(detail), execution=detail)
        return self.output(detail)


def _shown(type: Any) -> str:
    return "Any" if type is None else getattr(type, "__name__", str(type))

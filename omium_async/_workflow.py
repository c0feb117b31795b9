"""Typed workflows: inputs are checked against a type, outputs are read into one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, Generic, Literal, Unpack, cast, overload

import attrs

from . import _arguments as check
from ._arguments import Status
from ._caller import Caller
from ._data.reading import check_input, check_type, read_typed
from ._data.validation import ValidationError, origin_of
from ._endpoints import create_body
from ._executions import Executions
from ._generics import In, Out
from ._models.outcomes import CancelOutcome, CreateOutcome, DeleteOutcome, ReplayOutcome, RunOutcome
from ._models.types import (
    Execution,
    ExecutionDetail,
    ExecutionFailedError,
    ExecutionRequest,
    InvalidRequest,
    OutputError,
    ended_as,
)
from ._options import (
    ChangeManyOptions,
    CreateManyOptions,
    CreateOptions,
    ExecuteOptions,
    ListOptions,
    ReplayManyOptions,
    RunManyOptions,
    WaitOptions,
)
from ._run import Run
from ._statuses import ExecutionStatus
from ._tool import describe

_NO_INPUT: Final[Any] = None


class Definition(Generic[In, Out]):
    """A workflow with its types, of either package, with or without a client."""

    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None:
        self.workflow_id = check.text(workflow_id, "workflow_id")
        self.input_type = input_type
        self.output_type = output_type
        self._caller: Caller | None = None

    def _bound_to(self, caller: Caller) -> Workflow[In, Out]:
        """Return the same workflow with the calls of a client.

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

    ``client.workflow(...)`` returns one that is bound to the client. One made directly is a definition, which the code
    that serves the workflow and the code that calls it can share: ``client.workflow(definition)`` binds it.

    :param workflow_id: the id of the workflow.
    :param input_type: the type of its input; ``None``: anything that can be sent.
    :param output_type: the type of its output; ``None``: the output is not converted.
    :ivar workflow_id: the id of the workflow.
    :ivar input_type: the type of its input; ``None``: anything that can be sent.
    :ivar output_type: the type of its output; ``None``: the output is not converted.
    """

    @overload
    def __init__(
        self, workflow_id: str, input_type: type[In] | None = None, output_type: type[Out] | None = None
    ) -> None: ...

    @overload
    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None: ...

    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None:
        super().__init__(workflow_id, input_type, output_type)

    # -- one execution ---------------------------------------------------------------------------------------------

    async def start(self, input_data: In = _NO_INPUT, **options: Unpack[CreateOptions]) -> Run[Out]:
        """Start an execution and return its handle; ``run.id`` is known before any wait.

        :param input_data: the input, of the workflow's input type.
        :param options: ``metadata``, ``agent_id`` and ``idempotency_key``, as in `Executions.create`.
        :raises TypeError: the input has another type; nothing was sent.
        """
        self._check_input(input_data)
        created, response = await self._executions._create(self.workflow_id, input_data, **options)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return self._run(created.id, response)

    async def execute(self, input_data: In = _NO_INPUT, **options: Unpack[ExecuteOptions]) -> Out:
        """Start an execution, wait until it has settled, and return its output.

        :param input_data: the input, of the workflow's input type.
        :param options: ``metadata``, ``agent_id``, ``idempotency_key``, ``timeout``, ``poll_interval``, ``on_created``
            and ``cancel_on_exit``, as in `Executions.run`.
        :raises TypeError: the input has another type; nothing was sent.
        :raises ExecutionFailedError: it did not complete.
        :raises OutputError: its output does not have the workflow's output type.
        :raises WaitTimeoutError: it did not settle in time.
        """
        self._check_input(input_data)
        return self._result_of(await self._executions.run(self.workflow_id, input_data, **options))

    def as_tool(
        self,
        name: str | None = None,
        description: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        timeout: float | None = None,
        cancel_on_exit: bool = True,
    ) -> Callable[[In], Coroutine[Any, Any, Out]]:
        """Return a function that executes the workflow, for agent frameworks that make tools of functions.

        It has one parameter, ``data``: the input, as the input type or as the JSON of it. Its signature and annotations
        have the workflow's types, with metadata by which pydantic describes attrs classes; without them it takes
        ``dict[str, Any]`` and returns JSON. It raises as `execute` does, and ``TypeError`` for an input that does not
        fit.

        :param name: the function's ``__name__``; ``None``: the workflow's id as an identifier of at most 64 ASCII
            characters.
        :param description: its docstring, which the model reads; ``None``: the docstring of the input type, if it has
            its own, otherwise a sentence with the workflow's id.
        :param metadata: stored with each execution, as in `Executions.create`.
        :param agent_id: the agent on whose behalf it runs; ``None``: the client's.
        :param timeout: seconds for each execution; ``None``: only its create is limited, by the client's ``timeout``.
        :param cancel_on_exit: cancel the execution if the call ends early, as in `Executions.run`. Only the call knows
            its id.
        """
        create_body(self._bound_caller, self.workflow_id, None, metadata, agent_id)  # rejects what cannot be sent
        check.seconds(timeout, "timeout", zero=True)
        check.flag(cancel_on_exit, "cancel_on_exit")

        async def tool(data: In) -> Out:
            return await self.execute(
                self._tool_input(data),
                metadata=metadata,
                agent_id=agent_id,
                timeout=timeout,
                cancel_on_exit=cancel_on_exit,
            )

        return describe(tool, self, self._tool_input, name, description)

    def handle(self, execution_id: str) -> Run[Out]:
        """Return the handle of an existing execution; no request is sent.

        :param execution_id: its id.
        """
        check.execution_segment(execution_id)
        return self._run(execution_id)

    def input(self, execution: Execution) -> In:
        """Return the input of an execution, as the workflow's input type.

        :param execution: a row of a list, or an execution with its details.
        :raises OutputError: it does not fit the type; the error keeps the execution.
        """
        return cast("In", self._read(execution, execution.input_data, self.input_type, "input_data"))

    def output(self, execution: Execution) -> Out:
        """Return the output of an execution, as the workflow's output type.

        :param execution: a row of a list, or an execution with its details.
        :raises OutputError: it does not fit the type; the error keeps the execution.
        """
        return cast("Out", self._read(execution, execution.output_data, self.output_type, "output_data"))

    # -- many executions -------------------------------------------------------------------------------------------

    def list(self, **options: Unpack[ListOptions]) -> AsyncGenerator[Execution]:
        """Iterate over the workflow's executions, none twice and none missed.

        :param options: ``status``, ``since``, ``before``, ``metadata``, ``page_size``, ``limit`` and ``prefetch``, as
            in `Executions.list`.
        """
        return self._executions.list(workflow_id=self.workflow_id, **options)

    async def count(self, *, status: Status | None = None) -> int:
        """Return the number of executions of the workflow: the service's own total.

        :param status: only those with this status.
        """
        return await self._executions.count(workflow_id=self.workflow_id, status=status)

    def create_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        **options: Unpack[CreateManyOptions],
    ) -> AsyncGenerator[CreateOutcome]:
        """Start an execution for each input. An input of another type is ``rejected``.

        :param inputs: inputs, or an `ExecutionRequest` for one with more than an input.
        :param options: ``concurrency``, ``journal`` and ``settle``, as in `Executions.create_many`.
        """
        return self._executions.create_many(self._requests(inputs), **options)

    def run_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        **options: Unpack[RunManyOptions],
    ) -> AsyncGenerator[RunOutcome[Out]]:
        """Start an execution for each input and wait for it; ``output`` of each outcome has the workflow's output type.

        An input of another type is ``rejected``. A completed execution whose output does not fit is ``failed``, with
        the `OutputError`.

        :param inputs: inputs, or an `ExecutionRequest` for one with more than an input.
        :param options: ``max_running``, ``timeout``, ``poll_interval``, ``journal``, ``settle`` and
            ``cancel_on_exit``, as in `Executions.run_many`.
        """
        return self._typed_outcomes(self._executions.run_many(self._requests(inputs), **options))

    def replay_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        **options: Unpack[ReplayManyOptions],
    ) -> AsyncGenerator[ReplayOutcome]:
        """Replay executions of the workflow, by ids or filters.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param options: the filters, ``checkpoint_name``, ``limit``, ``concurrency``, ``dry_run`` and ``journal``, as in
            `Executions.replay_many`.
        """
        return self._executions.replay_many(execution_ids, workflow_id=self._filter(execution_ids), **options)

    def cancel_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        **options: Unpack[ChangeManyOptions],
    ) -> AsyncGenerator[CancelOutcome]:
        """Cancel executions of the workflow, by ids or filters.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param options: the filters, ``limit``, ``concurrency`` and ``dry_run``, as in `Executions.cancel_many`.
        """
        return self._executions.cancel_many(execution_ids, workflow_id=self._filter(execution_ids), **options)

    def delete_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        **options: Unpack[ChangeManyOptions],
    ) -> AsyncGenerator[DeleteOutcome]:
        """Delete executions of the workflow, by ids or filters.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param options: the filters, ``limit``, ``concurrency`` and ``dry_run``, as in `Executions.delete_many`.
        """
        return self._executions.delete_many(execution_ids, workflow_id=self._filter(execution_ids), **options)

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        details: Literal[False] = False,
        **options: Unpack[WaitOptions],
    ) -> AsyncGenerator[Execution]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        details: Literal[True],
        **options: Unpack[WaitOptions],
    ) -> AsyncGenerator[ExecutionDetail]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        details: bool,
        **options: Unpack[WaitOptions],
    ) -> AsyncGenerator[Execution]: ...

    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        details: bool = False,
        **options: Unpack[WaitOptions],
    ) -> AsyncGenerator[Any]:
        """Wait for executions, and yield each as soon as its status is in ``until``.

        :param execution_ids: the executions, each once.
        :param details: yield each as `Executions.get` returns it, at the cost of one request more.
        :param options: ``timeout``, ``poll_interval`` and ``until``, as in `Executions.wait_many`.
        """
        wait_many: Callable[..., AsyncGenerator[Any]] = self._executions.wait_many
        return wait_many(execution_ids, details=details, **options)

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _bound_caller(self) -> Caller:
        if self._caller is None:
            raise RuntimeError(f"{self!r} has no client; use omium.workflow(definition), where omium is an AsyncOmium")
        return self._caller

    @property
    def _executions(self) -> Executions:
        return Executions(self._bound_caller)

    def _run(self, execution_id: str, created: bytes | None = None) -> Run[Out]:
        return Run(self._executions, self.workflow_id, execution_id, self._result_of, created=created)

    def _filter(self, execution_ids: object) -> str | None:
        """The workflow as a filter, except where executions are named."""
        return self.workflow_id if execution_ids is None else None

    def _check_input(self, value: Any) -> None:
        if self.input_type is not None:
            check_input(self._bound_caller.converter, value, self.input_type, "input_data")

    def _tool_input(self, data: Any) -> In:
        """Return the input of a tool as the input type. Some frameworks pass the JSON of it."""
        try:
            self._check_input(data)
        except TypeError:
            if not isinstance(data, (dict, list, str)):
                raise
        else:
            return cast("In", data)
        try:
            return cast("In", read_typed(self._bound_caller.converter, data, self.input_type, "data"))
        except ValidationError as error:
            problem = f"{error.path}: {error.message}"
        raise TypeError(problem)

    def _request(self, given: Any) -> ExecutionRequest | InvalidRequest:
        request = given if isinstance(given, ExecutionRequest) else ExecutionRequest(self.workflow_id, given)
        try:
            if request.workflow_id != self.workflow_id:
                raise ValueError(  # noqa: TRY301 - reported for the item, like the rest
                    f"workflow_id: {check.shown(request.workflow_id)} is another workflow than {self.workflow_id!r}; "
                    "give requests for this one"
                )
            self._check_input(request.input_data)
        except Exception as error:  # noqa: BLE001 - a user's hooks may raise anything; it is about this item
            return InvalidRequest(request, error)
        return request

    def _requests(self, inputs: object) -> Any:
        found = check.many(inputs, "inputs", "inputs")
        return (
            self._requests_later(cast("Any", found)) if isinstance(found, AsyncIterable) else map(self._request, found)
        )

    async def _typed_outcomes(self, outcomes: AsyncGenerator[RunOutcome[Any]]) -> AsyncGenerator[RunOutcome[Out]]:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield self._typed_outcome(outcome)

    def _typed_outcome(self, outcome: RunOutcome[Any]) -> RunOutcome[Out]:
        if outcome.state != "completed" or outcome.execution is None:
            return outcome
        try:
            return attrs.evolve(outcome, output=self.output(outcome.execution))
        except OutputError as error:
            return attrs.evolve(outcome, state="failed", error=error, output=None)

    async def _requests_later(self, inputs: AsyncIterable[Any]) -> AsyncGenerator[ExecutionRequest | InvalidRequest]:
        async for given in inputs:
            yield self._request(given)

    def _read(self, execution: Execution, value: Any, type: Any, place: str) -> Any:
        if type is None:
            return value
        try:
            return read_typed(self._bound_caller.converter, value, type, place)
        except ValidationError as error:
            path, message, origin = error.path, error.message, origin_of(error)
        # Raised outside the handler: the context would hold groups of cattrs, which cannot be pickled.
        raise OutputError(f"execution {execution.id}: {path}: {message}", execution=execution, path=path) from origin

    def _result_of(self, detail: ExecutionDetail) -> Out:
        if detail.status is not ExecutionStatus.COMPLETED:
            raise ExecutionFailedError(ended_as(detail), execution=detail)
        return self.output(detail)


def _shown(type: Any) -> str:
    return "Any" if type is None else getattr(type, "__name__", str(type))

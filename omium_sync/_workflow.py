"""Typed workflows for sync code."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from typing import Any, Final, Generic, Literal, NoReturn, Unpack, overload

from omium_async import (
    CancelOutcome,
    CreateOutcome,
    DeleteOutcome,
    Execution,
    ExecutionDetail,
    ExecutionRequest,
    ReplayOutcome,
    RunOutcome,
)
from omium_async import Run as AsyncRun
from omium_async import Workflow as AsyncWorkflow
from omium_async._generics import In, Out
from omium_async._options import (
    CreateManyOptions,
    CreateOptions,
    ExecuteOptions,
    PollOptions,
    RunManyOptions,
    ToolOptions,
    WaitOptions,
)
from omium_async._tool import describe
from omium_async._workflow import Definition

from ._dispatcher import Dispatcher
from ._methods import docstring, mirrored, sync_iterator, sync_method
from ._rows import Groups, SyncIterator

Ids = Iterable[str] | AsyncIterable[str]

_NO_INPUT: Final[Any] = None
_Core = AsyncWorkflow[Any, Any]
_CoreRun = AsyncRun[Any]


def _row_groups(core: _Core, **arguments: Any) -> AsyncGenerator[Any]:
    executions = core._executions  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return executions._list(workflow_id=core.workflow_id, **arguments)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class Workflow(Definition[In, Out]):
    __doc__ = AsyncWorkflow.__doc__

    @overload
    def __init__(
        self, workflow_id: str, input_type: type[In] | None = None, output_type: type[Out] | None = None
    ) -> None: ...

    @overload
    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None: ...

    def __init__(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> None:
        super().__init__(workflow_id, input_type, output_type)
        self._core: AsyncWorkflow[In, Out] = AsyncWorkflow(workflow_id, input_type, output_type)
        self._bound_dispatcher: Dispatcher | None = None

    def __repr__(self) -> str:
        return repr(self._core)

    @property
    def _dispatcher(self) -> Dispatcher:
        if self._bound_dispatcher is None:
            raise RuntimeError(f"{self!r} has no client: bind it with omium.workflow(definition)")
        return self._bound_dispatcher

    @property
    def _call(self) -> Callable[..., Any]:
        return self._dispatcher.call

    # -- one execution -----------------------------------------------------------------------------------------------

    @mirrored(_Core.start)
    def start(self, input_data: In = _NO_INPUT, **options: Unpack[CreateOptions]) -> Run[Out]:
        return Run(self._dispatcher, self._call(_Core.start, self._core, input_data, **options))

    @mirrored(_Core.execute)
    def execute(self, input_data: In = _NO_INPUT, **options: Unpack[ExecuteOptions]) -> Out:
        output: Out = _execute(self, input_data, **options)
        return output

    @mirrored(_Core.as_tool, Callable[[Any], Any])
    def as_tool(
        self, name: str | None = None, description: str | None = None, **options: Unpack[ToolOptions]
    ) -> Callable[[In], Out]:
        execute = self._core.as_tool(name, description, **options)

        def tool(data: In) -> Out:
            output: Out = self._call(execute, data)
            return output

        return describe(tool, self, self._core._tool_input, name, description)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    @mirrored(_Core.handle)
    def handle(self, execution_id: str) -> Run[Out]:
        return Run(self._dispatcher, self._core.handle(execution_id))

    @mirrored(_Core.input)
    def input(self, execution: Execution) -> In:
        return self._core.input(execution)

    @mirrored(_Core.output)
    def output(self, execution: Execution) -> Out:
        return self._core.output(execution)

    # -- many executions ---------------------------------------------------------------------------------------------

    count = sync_method(_Core.count)
    list = sync_iterator(_Core.list, Execution, groups=_row_groups)
    replay_many = sync_iterator(_Core.replay_many, ReplayOutcome, ahead=True)
    cancel_many = sync_iterator(_Core.cancel_many, CancelOutcome, ahead=True)
    delete_many = sync_iterator(_Core.delete_many, DeleteOutcome, ahead=True)

    @mirrored(_Core.create_many, Iterator[CreateOutcome])
    def create_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        **options: Unpack[CreateManyOptions],
    ) -> Iterator[CreateOutcome]:
        outcomes: Iterator[CreateOutcome] = _create_many(self, inputs, **options)
        return outcomes

    @mirrored(_Core.run_many, Iterator[RunOutcome[Out]])
    def run_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        **options: Unpack[RunManyOptions],
    ) -> Iterator[RunOutcome[Out]]:
        outcomes: Iterator[RunOutcome[Out]] = _run_many(self, inputs, **options)
        return outcomes

    @overload
    def wait_many(
        self, execution_ids: Ids, *, details: Literal[False] = False, **options: Unpack[WaitOptions]
    ) -> Iterator[Execution]: ...

    @overload
    def wait_many(
        self, execution_ids: Ids, *, details: Literal[True], **options: Unpack[WaitOptions]
    ) -> Iterator[ExecutionDetail]: ...

    @overload
    def wait_many(
        self, execution_ids: Ids, *, details: bool, **options: Unpack[WaitOptions]
    ) -> Iterator[Execution]: ...

    @mirrored(_Core.wait_many, Iterator[Any])
    def wait_many(self, *args: Any, **options: Any) -> Iterator[Any]:
        rows: AsyncGenerator[Any] = self._core.wait_many(*args, **options)
        return SyncIterator(self._dispatcher, Groups[Any](rows, ahead=True))


def bind(core: AsyncWorkflow[In, Out], dispatcher: Dispatcher) -> Workflow[In, Out]:
    """Return the sync workflow of one that is bound to a client."""
    bound: Workflow[In, Out] = Workflow(core.workflow_id, core.input_type, core.output_type)
    bound._core, bound._bound_dispatcher = core, dispatcher  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return bound


class Run(Generic[Out]):
    __doc__ = f"""{docstring(AsyncRun).partition(":param executions:")[0]}
:param dispatcher: starts the calls; the workflow gives it.
:param core: the handle of the async client.
"""

    def __init__(self, dispatcher: Dispatcher, core: AsyncRun[Out]) -> None:
        self._dispatcher = dispatcher
        self._call = dispatcher.call
        self._core = core

    @property
    def id(self) -> str:
        """The id of the execution; after `replay`, of the execution to follow."""
        return self._core.id

    @mirrored(_CoreRun.result)
    def result(self, **options: Unpack[PollOptions]) -> Out:
        output: Out = self._call(_CoreRun.result, self._core, **options)
        return output

    get = sync_method(_CoreRun.get)
    wait = sync_method(_CoreRun.wait)
    watch = sync_iterator(_CoreRun.watch, ExecutionDetail)
    replay = sync_method(_CoreRun.replay)
    rollback = sync_method(_CoreRun.rollback)
    cancel = sync_method(_CoreRun.cancel)

    def __repr__(self) -> str:
        return repr(self._core)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._core.__reduce_ex__(protocol)


_execute: Any = sync_method(_Core.execute, creates=True)
_create_many: Any = sync_iterator(_Core.create_many, CreateOutcome, ahead=True, iterable="inputs")
_run_many: Any = sync_iterator(
    _Core.run_many, RunOutcome[Any], ahead=True, iterable="inputs", at_once=("max_running", 10)
)

"""Typed workflows for code that is not async."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Literal, NoReturn, TypeVar, overload

from omium_async import (
    SETTLED,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionRequest,
    Journal,
    ReplayOutcome,
)
from omium_async import Run as AsyncRun
from omium_async import Workflow as AsyncWorkflow
from omium_async._arguments import Statuses
from omium_async._workflow import Definition

from ._dispatcher import Dispatcher
from ._methods import docstring, mirrored, sync_iterator, sync_method
from ._rows import Groups, SyncIterator, joined

__all__ = ["Run", "Workflow", "bind"]

In = TypeVar("In")
Out = TypeVar("Out")
I = TypeVar("I")  # noqa: E741 - of one overload
O = TypeVar("O")  # noqa: E741 - likewise

_NO_INPUT: Final[Any] = None
_Core = AsyncWorkflow[Any, Any]
_CoreRun = AsyncRun[Any]


def _row_groups(core: _Core, **arguments: Any) -> AsyncGenerator[Any]:
    executions = core._executions  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return joined(executions._list, workflow_id=core.workflow_id, **arguments)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class Workflow(Definition[In, Out]):
    __doc__ = AsyncWorkflow.__doc__

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
    def start(
        self,
        input_data: In = _NO_INPUT,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run[Out]:
        options = {"metadata": metadata, "agent_id": agent_id, "idempotency_key": idempotency_key}
        return Run(self._dispatcher, _start(self, input_data, **options))

    @mirrored(_Core.execute)
    def execute(
        self,
        input_data: In = _NO_INPUT,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        poll_interval: float | None = None,
        on_created: Callable[[Execution], object] | None = None,
    ) -> Out:
        output: Out = _execute(
            self,
            input_data,
            metadata=metadata,
            agent_id=agent_id,
            idempotency_key=idempotency_key,
            timeout=timeout,
            poll_interval=poll_interval,
            on_created=on_created,
        )
        return output

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

    @mirrored(_Core.create_many, Iterator[CreateOutcome])
    def create_many(
        self,
        inputs: Iterable[In | ExecutionRequest] | AsyncIterable[In | ExecutionRequest],
        *,
        concurrency: int = 32,
        journal: str | os.PathLike[str] | Journal | None = None,
        settle: float | None = None,
    ) -> Iterator[CreateOutcome]:
        outcomes: Iterator[CreateOutcome] = _create_many(
            self, inputs, concurrency=concurrency, journal=journal, settle=settle
        )
        return outcomes

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[False] = False,
    ) -> Iterator[Execution]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[True],
    ) -> Iterator[ExecutionDetail]: ...

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
    def result(self, *, timeout: float | None = None, poll_interval: float | None = None) -> Out:
        output: Out = _result(self, timeout=timeout, poll_interval=poll_interval)
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


_start: Any = sync_method(_Core.start)
_execute: Any = sync_method(_Core.execute)
_result: Any = sync_method(_CoreRun.result)
_create_many: Any = sync_iterator(_Core.create_many, CreateOutcome, ahead=True, feed="inputs")

"""The sync client: each method runs the method of the async client in the event loop of the process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, Unpack, overload

from omium_async import (
    AsyncOmium,
    CancelOutcome,
    CheckpointDetail,
    CreateOutcome,
    DeleteOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ReplayOutcome,
    RunOutcome,
    WorkflowInfo,
)
from omium_async._executions import Executions as AsyncExecutions
from omium_async._generics import In, Out
from omium_async._options import WaitOptions
from omium_async._resources import Checkpoints as AsyncCheckpoints
from omium_async._resources import Workflows as AsyncWorkflows
from omium_async._settings.configure import OptionChanges, takes_settings
from omium_async._settings.declared import Options, Settings
from omium_async._workflow import Definition

from ._dispatcher import Dispatcher
from ._methods import docstring, documented, mirrored, signature_of, sync_iterator, sync_method
from ._rows import Groups, SyncIterator
from ._workflow import Ids, Workflow, bind


def _row_groups(core: AsyncExecutions, **arguments: Any) -> AsyncGenerator[Any]:
    return core._list(**arguments)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class Executions:
    __doc__ = f"""{docstring(AsyncExecutions).partition(":param caller:")[0]}
:param dispatcher: starts the calls; each client has its own.
:param core: the executions of the async client.
"""

    def __init__(self, dispatcher: Dispatcher, core: AsyncExecutions) -> None:
        self._dispatcher = dispatcher
        self._call = dispatcher.call
        self._core = core

    create = sync_method(AsyncExecutions.create)
    get = sync_method(AsyncExecutions.get)
    page = sync_method(AsyncExecutions.page)
    count = sync_method(AsyncExecutions.count)
    list = sync_iterator(AsyncExecutions.list, Execution, groups=_row_groups)
    pages = sync_iterator(AsyncExecutions.pages, ExecutionPage)
    replay = sync_method(AsyncExecutions.replay)
    rollback = sync_method(AsyncExecutions.rollback)
    cancel = sync_method(AsyncExecutions.cancel)
    delete = sync_method(AsyncExecutions.delete)
    wait = sync_method(AsyncExecutions.wait)
    watch = sync_iterator(AsyncExecutions.watch, ExecutionDetail)
    run = sync_method(AsyncExecutions.run, creates=True)
    create_many = sync_iterator(AsyncExecutions.create_many, CreateOutcome, ahead=True, iterable="requests")
    run_many = sync_iterator(
        AsyncExecutions.run_many, RunOutcome[Any], ahead=True, iterable="requests", at_once=("max_running", 10)
    )
    replay_many = sync_iterator(AsyncExecutions.replay_many, ReplayOutcome, ahead=True)
    cancel_many = sync_iterator(AsyncExecutions.cancel_many, CancelOutcome, ahead=True)
    delete_many = sync_iterator(AsyncExecutions.delete_many, DeleteOutcome, ahead=True)

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

    @mirrored(AsyncExecutions.wait_many, Iterator[Any])
    def wait_many(self, *args: Any, **options: Any) -> Iterator[Any]:
        rows: AsyncGenerator[Any] = self._core.wait_many(*args, **options)
        return SyncIterator(self._dispatcher, Groups[Any](rows, ahead=True))


class Checkpoints:
    __doc__ = f"""{docstring(AsyncCheckpoints).partition(":param caller:")[0]}
:param dispatcher: starts the calls; each client has its own.
:param core: the checkpoints of the async client.
"""

    def __init__(self, dispatcher: Dispatcher, core: AsyncCheckpoints) -> None:
        self._dispatcher = dispatcher
        self._call = dispatcher.call
        self._core = core

    list = sync_iterator(AsyncCheckpoints.list, CheckpointDetail, ahead=True)
    get = sync_method(AsyncCheckpoints.get)


class Workflows:
    __doc__ = f"""{docstring(AsyncWorkflows).partition(":param caller:")[0]}
:param dispatcher: starts the calls; each client has its own.
:param core: the workflows of the async client.
"""

    def __init__(self, dispatcher: Dispatcher, core: AsyncWorkflows) -> None:
        self._dispatcher = dispatcher
        self._call = dispatcher.call
        self._core = core

    list = sync_iterator(AsyncWorkflows.list, WorkflowInfo, ahead=True)
    get = sync_method(AsyncWorkflows.get)


class Omium:
    __doc__ = f"""A client of the Omium Executions API for sync code.

It works with and without ``with``, in any number of threads, and inside a running event loop, which it blocks.
Each setting comes from the first of these that has it: the argument, the environment, ``~/.omium/config.json``, the
default. The first call starts a thread with an event loop, which serves all clients of the process.

:param api_key: {docstring(AsyncOmium).partition(":param api_key: ")[2]}
"""

    executions: Executions
    checkpoints: Checkpoints
    workflows: Workflows

    @signature_of(AsyncOmium.__init__)
    @takes_settings(Settings, Options)
    def __init__(self, *args: Any, **settings: Any) -> None:
        core = AsyncOmium(*args, **settings)
        self._assemble(core, Dispatcher(core._caller.shared))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def _assemble(self, core: AsyncOmium, dispatcher: Dispatcher) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._call = dispatcher.call
        self.executions = Executions(dispatcher, core.executions)
        self.checkpoints = Checkpoints(dispatcher, core.checkpoints)
        self.workflows = Workflows(dispatcher, core.workflows)

    @documented(AsyncOmium.with_options)
    @takes_settings(Options)
    def with_options(self, **options: Unpack[OptionChanges]) -> Self:
        copy = object.__new__(type(self))
        copy._assemble(self._core.with_options(**options), self._dispatcher)
        return copy

    request = sync_method(AsyncOmium.request)

    @overload
    def workflow(self, workflow_id: Definition[In, Out]) -> Workflow[In, Out]: ...

    @overload
    def workflow(
        self, workflow_id: str, input_type: type[In] | None = None, output_type: type[Out] | None = None
    ) -> Workflow[In, Out]: ...

    @overload
    def workflow(  # for types that are not classes: the variable has an annotation
        self, workflow_id: str, input_type: Any = None, output_type: Any = None
    ) -> Workflow[In, Out]: ...  # pyright: ignore[reportInvalidTypeVarUse]

    @mirrored(AsyncOmium.workflow)
    def workflow(self, workflow_id: Any, input_type: Any = None, output_type: Any = None) -> Workflow[Any, Any]:
        return bind(self._core.workflow(workflow_id, input_type, output_type), self._dispatcher)

    @documented(AsyncOmium.aclose)
    def close(self) -> None:
        self._dispatcher.close()

    def __enter__(self) -> Self:
        self._dispatcher.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)  # absent if a setting was rejected; the traceback may show this repr
        return (
            f"<{type(self).__name__} not initialized>" if core is None else repr(core).replace("AsyncOmium", "Omium", 1)
        )

    def __dask_tokenize__(self) -> NoReturn:
        """Dask's ``map`` calls this, and would otherwise hide why the client cannot be pickled."""
        self._dispatcher.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._dispatcher.__reduce_ex__(protocol)

"""The facade: each call of the core under the same name, made on the loop and waited for."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, Self, TypeVar, Unpack, overload

from omium_async import (
    SETTLED,
    AsyncOmium,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ReplayOutcome,
)
from omium_async._arguments import Statuses
from omium_async._data.masked import masked
from omium_async._executions import Executions as AsyncExecutions
from omium_async._settings.configure import OptionChanges
from omium_async._workflow import Definition

from ._bridge.line import Line
from ._bridge.reading import Gathered, Rows
from ._iterators import Stream
from ._mirrors import called, documented, fed, gathered, like, mirrored, one_by_one, told, words_of
from ._workflow import Workflow, bind

__all__ = ["Executions", "Omium"]

In = TypeVar("In")
Out = TypeVar("Out")

_SETTINGS: Final = inspect.signature(AsyncOmium).parameters
_SECRET: Final = frozenset({"api_key", "base_url", "auth", "headers", "proxy"})


class Executions:
    __doc__ = f"""{words_of(AsyncExecutions).partition(":param caller:")[0]}
:param line: what brings the calls to the loop; each client brings its own.
:param core: the executions of the async client behind this one.
"""

    def __init__(self, line: Line, core: AsyncExecutions) -> None:
        self._line = line
        self._make = line.make
        self._core = core

    create = called(AsyncExecutions.create)
    get = called(AsyncExecutions.get)
    page = called(AsyncExecutions.page)
    count = called(AsyncExecutions.count)
    replay = called(AsyncExecutions.replay)
    rollback = called(AsyncExecutions.rollback)
    wait = called(AsyncExecutions.wait)
    run = told(AsyncExecutions.run)
    pages = one_by_one(AsyncExecutions.pages, ExecutionPage)
    watch = one_by_one(AsyncExecutions.watch, ExecutionDetail)
    replay_many = gathered(AsyncExecutions.replay_many, ReplayOutcome)

    @like(AsyncExecutions.list, Iterator[Execution])
    def list(self, **arguments: Any) -> Iterator[Execution]:
        return Stream(self._line, Rows(self._core._list, **arguments))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    @like(AsyncExecutions.create_many, Iterator[CreateOutcome])
    def create_many(self, requests: Any, *, concurrency: int = 32, **options: Any) -> Iterator[CreateOutcome]:
        return fed(self, AsyncExecutions.create_many, requests, concurrency=concurrency, **options)

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

    @mirrored(AsyncExecutions.wait_many, Iterator[Any])
    def wait_many(self, *args: Any, **options: Any) -> Iterator[Any]:
        rows: AsyncGenerator[Any] = self._core.wait_many(*args, **options)
        return Stream(self._line, Gathered(rows))


class Omium:
    __doc__ = f"""A client of the Omium Executions API for code that is not async.

Works with and without ``with``, from any number of threads, also inside a running event loop, which it blocks.
Settings come from the argument, the environment, ``~/.omium/config.json``, the default, in this order. Nothing
runs until the first call; a loop in a thread of its own serves all clients of the process from then on.

:param api_key: {words_of(AsyncOmium).partition(":param api_key: ")[2]}
"""

    executions: Executions

    @like(AsyncOmium.__init__)
    def __init__(self, *args: Any, **settings: Any) -> None:
        # Masked before anything can fail: a traceback may show local variables.
        args, settings = tuple(map(masked, args)), dict(map(_masked, settings.items()))
        core = AsyncOmium(*args, **settings)
        self._assemble(core, Line(core))

    def _assemble(self, core: AsyncOmium, line: Line) -> None:
        self._core = core
        self._line = line
        self._make = line.make
        self.executions = Executions(line, core.executions)

    @documented(AsyncOmium.with_options)
    def with_options(self, **options: Unpack[OptionChanges]) -> Self:
        core = self._core.with_options(**options)
        self._line.add_copy(core)
        copy = object.__new__(type(self))
        copy._assemble(core, self._line)
        return copy

    request = called(AsyncOmium.request)

    @overload
    def workflow(self, workflow_id: Definition[In, Out]) -> Workflow[In, Out]: ...

    @overload
    def workflow(self, workflow_id: str, input_type: None = None, output_type: None = None) -> Workflow[Any, Any]: ...

    @overload
    def workflow(self, workflow_id: str, input_type: type[In], output_type: None = None) -> Workflow[In, Any]: ...

    @overload
    def workflow(self, workflow_id: str, input_type: None = None, *, output_type: type[Out]) -> Workflow[Any, Out]: ...

    @overload
    def workflow(self, workflow_id: str, input_type: type[In], output_type: type[Out]) -> Workflow[In, Out]: ...

    @overload  # with a variable that is annotated
    def workflow(self, workflow_id: str, input_type: Any = None, output_type: Any = None) -> Workflow[In, Out]: ...  # pyright: ignore[reportInvalidTypeVarUse]

    @mirrored(AsyncOmium.workflow)
    def workflow(self, workflow_id: Any, input_type: Any = None, output_type: Any = None) -> Workflow[Any, Any]:
        return bind(self._core.workflow(workflow_id, input_type, output_type), self._line)

    @documented(AsyncOmium.aclose)
    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        self._line.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)  # none where a setting was refused: a traceback may show this all the same
        return f"<{type(self).__name__} not made>" if core is None else repr(core).replace("AsyncOmium", "Omium", 1)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is not pickled: it holds a key and connections; another process makes its own from "
            "its own settings"
        )


def _masked(setting: tuple[str, Any]) -> tuple[str, Any]:
    name, value = setting
    return name, masked(value) if name in _SECRET or name not in _SETTINGS else value

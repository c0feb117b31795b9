"""The facade: each call of the core under the same name, made on the loop and waited for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, Self, Unpack, overload

from omium_async import (
    SETTLED,
    AsyncOmium,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ReplayOutcome,
)
from omium_async import _arguments as check
from omium_async._arguments import Statuses
from omium_async._executions import Executions as AsyncExecutions
from omium_async._settings.configure import OptionChanges
from omium_async._settings.secret import masked
from omium_async._streaming import Batch

from ._bridge.call import Call
from ._bridge.feed import feed_of
from ._bridge.line import Line
from ._bridge.reading import Gathered, Rows
from ._iterators import Stream
from ._mirrors import called, documented, gathered, like, mirrored, one_by_one

__all__ = ["Executions", "Omium"]

_SETTINGS: Final = inspect.signature(AsyncOmium).parameters
_SECRET: Final = frozenset({"api_key", "base_url", "auth", "headers", "proxy"})


class Executions:
    __doc__ = AsyncExecutions.__doc__

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
    pages = one_by_one(AsyncExecutions.pages, ExecutionPage)
    watch = one_by_one(AsyncExecutions.watch, ExecutionDetail)
    replay_many = gathered(AsyncExecutions.replay_many, ReplayOutcome)

    @like(AsyncExecutions.run)
    def run(
        self, *args: Any, on_created: Callable[[Execution], object] | None = None, **options: Any
    ) -> ExecutionDetail:
        check.plain_function(on_created, "on_created")
        call = Call(AsyncExecutions.run, (self._core, *args), options)
        if on_created is not None:
            options["on_created"] = functools.partial(call.ask, on_created)
        detail: ExecutionDetail = self._make(call)
        return detail

    @like(AsyncExecutions.list, Iterator[Execution])
    def list(self, **arguments: Any) -> Iterator[Execution]:
        def read(held: Callable[[], int]) -> AsyncGenerator[Batch]:
            return self._core._batches(held, **arguments)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

        return Stream(self._line, Rows(read))

    @like(AsyncExecutions.create_many, Iterator[CreateOutcome])
    def create_many(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        *,
        concurrency: int = 32,
        **options: Any,
    ) -> Iterator[CreateOutcome]:
        feed = feed_of(requests)
        taken = requests if feed is None else feed
        outcomes = self._core.create_many(taken, concurrency=concurrency, **options)
        if feed is not None:
            feed.ahead = 4 * concurrency + 64  # the contract's bound
        return Stream(self._line, Gathered(outcomes, feed))

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

    :param api_key: {(AsyncOmium.__doc__ or "").partition(":param api_key: ")[2]}"""

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

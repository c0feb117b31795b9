"""What a workflow function is given: its input, and durable steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from .annotations import ABSENT
from .containment import StepExit
from .jsontext import decode

if TYPE_CHECKING:
    from .runner import Runner
    from .store import RunState
    from .typed import Types

__all__ = ["WorkflowFunction", "WorkflowRun", "is_async", "is_workflow"]

R = TypeVar("R")

_BETWEEN_TURNS: Final = 50  # recorded steps given back before the server gets a turn


class WorkflowRun:
    """One run of a workflow function.

    The function may be run several times for one execution, after a crash or a replay: what must not be repeated
    belongs into a `step`, and everything outside of steps should come out the same each time.

    :param state: what is known of the execution; the server brings it, as the others.
    :param runner: what records the steps.
    :param types: what reads and writes values by their types.
    :ivar execution_id: of the execution that is run.
    :ivar workflow_id: under which the function was registered.
    :ivar input_data: of the create call, as JSON gives it; an empty dict where none was given.
    :ivar metadata: of the create call; an empty dict where none was given.
    :ivar agent_id: of the create call, or None.
    """

    def __init__(self, state: RunState, runner: Runner, types: Types) -> None:
        self.execution_id = state.execution_id
        self.workflow_id = state.workflow_id
        self.input_data: Any = decode(state.input_data)
        self.metadata: dict[str, Any] = decode(state.metadata)
        self.agent_id = state.agent_id
        self._recorded = state.recorded
        self._runner = runner
        self._types = types
        self._names: set[str] = set()

    def __repr__(self) -> str:
        return f"<WorkflowRun {self.execution_id} of {self.workflow_id!r}>"

    @overload
    async def step(
        self, name: str, func: Callable[..., Any], /, *args: Any, result_type: type[R], **kwargs: Any
    ) -> R: ...
    @overload
    async def step(self, name: str, func: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **kwargs: Any) -> R: ...
    @overload
    async def step(self, name: str, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> R: ...
    async def step(
        self, name: str, func: Callable[..., Any], /, *args: Any, result_type: Any = ABSENT, **kwargs: Any
    ) -> Any:
        """Runs `func(*args, **kwargs)` once for this execution, and records its result as the checkpoint `name`.

        An async function runs on the event loop, any other in a thread. The result comes back in its type, or as JSON
        gives it where it has none (a tuple as a list): the same whether the step ran now or was recorded by an earlier
        run. It is on disk before this returns. A step that raised, or was cut off (by a time-out, say), has no record:
        it runs again when the execution does.

        :param name: of the checkpoint; each step of a run has one of its own.
        :param func: what is to be done once.
        :param args: what it is called with.
        :param result_type: the type of its result; unless given, what the function is annotated to return, if that can
            be read from JSON.
        :param kwargs: what it is called with, by name.
        :raises ValueError: this run has used the name before.
        :raises TypeError: JSON cannot hold the result, it is not of its type, or `result_type` cannot be read from
            JSON; nothing is recorded then.
        """
        with self._runner.inside():
            self._take(name)
            type_of_result = self._types.step_type(name, func, result_type)
            if name in self._recorded:
                if len(self._names) % _BETWEEN_TURNS == 0:
                    await asyncio.sleep(0)  # a long list of recorded steps must not keep the server from answering
                return self._types.read(decode(self._recorded[name]), type_of_result, f"result of step {name!r}")
            result = self._types.recorded(name, await self._call(func, args, kwargs), type_of_result)
            await asyncio.sleep(0)
            typed = self._types.read(decode(result), type_of_result, f"result of step {name!r}")
            await self._runner.record(name, result)
            return typed

    def _take(self, name: str) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the name of a step is a text that is not empty, not {name!r}")
        name.encode()  # a lone surrogate could be neither stored nor sent
        if name in self._names:
            raise ValueError(f"this run has a step {name!r} already; each step of a run needs a name of its own")
        self._names.add(name)

    async def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if is_async(func):
                return await func(*args, **kwargs)
            result = await self._runner.in_thread(func, *args, **kwargs)
            return await result if inspect.isawaitable(result) else result  # such as of `lambda: fetch(url)`
        except SystemExit as error:
            raise StepExit from error


WorkflowFunction = Callable[..., Awaitable[Any]]


def is_workflow(function: object) -> bool:
    """Whether it may be a workflow: an async function, also behind decorators that say what they wrap."""
    return callable(function) and (is_async(function) or is_async(inspect.unwrap(function)))


def is_async(func: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, also for a callable object and a partial."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004

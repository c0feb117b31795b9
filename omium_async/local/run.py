"""The first argument of a workflow function: the input of its execution, and durable steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from .jsontext import decode
from .threads import StepExit
from .typed import ABSENT

if TYPE_CHECKING:
    from .runner import Runner
    from .store import RunState
    from .typed import Types

R = TypeVar("R")

_RECORDED_STEPS_PER_TURN: Final = 50

#: An async function, or a plain one, that takes a run and perhaps the input.
WorkflowFunction = Callable[..., Any]


class WorkflowRun:
    """One run of an async workflow function.

    The function may run several times for one execution, after a crash or a replay. Put what must not be repeated into
    a `step`; code outside of steps should give the same result each time.

    :param state: the data of the execution; the server passes it, as the other arguments.
    :param runner: records the steps.
    :param types: converts values to and from their types.
    :ivar execution_id: the id of the execution.
    :ivar workflow_id: the id under which the function is registered.
    :ivar input_data: the input of the create call, as JSON data; an empty dict if none was given.
    :ivar metadata: the metadata of the create call; an empty dict if none was given.
    :ivar agent_id: the ``agent_id`` of the create call, or None.
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
        return f"<{type(self).__name__} {self.execution_id} of {self.workflow_id!r}>"

    @overload
    def step(
        self, name: str, func: Callable[..., Any], /, *args: Any, result_type: type[R], **kwargs: Any
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self, name: str, func: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(self, name: str, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, R]: ...
    def step(self, name: str, func: Callable[..., Any], /, *args: Any, result_type: Any = ABSENT, **kwargs: Any) -> Any:
        """Run ``func(*args, **kwargs)`` once for this execution, and record its result as the checkpoint `name`.

        An async function runs on the event loop, any other in a thread. The result is returned in its type, or as JSON
        data if it has none (a tuple as a list); it is the same whether the step ran now or was recorded by an earlier
        run. It is on disk before this returns. A step that raised or was interrupted has no record, and runs again with
        the execution. A step that is not awaited fails the execution.

        :param name: the name of the checkpoint; each step of a run has a different one.
        :param func: the function to run once.
        :param args: its arguments.
        :param result_type: the type of its result; by default the annotated return type, if it can be read from JSON.
        :param kwargs: its keyword arguments.
        :raises ValueError: this run has used the name before.
        :raises TypeError: JSON cannot hold the result, the result does not have its type, or `result_type` cannot be
            read from JSON. Nothing is recorded.
        :raises RuntimeError: it is awaited on another event loop than the run's. The function has not run.
        """
        coroutine = self._step(name, func, args, kwargs, result_type)
        self._runner.created(name, coroutine)
        return coroutine

    async def _step(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result_type: Any
    ) -> Any:
        self._runner.check_loop(name)
        with self._runner.inside():
            self._use(name)
            type_of_result = self._types.step_type(name, func, result_type)
            if name in self._recorded:
                if len(self._names) % _RECORDED_STEPS_PER_TURN == 0:
                    await asyncio.sleep(0)  # many recorded steps in a row must not block the server
                return self._types.read(decode(self._recorded[name]), type_of_result, f"result of step {name!r}")
            result = self._types.recorded(name, await self._call(func, args, kwargs), type_of_result)
            await asyncio.sleep(0)
            typed = self._types.read(decode(result), type_of_result, f"result of step {name!r}")
            await self._runner.record(name, result)
            return typed

    def _use(self, name: str) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the name of a step must be a text that is not empty, not {name!r}")
        name.encode()  # a lone surrogate could be neither stored nor sent
        if name in self._names:
            raise ValueError(f"this run already has a step {name!r}; give each step of a run another name")
        self._names.add(name)

    async def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if is_async(func):
                return await self._runner.watched(func(*args, **kwargs))
            result = await self._runner.in_thread(func, *args, **kwargs)
            # A plain function may return a coroutine, such as `lambda: fetch(url)`.
            return await self._runner.watched(result) if inspect.isawaitable(result) else result
        except SystemExit as error:
            raise StepExit from error


class SyncWorkflowRun(WorkflowRun):
    """One run of a workflow that is a plain function: it runs in a thread and calls `step` without ``await``.

    :param state: the data of the execution; the server passes it, as the other arguments.
    :param runner: records the steps.
    :param types: converts values to and from their types.
    """

    @overload  # type: ignore[override]
    def step(self, name: str, func: Callable[..., Any], /, *args: Any, result_type: type[R], **kwargs: Any) -> R: ...
    @overload
    def step(self, name: str, func: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **kwargs: Any) -> R: ...
    @overload
    def step(self, name: str, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> R: ...
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, name: str, func: Callable[..., Any], /, *args: Any, result_type: Any = ABSENT, **kwargs: Any
    ) -> Any:
        """Run ``func(*args, **kwargs)`` once for this execution, and return its result, as `WorkflowRun.step`.

        After the execution was cancelled, or the server reset, it raises ``asyncio.CancelledError``.

        :param name: the name of the checkpoint; each step of a run has a different one.
        :param func: the function to run once; an async one runs on the server's event loop.
        :param args: its arguments.
        :param result_type: the type of its result; by default the annotated return type, if it can be read from JSON.
        :param kwargs: its keyword arguments.
        :raises ValueError: this run has used the name before.
        :raises TypeError: JSON cannot hold the result, the result does not have its type, or `result_type` cannot be
            read from JSON. Nothing is recorded.
        :raises RuntimeError: it is called on the event loop of the server.
        """
        return self._runner.from_thread(name, self._step(name, func, args, kwargs, result_type))


def is_async(func: Callable[..., Any]) -> bool:
    """Return whether a call gives a coroutine, also for callable objects and partials."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004

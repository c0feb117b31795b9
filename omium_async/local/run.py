"""What a workflow function is given: its input, and durable steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from .errors import StaleRunError
from .jsontext import decode, encode_result

__all__ = ["Workflow", "WorkflowRun", "is_async", "is_workflow"]

Recorder = Callable[[str, bytes], Awaitable[None]]
RunInThread = Callable[..., Awaitable[Any]]


class WorkflowRun:
    """One run of a workflow function.

    `input_data` (an empty dict where none was given), `metadata` and `agent_id` are those of the create call. The
    function may be run several times for one execution, after a crash or a replay: what must not be repeated belongs
    into a `step`, and everything outside of steps should come out the same each time.
    """

    def __init__(
        self,
        execution_id: str,
        workflow_id: str,
        input_data: Any,
        metadata: dict[str, Any],
        agent_id: str | None,
        *,
        recorded: dict[str, bytes],
        recorder: Recorder,
        threads: RunInThread,
        stopping: Callable[[], bool],
    ) -> None:
        self.execution_id = execution_id
        self.workflow_id = workflow_id
        self.input_data = input_data
        self.metadata = metadata
        self.agent_id = agent_id
        self._recorded = recorded
        self._recorder = recorder
        self._threads = threads
        self._stopping = stopping
        self._names: set[str] = set()

    def __repr__(self) -> str:
        return f"<WorkflowRun {self.execution_id} of {self.workflow_id!r}>"

    async def step(self, name: str, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Runs `func(*args, **kwargs)` once for this execution, and records its result as the checkpoint `name`.

        An async function runs on the event loop, any other in a thread. The result comes back as JSON gives it (a
        tuple as a list), the same whether the step ran now or was recorded by an earlier run. It is on disk before
        this returns. A step that raised, or was cut off, has no record: it runs again when the execution does.

        Raises ValueError when this run has used the name before, TypeError when JSON cannot hold the result (nothing
        is recorded then), and whatever `func` raises.
        """
        if self._stopping():  # the function has swallowed the cancellation that stopped it
            raise asyncio.CancelledError(f"{self.execution_id} was stopped")
        self._take(name)
        if name in self._recorded:
            await asyncio.sleep(0)  # a long list of recorded steps must not keep the server from answering
            return decode(self._recorded[name])
        result = encode_result(await self._call(func, args, kwargs), f"step {name!r} returned")
        try:
            await self._recorder(name, result)
        except StaleRunError:
            # The execution was rolled back meanwhile: this run has no future, and ends like one that is cancelled.
            raise asyncio.CancelledError(f"{self.execution_id} was stopped") from None
        await asyncio.sleep(0)
        return decode(result)

    def _take(self, name: str) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the name of a step is a text that is not empty, not {name!r}")
        name.encode()  # a lone surrogate could be neither stored nor sent
        if name in self._names:
            raise ValueError(f"this run has a step {name!r} already; each step of a run needs a name of its own")
        self._names.add(name)

    async def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_async(func):
            return await func(*args, **kwargs)
        result = await self._threads(func, *args, **kwargs)
        return await result if inspect.isawaitable(result) else result  # such as of `lambda: fetch(url)`


Workflow = Callable[[WorkflowRun], Awaitable[Any]]


def is_workflow(function: object) -> bool:
    """Whether it may be a workflow: an async function, also behind decorators that say what they wrap."""
    return callable(function) and (is_async(function) or is_async(inspect.unwrap(function)))


def is_async(func: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, also for a callable object and a partial."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004

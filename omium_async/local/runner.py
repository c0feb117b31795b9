"""One run in progress: the tasks of its function and its steps, what they record, and how they end together."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import logging
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from . import store
from .errors import StaleRunError
from .threads import StepExit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from .database import Database
    from .store import RunState
    from .threads import Threads

_log = logging.getLogger("omium_async.local.runs")

_WARN_AFTER: Final = 2.0  # seconds that a cancelled run may take without a WARNING
_GRACE: Final = 3.0  # more seconds; a run that does not end then is left alone, and can record nothing
_BLOCKED: Final = 1.0  # seconds in one turn of the event loop
_LONGEST_ERROR: Final = 10_000  # characters
_MOST_PARTS: Final = 1000  # of an exception group


@attrs.frozen
class Outcome:
    """How a workflow function ended: with the JSON text of its result, or with an error."""

    output: bytes | None = None
    error: str | None = None
    raised: BaseException | None = None


class Runner:
    """Runs the tasks of one execution, from begin to end.

    :ivar stopping: the server ends the run, which has no future.
    """

    def __init__(self, database: Database, now: Callable[[], str], step_threads: Threads) -> None:
        self.stopping = False
        self.task: asyncio.Task[None] | None = None  # supervises the others
        self._loop = asyncio.get_running_loop()
        self._database = database
        self._now = now
        self._step_threads = step_threads
        self._state: RunState | None = None
        self._function: asyncio.Task[Outcome] | None = None
        self._steps: dict[asyncio.Task[Any], int] = {}  # the tasks inside of a step, and how deep
        self._created: list[tuple[str, Coroutine[Any, Any, Any]]] = []  # all steps
        self._over = False

    async def perform(self, state: RunState, work: Callable[[], Awaitable[bytes]]) -> Outcome:
        """Run the workflow function, then end steps that outlive it, because a replay may run them again.

        :param work: calls the function and returns the JSON text of its result.
        """
        self._state = state
        watched = _Watched(self._outcome(work), state)
        self._function = self._loop.create_task(watched)
        self._function.add_done_callback(_retrieve)
        await asyncio.wait({self._function})
        self._over = True
        await self._end(set(self._steps))
        if self._function.cancelled() and not self.stopping:
            return Outcome(error="CancelledError")  # the function cancelled its own task
        if self._function.cancelled() or self._function.exception() is not None:
            raise asyncio.CancelledError("interrupted from outside")  # the exception has reached the event loop
        return self._function.result()

    async def stop(self) -> None:
        """End the run with all its steps, and wait a few seconds for it."""
        self.stopping = self._over = True
        running = {task for task in (self._function, *self._steps) if task is not None}
        await self._end(running)
        if self.task is not None:
            await self._end({self.task})

    # -- for steps -----------------------------------------------------------------------------------------------------

    def created(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Record a step, so that it is reported if the function never awaits it."""
        self._created.append((name, coroutine))

    def check_loop(self, name: str) -> None:
        """:raises RuntimeError: the step is awaited on another event loop than the run's."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                f"step {name!r} is awaited on another event loop than its run: await it in the workflow function"
            )

    @contextlib.contextmanager
    def inside(self) -> Generator[None]:
        """Mark the current task as inside of a step."""
        if self._over:  # the function ignored its cancellation, or did not wait for a task
            raise asyncio.CancelledError("the run was stopped")
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._steps[task] = self._steps.get(task, 0) + 1
        try:
            yield
        finally:
            self._steps[task] -= 1
            if not self._steps[task]:
                del self._steps[task]

    def watched(self, work: Awaitable[Any]) -> Awaitable[Any]:
        """Return the work of a step, which reports if it blocks the event loop.

        In the task of the workflow function it is returned unchanged, because that task is watched already.
        """
        if asyncio.current_task() is self._function or not inspect.iscoroutine(work):
            return work
        return _Watched(work, cast("RunState", self._state))

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function of a step in a thread."""
        return await self._step_threads.run(function, *args, **kwargs)

    def from_thread(self, name: str, step: Coroutine[Any, Any, Any]) -> Any:
        """Run a step on the event loop, and wait for it in the thread of a plain workflow."""
        if _running_loop() is self._loop:
            step.close()
            raise RuntimeError(
                f"step {name!r} was called on the event loop: wrap an async workflow with functools.wraps"
            )
        try:
            future = asyncio.run_coroutine_threadsafe(step, self._loop)
        except RuntimeError:  # the event loop was closed
            step.close()
            raise
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError("the run was stopped") from None

    async def record(self, name: str, result: bytes) -> None:
        """Write a checkpoint, and return when it is on disk."""
        state = cast("RunState", self._state)  # set before the first step
        now = self._now()
        try:
            await self._database.insist(lambda c: store.record(c, state, name, result, now))
        except StaleRunError:
            # The execution was rolled back or cancelled meanwhile: this run ends like a cancelled one.
            raise asyncio.CancelledError(f"{state.execution_id} was stopped") from None

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _outcome(self, work: Callable[[], Awaitable[bytes]]) -> Outcome:
        try:
            output = await work()
        except asyncio.CancelledError as raised:
            if self.stopping:
                raise
            return Outcome(error=self._not_awaited() or _describe(raised), raised=raised)  # its own cancellation
        except BaseException as raised:  # errors of user code end this run only
            if _comes_from_outside(raised, self._function):
                raise
            forgotten = self._not_awaited()
            error = _describe(raised)
            return Outcome(error=f"{forgotten} ({error})" if forgotten else error, raised=raised)
        forgotten = self._not_awaited()
        return Outcome(error=forgotten) if forgotten else Outcome(output=output)

    def _not_awaited(self) -> str | None:
        """Describe the steps that the function created but neither awaited nor gave to a task."""
        fresh = [(name, step) for name, step in self._created if _is_fresh(step)]
        self._created.clear()
        if fresh:
            in_tasks = {task.get_coro() for task in asyncio.all_tasks()}
            fresh = [(name, step) for name, step in fresh if step not in in_tasks]
        for _, step in fresh:
            step.close()  # otherwise Python warns
        if not fresh:
            return None
        names = ", ".join(repr(name) for name, _ in fresh)
        return f"RuntimeError: step {names} was not awaited: write `await run.step(...)`"

    async def _end(self, tasks: set[asyncio.Task[Any]]) -> None:
        for seconds in (_WARN_AFTER, _GRACE):
            left = {task for task in tasks if not task.done() and task is not asyncio.current_task()}
            if not left:
                return
            if seconds == _GRACE and self._state is not None:
                _log.warning(
                    "%s of workflow %r ignores its cancellation: the server waits %.0f s more, then leaves it alone",
                    self._state.execution_id, self._state.workflow_id, _GRACE, extra=_fields(self._state),
                )  # fmt: skip
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=seconds)


class _Watched(Coroutine[Any, Any, Any]):
    """Drives a coroutine of a workflow, and reports a turn of the event loop that it blocks."""

    def __init__(self, inner: Coroutine[Any, Any, Any], state: RunState) -> None:
        self._inner = inner
        self._state = state

    def send(self, value: Any, /) -> Any:
        return self._timed(self._inner.send, value)

    def throw(self, *raised: Any) -> Any:
        return self._timed(self._inner.throw, *raised)

    def _timed(self, advance: Callable[..., Any], *args: Any) -> Any:
        started = time.monotonic()
        try:
            return advance(*args)
        finally:
            seconds = time.monotonic() - started
            if seconds > _BLOCKED:
                _log.warning(
                    "workflow %r blocked the event loop of its server for %.1f s: move blocking code into a step with "
                    "a plain function, or define the workflow with `def`",
                    self._state.workflow_id, seconds, extra=_fields(self._state),
                )  # fmt: skip

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)


def _fields(state: RunState) -> dict[str, str]:
    return {"omium_execution_id": state.execution_id, "omium_workflow_id": state.workflow_id}


def _is_fresh(coroutine: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(cast("Any", coroutine)) == inspect.CORO_CREATED


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _retrieve(task: asyncio.Task[Outcome]) -> None:
    """Mark an exception as retrieved: it has reached the event loop."""
    if not task.cancelled():
        task.exception()


def _comes_from_outside(raised: BaseException, task: asyncio.Task[object] | None) -> bool:
    """Return whether an exception concerns more than the run, so that the execution continues at the next start.

    Ctrl-C stops the program. A coroutine that is destroyed with its event loop can no longer await.
    """
    if isinstance(raised, GeneratorExit) and task is not None:
        return asyncio.current_task(task.get_loop()) is not task
    return isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _describe(error: BaseException) -> str:
    """Return the error of a failed execution: type and message, of a group those of each part."""
    texts: list[str] = []
    left = [error]
    while left and len(texts) < _MOST_PARTS:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            parts: tuple[BaseException, ...] = one.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            left.extend(reversed(parts))
        else:
            texts.append(_text_of(one))
    return "; ".join(texts)[:_LONGEST_ERROR]


def _text_of(error: BaseException) -> str:
    if isinstance(error, StepExit) and error.__cause__ is not None:
        error = error.__cause__
    try:
        message = str(error)
    except BaseException as raised:  # an error whose text fails has none
        if _comes_from_outside(raised, None):
            raise
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text[:_LONGEST_ERROR].encode(errors="backslashreplace").decode()

"""One run under way: its function and its steps as tasks, recorded as long as they may be, and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from . import store
from .containment import StepExit, comes_from_outside, describe, inside_a_run
from .errors import LocalOmiumError, StaleRunError
from .ids import Ids
from .shielded import to_the_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from .persistence import Persistence
    from .store import RunState
    from .threads import Threads

__all__ = ["Outcome", "Runner"]

_GRACE: Final = 5.0  # seconds for what is cancelled to end; what refuses is left, and can write nothing more
_LAST_PART: Final = 0.2  # of the grace, at which what swallowed its cancellation is cancelled again


@attrs.frozen
class Outcome:
    """How a workflow function ended: with the JSON text of what it returned, or with an error."""

    output: bytes | None = None
    error: str | None = None
    raised: BaseException | None = None


class Runner:
    """What runs for one execution, from the first turn to the last.

    :ivar stopping: somebody is ending it on purpose: it has no future.
    """

    def __init__(self, persistence: Persistence, threads: Threads) -> None:
        self.stopping = False
        self.task: asyncio.Task[None] | None = None  # which watches over the others
        self._persistence = persistence
        self._threads = threads
        self._state: RunState | None = None
        self._function: asyncio.Task[Outcome] | None = None
        self._steps: dict[asyncio.Task[Any], int] = {}  # the tasks that are inside of a step, and how deep
        self._over = False

    async def perform(self, state: RunState, work: Callable[[], Awaitable[bytes]]) -> Outcome:
        """Runs the workflow function to its end, and then ends the steps that have outlived it: they must not go on
        beside those of a replay.

        :param work: calls the function; gives the JSON text of its result.
        """
        self._state = state
        self._function = asyncio.get_running_loop().create_task(self._outcome(work))
        self._function.add_done_callback(_retrieve)
        await asyncio.wait({self._function})
        self._over = True
        await _end(set(self._steps))
        if self._function.cancelled() and not self.stopping:
            return Outcome(error="CancelledError")  # it cancelled itself with its last words
        if self._function.cancelled() or self._function.exception() is not None:
            raise asyncio.CancelledError("cut off from outside")  # the exception has gone where it belongs
        return self._function.result()

    async def stop(self) -> None:
        """Ends the run, with all its steps, and waits for it, a few seconds at the most."""
        self.stopping = self._over = True
        running = {task for task in (self._function, *self._steps) if task is not None}
        await _end(running)
        if self.task is not None:
            await _end({self.task})

    # What its steps need

    @contextlib.contextmanager
    def inside(self) -> Generator[None]:
        """A step is under way in this task."""
        if self._over:  # the function has swallowed the cancellation that stopped it, or left a task behind
            raise asyncio.CancelledError("the run was stopped")
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._steps[task] = self._steps.get(task, 0) + 1
        try:
            yield
        finally:
            self._steps[task] -= 1
            if not self._steps[task]:
                del self._steps[task]

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the function gives in a thread. A Ctrl-C never arrives there: who raises its exception means the run."""

        def call() -> Any:
            try:
                return function(*args, **kwargs)
            except KeyboardInterrupt as error:
                raise StepExit from error

        return await self._threads.run(call)

    async def record(self, name: str, result: bytes) -> None:
        """Writes a checkpoint, and returns when it is on disk. Cut off on the way, there is none: the run and the
        record agree."""
        state = cast("RunState", self._state)  # no step is begun before
        checkpoint_id = Ids.checkpoint()
        now = self._persistence.now()
        try:
            await self._persistence.insist(
                lambda c: store.record(c, state, checkpoint_id=checkpoint_id, name=name, result=result, now=now)
            )
        except StaleRunError:
            # The execution was rolled back meanwhile: this run has no future, and ends like one that is cancelled.
            raise asyncio.CancelledError(f"{state.execution_id} was stopped") from None
        except asyncio.CancelledError:
            if not self._over:  # else nobody is misled: the work was done, and a replay need not repeat it
                await to_the_end(self._forget(state, checkpoint_id))
            raise

    async def _forget(self, state: RunState, checkpoint_id: str) -> None:
        with contextlib.suppress(LocalOmiumError, sqlite3.Error):  # stopped meanwhile: the run is over as well
            await self._persistence.insist(lambda c: store.forget(c, state, checkpoint_id), unless=lambda: self._over)

    async def _outcome(self, work: Callable[[], Awaitable[bytes]]) -> Outcome:
        inside_a_run.set(True)  # in the context of this task alone
        try:
            return Outcome(output=await work())
        except asyncio.CancelledError as raised:
            if self.stopping:
                raise
            return Outcome(error=describe(raised), raised=raised)  # it let a cancellation of its own escape
        except BaseException as raised:  # whatever user code raises is the end of this run only
            if comes_from_outside(raised, self._function):
                raise
            return Outcome(error=describe(raised), raised=raised)


def _retrieve(task: asyncio.Task[Outcome]) -> None:
    """Keeps asyncio from reporting what a function let pass: it has gone to the one who runs the loop."""
    if not task.cancelled():
        task.exception()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for part in (1 - _LAST_PART, _LAST_PART):
        left = {task for task in tasks if not task.done() and task is not asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_GRACE * part)

"""Executions as they live: created, run as tasks, stopped, and started again from what they had recorded."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from . import store, wire
from .errors import StaleRunError
from .jsontext import decode, encode_result
from .run import Workflow, WorkflowRun
from .threads import Threads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from .database import Database
    from .store import Answer, IdempotencyKey, RunState, Submission, Tenant

__all__ = ["Engine"]

_log = logging.getLogger("omium_async")

_STEP_THREADS: Final = 32
_GRACE: Final = 5.0  # seconds for a cancelled workflow to end; one that refuses is left, and can write nothing more
_LAST_PART: Final = 0.2  # of the grace, at which one that swallowed its cancellation is cancelled again
_STARTS_AT_ONCE: Final = 200
_ERROR_LENGTH: Final = 10_000  # characters


class _Task:
    """A run under way. `stopping`: somebody has cancelled it on purpose."""

    __slots__ = ("stopping", "task")

    def __init__(self) -> None:
        self.stopping = False
        self.task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Cancels the run and waits until it has ended, for a few seconds at the most."""
        self.stopping = True
        task = self.task
        for part in (1 - _LAST_PART, _LAST_PART):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_GRACE * part)


class Engine:
    """Runs the executions of one started server. `workflows` may grow while it does."""

    def __init__(self, database: Database, workflows: dict[str, Workflow], now: Callable[[], str]) -> None:
        self._database = database
        self._workflows = workflows
        self._now = now
        self._threads = Threads(_STEP_THREADS, "omium-local-step")
        self._runs: dict[str, _Task] = {}
        self._moves: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._helpers: set[asyncio.Task[None]] = set()
        self._stopped = False

    # What is asked of it

    async def create(self, tenant: Tenant, new: Submission, key: IdempotencyKey | None) -> Answer:
        """Adds an execution and starts it, if its workflow is registered; else it stays pending."""
        execution_id = _new_id("exec_")
        status = "running" if new.workflow_id in self._workflows else "pending"
        now = self._now()
        position = 0

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal position
            position, created_at = store.create(connection, tenant, execution_id, new, status=status, now=now)
            return wire.created(execution_id, new.workflow_id, status, created_at)

        answer = await self._database.write(lambda c: store.once(c, tenant, key, 201, lambda: write(c)))
        if answer.fresh:
            if status == "running":
                run = store.RunState(position, 0, execution_id, new.workflow_id, new.agent_id, new.metadata,
                                     new.input_data, {})  # fmt: skip
                self._launch(execution_id, run)
            elif new.workflow_id in self._workflows:  # registered while this was written
                self._launch(execution_id)
        return answer

    async def replay(self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None) -> Answer:
        """Starts a failed or paused execution again behind a checkpoint; pending, if its workflow is not registered."""
        now = self._now()
        runs = False

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal runs
            status = store.replay(connection, tenant, execution_id, checkpoint_id, registered=self._workflows, now=now)
            runs = status == "running"
            return wire.moved(execution_id, status, f"Execution replayed from {checkpoint_id}")

        async with self._moving(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)  # one that has just failed, and is about to end
                if runs:
                    self._launch(execution_id)
        return answer

    async def rollback(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> Answer:
        """Stops an execution and takes it back to a checkpoint. The write comes first: from then on the run that is
        being stopped can record nothing."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            store.rollback(connection, tenant, execution_id, checkpoint_id, now)
            return wire.moved(execution_id, "paused", f"Execution rolled back to {checkpoint_id}")

        async with self._moving(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)
        return answer

    # Starting and stopping

    async def start(self) -> None:
        """Goes on with what an earlier server left unfinished."""
        for workflow_id in list(self._workflows):
            await self._resume(workflow_id)

    def adopt(self, workflow_id: str) -> None:
        """Starts the executions that waited for a workflow which has just been registered."""
        if not self._stopped:
            helper = asyncio.get_running_loop().create_task(self._resume(workflow_id))
            self._helpers.add(helper)
            helper.add_done_callback(self._helpers.discard)

    async def stop(self) -> None:
        """Cuts off all runs; they go on at the next start on the same database."""
        self._stopped = True
        for helper in list(self._helpers):
            helper.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
        await self._threads.close(wait_for_busy=False)

    # Behind them

    def _moving(self, execution_id: str) -> asyncio.Lock:
        """The lock of one execution: a replay and a rollback of it are done one after the other, with all that follows
        from them, and the same request sent twice waits for its first."""
        lock = self._moves.get(execution_id)
        if lock is None:
            lock = self._moves[execution_id] = asyncio.Lock()
        return lock

    async def _resume(self, workflow_id: str) -> None:
        after = 0
        while found := await self._database.read(
            functools.partial(store.unfinished, workflow_id=workflow_id, after=after, limit=_STARTS_AT_ONCE)
        ):
            after = found[-1][0]
            for _, execution_id in found:
                self._launch(execution_id)
            await asyncio.sleep(0)

    def _launch(self, execution_id: str, run: RunState | None = None) -> None:
        """Starts the task of an execution unless it has one; without `run`, the task asks the store what to do."""
        if execution_id in self._runs or self._stopped:
            return
        entry = self._runs[execution_id] = _Task()
        entry.task = asyncio.get_running_loop().create_task(self._live(execution_id, run, entry))
        entry.task.add_done_callback(_retrieve)

    async def _live(self, execution_id: str, run: RunState | None, entry: _Task) -> None:
        try:
            if run is None:
                now = self._now()
                run = await self._database.write(lambda c: store.begin(c, execution_id, now))
            if run is not None:
                await self._perform(run, entry)
        except StaleRunError:
            _log.debug("%s was stopped", execution_id)
        except asyncio.CancelledError:
            if not entry.stopping:
                raise
        except Exception:  # noqa: BLE001 - logged, for nobody awaits this task
            # Nothing is lost: what could not be written is done again from the last checkpoint at the next start.
            _log.exception("%s could not be carried on", execution_id)
        finally:
            if self._runs.get(execution_id) is entry:
                del self._runs[execution_id]

    async def _perform(self, run: RunState, entry: _Task) -> None:
        """Calls the workflow function, and records how it ended."""
        output: bytes | None = None
        error: str | None = None
        try:
            result = await self._workflows[run.workflow_id](self._run_of(run, entry))
            output = encode_result(result, f"workflow {run.workflow_id!r} returned")
        except asyncio.CancelledError as raised:
            if entry.stopping:
                raise
            error = describe(raised)  # the function let a cancellation of its own escape
        except BaseException as raised:  # whatever user code raises is the end of this run only
            if _comes_from_outside(raised, entry):
                raise
            error = describe(raised)
            _log.info("%s of workflow %r failed", run.execution_id, run.workflow_id, exc_info=True)
        now = self._now()
        await self._database.write(lambda c: store.finish(c, run, output=output, error=error, now=now))

    def _run_of(self, run: RunState, entry: _Task) -> WorkflowRun:
        return WorkflowRun(
            run.execution_id,
            run.workflow_id,
            decode(run.input_data),
            decode(run.metadata),
            run.agent_id,
            recorded=run.recorded,
            recorder=functools.partial(self._record, run),
            threads=self._threads.run,
            stopping=lambda: entry.stopping,
        )

    async def _record(self, run: RunState, name: str, result: bytes) -> None:
        now = self._now()
        await self._database.write(
            lambda c: store.record(c, run, checkpoint_id=_new_id("chk_"), name=name, result=result, now=now)
        )

    async def _stop_run(self, execution_id: str) -> None:
        entry = self._runs.get(execution_id)
        if entry is not None:
            await entry.stop()
            if self._runs.get(execution_id) is entry:  # it refused to end; its place is free all the same
                del self._runs[execution_id]


def _comes_from_outside(raised: BaseException, entry: _Task) -> bool:
    """Whether the exception is meant for more than the run: it passes then, and the execution goes on at the next
    start. A Ctrl-C is to stop the program; a coroutine that is thrown away with its loop cannot await any more."""
    if isinstance(raised, GeneratorExit) and entry.task is not None:
        return asyncio.current_task(entry.task.get_loop()) is not entry.task
    return isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _retrieve(task: asyncio.Task[None]) -> None:
    """Keeps asyncio from reporting what `_live` let pass: it has gone to the one who runs the loop."""
    if not task.cancelled():
        task.exception()


def describe(error: BaseException) -> str:
    """What is kept as the error of a failed execution: the type and the message, of a group each of its parts."""
    if isinstance(error, BaseExceptionGroup):
        parts: tuple[BaseException, ...] = error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return "; ".join(describe(part) for part in parts)[:_ERROR_LENGTH]
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an error whose text cannot be made has none
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text[:_ERROR_LENGTH].encode(errors="backslashreplace").decode()


def _new_id(prefix: str) -> str:
    """An id that nobody guesses, and that grows with time: new ones are neighbours in the index."""
    return f"{prefix}{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"

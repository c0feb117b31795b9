"""Executions: created, run as tasks, stopped, and continued from their checkpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import weakref
from typing import TYPE_CHECKING, Final

import attrs

from . import store, wire
from .database import Persistence
from .errors import LocalOmiumError, StaleRunError
from .runner import Runner
from .threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Ids
    from .database import Database
    from .registry import Registry
    from .store import IdempotencyKey, RunState, Submission, Tenant, WriteAnswer

__all__ = ["Engine"]

_log = logging.getLogger("omium_async.local.runs")

_STEP_THREADS: Final = 32
_WORKFLOW_THREADS: Final = 100
_RESUMED_AT_ONCE: Final = 1000
_READ_AT_ONCE: Final = 200
_LONG: Final = 10.0  # seconds; then a resumed run no longer counts, because others may be what it waits for


class Engine:
    """Runs the executions of one server. `workflows` may grow meanwhile."""

    def __init__(self, database: Database, workflows: Registry, ids: Ids, now: Callable[[], str]) -> None:
        self._database = database
        self._workflows = workflows
        self._ids = ids
        self._now = now
        self._persistence = Persistence(database, now)
        self._step_threads = Threads(_STEP_THREADS, "omium-local-step")
        self._workflow_threads = Threads(_WORKFLOW_THREADS, "omium-local-workflow")
        self._resuming = _Resuming(database, self._launch)
        self._runs: dict[str, Runner] = {}
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._stopped = False

    # -- requests ------------------------------------------------------------------------------------------------------

    async def create(self, tenant: Tenant, new: Submission, key: IdempotencyKey | None) -> WriteAnswer:
        """Add an execution, and start it if its workflow is registered; otherwise it stays pending."""
        status = "running" if new.workflow_id in self._workflows else "pending"
        now = self._now()
        state = store.RunState(0, 0, "", new.workflow_id, new.agent_id, new.metadata, new.input_data, {})

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal state
            execution_id = self._ids.execution()  # in the writer, so that ids have the order of writes
            position, created_at = store.create(connection, tenant, execution_id, new, status=status, now=now)
            state = attrs.evolve(state, position=position, execution_id=execution_id)
            return wire.created(execution_id, new.workflow_id, status, created_at)

        answer = await self._database.write(lambda c: store.once(c, tenant, key, 201, lambda: write(c)))
        if answer.fresh:
            if status == "running":
                self._launch(state.execution_id, state)
            elif new.workflow_id in self._workflows:  # registered while this was written
                self._launch(state.execution_id)
            else:
                self._workflows.warn_of(new.workflow_id, state.execution_id)
        return answer

    async def replay(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Continue a failed or paused execution after a checkpoint; it is pending if its workflow is not registered."""
        now = self._now()
        workflow_id = ""

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal workflow_id
            status, workflow_id = store.replay(
                connection, tenant, execution_id, checkpoint_id, registered=self._workflows, now=now
            )
            return wire.moved(execution_id, status, f"Execution replayed from {checkpoint_id}")

        async with self._lock_of(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)  # a run that has just failed, and is about to end
                if workflow_id in self._workflows:  # also if it was registered only while this was written
                    self._launch(execution_id)
        return answer

    async def rollback(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Stop an execution and roll it back to a checkpoint. After the write, the run can record nothing more."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            store.rollback(connection, tenant, execution_id, checkpoint_id, now)
            return wire.moved(execution_id, "paused", f"Execution rolled back to {checkpoint_id}")

        async with self._lock_of(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)
        return answer

    async def cancel(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Cancel an execution that has not ended. After the write, the run can record nothing more."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            store.cancel(connection, tenant, execution_id, now)
            return wire.moved(execution_id, "cancelled", "Execution cancelled")

        async with self._lock_of(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)
        return answer

    async def delete(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Delete an execution that neither runs nor waits."""

        def write(connection: sqlite3.Connection) -> bytes:
            store.delete(connection, tenant, execution_id)
            return b""

        async with self._lock_of(execution_id):
            return await self._database.write(lambda c: store.once(c, tenant, key, 204, lambda: write(c)))

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Continue the executions that an earlier server left unfinished."""
        for workflow_id in self._workflows:
            self._resuming.begin(workflow_id)

    def adopt(self, workflow_id: str) -> None:
        """Start the executions that wait for a workflow that was just registered."""
        if not self._stopped:
            self._resuming.begin(workflow_id)

    async def stop(self) -> None:
        """Stop all runs; they continue at the next start on the same database."""
        self._stopped = True
        await self._end_runs()
        await self._step_threads.close(wait_for_busy=False)
        await self._workflow_threads.close(wait_for_busy=False)

    def abandon(self) -> None:
        """Release the threads after the event loop was closed."""
        self._step_threads.abandon()
        self._workflow_threads.abandon()

    async def reset(self) -> None:
        """Stop all runs and delete all executions. No request is handled meanwhile."""
        await self._end_runs()
        await self._persistence.insist(store.wipe)

    async def _end_runs(self) -> None:
        await self._resuming.stop()
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
        self._runs.clear()

    def _lock_of(self, execution_id: str) -> asyncio.Lock:
        """Return the lock of an execution, under which writes to it, with their consequences, follow one another."""
        lock = self._locks.get(execution_id)
        if lock is None:
            lock = self._locks[execution_id] = asyncio.Lock()
        return lock

    def _launch(self, execution_id: str, state: RunState | None = None) -> asyncio.Task[None] | None:
        """Start the task of an execution unless it has one; without `state`, the task reads it from the store."""
        if execution_id in self._runs or self._stopped:
            return None
        runner = self._runs[execution_id] = Runner(self._persistence, self._step_threads, self._workflow_threads)
        task = runner.task = asyncio.get_running_loop().create_task(self._live(execution_id, state, runner))
        task.add_done_callback(_retrieve)
        return task

    async def _live(self, execution_id: str, state: RunState | None, runner: Runner) -> None:
        try:
            if state is None:
                now = self._now()
                state = await self._persistence.insist(lambda c: store.begin(c, execution_id, now))
            if state is not None:
                await self._perform(state, runner)
        except (StaleRunError, LocalOmiumError):
            _log.debug("%s was stopped", execution_id)
        except Exception:  # noqa: BLE001 - logged here, because nothing awaits this task
            # Nothing is lost: the next start continues from the last checkpoint.
            _log.exception("%s could not be continued", execution_id)
        finally:
            if self._runs.get(execution_id) is runner:
                del self._runs[execution_id]

    async def _perform(self, state: RunState, runner: Runner) -> None:
        """Call the workflow function, and record how it ended."""
        workflow = self._workflows[state.workflow_id]
        outcome = await runner.perform(state, lambda: workflow.call(state, runner))
        if outcome.error is not None:
            self._log_failure(state, outcome.error, outcome.raised)
        now = self._now()
        await self._persistence.insist(
            lambda c: store.finish(c, state, output=outcome.output, error=outcome.error, now=now)
        )

    def _log_failure(self, state: RunState, error: str, raised: BaseException | None) -> None:
        fields = {"omium_execution_id": state.execution_id, "omium_workflow_id": state.workflow_id}
        with contextlib.suppress(Exception):  # such as a traceback that is too deep to print
            _log.info(
                "%s of workflow %r failed: %s", state.execution_id, state.workflow_id, error, exc_info=raised,
                extra=fields,
            )  # fmt: skip

    async def _stop_run(self, execution_id: str) -> None:
        runner = self._runs.get(execution_id)
        if runner is not None:
            await runner.stop()
            if self._runs.get(execution_id) is runner:  # it ignores its cancellation; another run may begin
                del self._runs[execution_id]


def _retrieve(task: asyncio.Task[None]) -> None:
    """Mark an exception as retrieved: it has reached the event loop."""
    if not task.cancelled():
        task.exception()


class _Resuming:
    """Continues executions that wait for a workflow, a limited number at a time.

    :param launch: starts the task of an execution; returns None if it already has one.
    """

    def __init__(self, database: Database, launch: Callable[[str], asyncio.Task[None] | None]) -> None:
        self._database = database
        self._launch = launch
        self._slots = asyncio.Semaphore(_RESUMED_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, workflow_id: str) -> None:
        """Continue the executions of a workflow in the background."""
        task = asyncio.get_running_loop().create_task(self._resume(workflow_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Continue no more executions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _resume(self, workflow_id: str) -> None:
        after = 0
        while found := await self._database.read(
            lambda c: store.unfinished(c, workflow_id=workflow_id, after=after, limit=_READ_AT_ONCE)  # noqa: B023
        ):
            after = found[-1][0]
            for _, execution_id in found:
                await self._slots.acquire()
                task = self._launch(execution_id)
                if task is None:
                    self._slots.release()
                else:
                    self._release_after(task)

    def _release_after(self, task: asyncio.Task[None]) -> None:
        """Release the slot when the run ends, or after some seconds."""
        held = [self._slots]

        def release(_: object = None) -> None:
            if held:
                held.pop().release()

        timer = asyncio.get_running_loop().call_later(_LONG, release)
        task.add_done_callback(release)
        task.add_done_callback(lambda _: timer.cancel())

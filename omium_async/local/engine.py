"""Executions as they live: created, run as tasks, stopped, and started again from what they had recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import weakref
from typing import TYPE_CHECKING, Final

import attrs

from . import store, wire
from .errors import LocalOmiumError, StaleRunError
from .ids import Ids
from .persistence import Persistence
from .resuming import Resuming
from .run import WorkflowRun
from .runner import Runner
from .threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from .database import Database
    from .registry import Registry
    from .store import IdempotencyKey, RunState, Submission, Tenant, WriteAnswer
    from .typed import Types

__all__ = ["Engine"]

_log = logging.getLogger("omium_async.local.runs")

_STEP_THREADS: Final = 32


class Engine:
    """Runs the executions of one started server. `workflows` may grow while it does."""

    def __init__(self, database: Database, workflows: Registry, types: Types, ids: Ids, now: Callable[[], str]) -> None:
        self._database = database
        self._workflows = workflows
        self._types = types
        self._ids = ids
        self._now = now
        self._persistence = Persistence(database, now)
        self._threads = Threads(_STEP_THREADS, "omium-local-step")
        self._resuming = Resuming(database, self._launch)
        self._runs: dict[str, Runner] = {}
        self._moves: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._stopped = False

    # What is asked of it

    async def create(self, tenant: Tenant, new: Submission, key: IdempotencyKey | None) -> WriteAnswer:
        """Adds an execution and starts it, if its workflow is registered; else it stays pending."""
        status = "running" if new.workflow_id in self._workflows else "pending"
        now = self._now()
        state = store.RunState(0, 0, "", new.workflow_id, new.agent_id, new.metadata, new.input_data, {})

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal state
            execution_id = self._ids.execution()  # here, where what is written has its order
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
        """Starts a failed or paused execution again behind a checkpoint; pending, if its workflow is not registered."""
        now = self._now()
        workflow_id = ""

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal workflow_id
            status, workflow_id = store.replay(
                connection, tenant, execution_id, checkpoint_id, registered=self._workflows, now=now
            )
            return wire.moved(execution_id, status, f"Execution replayed from {checkpoint_id}")

        async with self._moving(execution_id):
            answer = await self._database.write(lambda c: store.once(c, tenant, key, 200, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)  # one that has just failed, and is about to end
                if workflow_id in self._workflows:  # also if it was registered only while this was written
                    self._launch(execution_id)
        return answer

    async def rollback(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
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

    def start(self) -> None:
        """Goes on with what an earlier server left unfinished."""
        for workflow_id in self._workflows:
            self._resuming.begin(workflow_id)

    def adopt(self, workflow_id: str) -> None:
        """Starts the executions that waited for a workflow which has just been registered."""
        if not self._stopped:
            self._resuming.begin(workflow_id)

    async def stop(self) -> None:
        """Cuts off all runs; they go on at the next start on the same database."""
        self._stopped = True
        await self._end_runs()
        await self._threads.close(wait_for_busy=False)

    def abandon(self) -> None:
        """Lets go of its threads when the loop has been closed."""
        self._threads.abandon()

    async def reset(self) -> None:
        """Ends all runs and forgets all executions. Nothing is asked meanwhile."""
        await self._end_runs()
        await self._persistence.insist(store.wipe)

    # Behind them

    async def _end_runs(self) -> None:
        await self._resuming.stop()
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
        self._runs.clear()

    def _moving(self, execution_id: str) -> asyncio.Lock:
        """The lock of one execution: a replay and a rollback of it are done one after the other, with all that follows
        from them, and the same request sent twice waits for its first."""
        lock = self._moves.get(execution_id)
        if lock is None:
            lock = self._moves[execution_id] = asyncio.Lock()
        return lock

    def _launch(self, execution_id: str, state: RunState | None = None) -> asyncio.Task[None] | None:
        """Starts the task of an execution unless it has one; without `state`, the task asks the store what to do."""
        if execution_id in self._runs or self._stopped:
            return None
        runner = self._runs[execution_id] = Runner(self._persistence, self._threads)
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
        except Exception:  # noqa: BLE001 - logged, for nobody awaits this task
            # Nothing is lost: what could not be written is done again from the last checkpoint at the next start.
            _log.exception("%s could not be carried on", execution_id)
        finally:
            if self._runs.get(execution_id) is runner:
                del self._runs[execution_id]

    async def _perform(self, state: RunState, runner: Runner) -> None:
        """Calls the workflow function, and records how it ended."""
        workflow = self._workflows[state.workflow_id]
        outcome = await runner.perform(state, lambda: workflow.call(WorkflowRun(state, runner, self._types)))
        if outcome.error is not None:
            self._tell_failure(state, outcome.error, outcome.raised)
        now = self._now()
        await self._persistence.insist(
            lambda c: store.finish(c, state, output=outcome.output, error=outcome.error, now=now)
        )

    def _tell_failure(self, state: RunState, error: str, raised: BaseException | None) -> None:
        fields = {"omium_execution_id": state.execution_id, "omium_workflow_id": state.workflow_id}
        with contextlib.suppress(Exception):  # a traceback that cannot be printed, being too deep, say
            _log.info(
                "%s of workflow %r failed: %s", state.execution_id, state.workflow_id, error, exc_info=raised,
                extra=fields,
            )  # fmt: skip

    async def _stop_run(self, execution_id: str) -> None:
        runner = self._runs.get(execution_id)
        if runner is not None:
            await runner.stop()
            if self._runs.get(execution_id) is runner:  # it refused to end; its place is free all the same
                del self._runs[execution_id]


def _retrieve(task: asyncio.Task[None]) -> None:
    """Keeps asyncio from reporting what `_live` let pass: it has gone to the one who runs the loop."""
    if not task.cancelled():
        task.exception()

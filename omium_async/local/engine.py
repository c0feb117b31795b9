"""Executions: created, run as tasks, stopped, and continued from their checkpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import weakref
from typing import TYPE_CHECKING, Final

from . import store, wire
from .errors import LocalOmiumError, StaleRunError
from .runner import Runner
from .threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from .database import Database
    from .registry import Registry
    from .store import IdempotencyKey, RunState, Submission, Tenant, WriteAnswer

__all__ = ["Engine"]

_log = logging.getLogger("omium_async.local.runs")

_STEP_THREADS: Final = 32
_WORKFLOW_THREADS: Final = 100
_READ_AT_ONCE: Final = 200  # executions to continue


class Engine:
    """Runs the executions of one server. `workflows` may grow meanwhile."""

    def __init__(self, database: Database, workflows: Registry, now: Callable[[], str]) -> None:
        self._database = database
        self._workflows = workflows
        self._now = now
        self._step_threads = Threads(_STEP_THREADS, "omium-local-step")
        self._workflow_threads = Threads(_WORKFLOW_THREADS, "omium-local-workflow")
        self._runs: dict[str, Runner] = {}
        self._resuming: set[asyncio.Task[None]] = set()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._stopped = False

    # -- requests ------------------------------------------------------------------------------------------------------

    async def create(
        self, tenant: Tenant, new: Submission, key: IdempotencyKey | None, refusal: Exception | None
    ) -> WriteAnswer:
        """Add an execution, and start it if its workflow is registered; otherwise it stays pending.

        :param refusal: raised instead, unless the key was used before.
        """
        now = self._now()
        status = "running" if new.workflow_id in self._workflows else "pending"
        execution_id = ""

        def write(connection: sqlite3.Connection) -> bytes:
            nonlocal execution_id
            if refusal is not None:
                raise refusal
            execution_id, created_at = store.create(connection, tenant, new, status=status, now=now)
            return wire.created(execution_id, new.workflow_id, status, created_at)

        answer = await self._database.do(lambda c: store.once(c, tenant, key, 201, lambda: write(c)))
        if answer.fresh and status == "running":
            self._launch(execution_id)
        elif answer.fresh:
            self._workflows.warn_of(new.workflow_id, execution_id)
        return answer

    async def replay(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Continue a failed or paused execution after a checkpoint; it is pending if its workflow is not registered."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            status = store.replay(connection, tenant, execution_id, checkpoint_id, registered=self._workflows, now=now)
            return wire.moved(execution_id, status, f"Execution replayed from {checkpoint_id}")

        return await self._change(tenant, execution_id, key, write, launch=True)

    async def rollback(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Stop an execution and roll it back to a checkpoint."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            store.rollback(connection, tenant, execution_id, checkpoint_id, now)
            return wire.moved(execution_id, "paused", f"Execution rolled back to {checkpoint_id}")

        return await self._change(tenant, execution_id, key, write)

    async def cancel(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Cancel an execution that has not ended."""
        now = self._now()

        def write(connection: sqlite3.Connection) -> bytes:
            store.cancel(connection, tenant, execution_id, now)
            return wire.moved(execution_id, "cancelled", "Execution cancelled")

        return await self._change(tenant, execution_id, key, write)

    async def delete(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Delete an execution that neither runs nor waits."""

        def write(connection: sqlite3.Connection) -> bytes:
            store.delete(connection, tenant, execution_id)
            return b""

        return await self._change(tenant, execution_id, key, write, status=204)

    async def _change(
        self,
        tenant: Tenant,
        execution_id: str,
        key: IdempotencyKey | None,
        write: Callable[[sqlite3.Connection], bytes],
        *,
        status: int = 200,
        launch: bool = False,
    ) -> WriteAnswer:
        """Write to an execution, then stop its run, which can record nothing more after the write.

        :param launch: start a new run if the execution is running now.
        """
        lock = self._locks.setdefault(execution_id, asyncio.Lock())  # writes with their consequences are in sequence
        async with lock:
            answer = await self._database.do(lambda c: store.once(c, tenant, key, status, lambda: write(c)))
            if answer.fresh:
                await self._stop_run(execution_id)
                if launch:
                    self._launch(execution_id)
        return answer

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Continue the executions that an earlier server left unfinished."""
        for workflow_id in self._workflows:
            self.resume(workflow_id)

    def resume(self, workflow_id: str) -> None:
        """Start or continue the unfinished executions of a workflow, such as one that was just registered."""
        if not self._stopped:
            task = asyncio.get_running_loop().create_task(self._resume(workflow_id))
            self._resuming.add(task)
            task.add_done_callback(self._resuming.discard)

    async def stop(self) -> None:
        """Stop all runs; they continue at the next start on the same database."""
        self._stopped = True
        await self._end_runs()

    async def reset(self) -> None:
        """Stop all runs and delete all executions. No request is handled meanwhile."""
        await self._end_runs()
        await self._database.insist(store.wipe)

    async def _end_runs(self) -> None:
        resuming = list(self._resuming)
        for task in resuming:
            task.cancel()
        await asyncio.gather(*resuming, return_exceptions=True)
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
        self._runs.clear()

    async def _resume(self, workflow_id: str) -> None:
        after = 0
        while found := await self._database.insist(
            lambda c: store.unfinished(c, workflow_id=workflow_id, after=after, limit=_READ_AT_ONCE)  # noqa: B023
        ):
            after = found[-1][0]
            for _, execution_id in found:
                self._launch(execution_id)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def _launch(self, execution_id: str) -> None:
        """Start the task of an execution unless it has one."""
        if execution_id in self._runs or self._stopped:
            return
        runner = self._runs[execution_id] = Runner(self._database, self._now, self._step_threads)
        task = runner.task = asyncio.get_running_loop().create_task(self._live(execution_id, runner))
        task.add_done_callback(_retrieve)

    async def _live(self, execution_id: str, runner: Runner) -> None:
        now = self._now()
        try:
            state = await self._database.insist(lambda c: store.begin(c, execution_id, self._workflows, now))
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
        outcome = await runner.perform(state, lambda: workflow.call(state, runner, self._workflow_threads))
        if outcome.error is not None:
            fields = {"omium_execution_id": state.execution_id, "omium_workflow_id": state.workflow_id}
            with contextlib.suppress(Exception):  # such as a traceback that is too deep to print
                _log.info(
                    "%s of workflow %r failed: %s", state.execution_id, state.workflow_id, outcome.error,
                    exc_info=outcome.raised, extra=fields,
                )  # fmt: skip
        now = self._now()
        await self._database.insist(
            lambda c: store.finish(c, state, output=outcome.output, error=outcome.error, now=now)
        )

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

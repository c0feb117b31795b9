"""Executions: created, run as tasks, stopped, and continued from their checkpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import store, writes
from .errors import LocalOmiumError, StaleRunError
from .runner import Runner
from .threads import Threads

if TYPE_CHECKING:
    from .database import Database
    from .quota import Quota
    from .store import RunState, Submission, Tenant
    from .writes import IdempotencyKey, Write, WriteAnswer

_log = logging.getLogger("omium_async.local.runs")

_STEP_THREADS: Final = 32
_WORKFLOW_THREADS: Final = 100
_READ_AT_ONCE: Final = 200  # executions to continue


class Engine:
    """Runs the executions of one server. The workflows of its quota may grow meanwhile."""

    def __init__(self, database: Database, quota: Quota, now: Callable[[], str]) -> None:
        self._database = database
        self._quota = quota
        self._workflows = quota.workflows
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
        """Add an execution. :param refusal: raised instead, unless the key was used before."""
        write = partial(writes.create, new=new, refusal=refusal, quota=self._quota, now=self._now())
        answer = await self._write(tenant, key, write)
        self._launch_all(answer.started)
        if answer.fresh and new.workflow_id not in self._workflows:
            self._workflows.warn_of(new.workflow_id, answer.execution_id)
        return answer

    async def replay(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Continue a failed or paused execution after a checkpoint."""
        change = partial(writes.replay, checkpoint_id=checkpoint_id, quota=self._quota, now=self._now())
        return await self._change(tenant, execution_id, key, change)

    async def rollback(
        self, tenant: Tenant, execution_id: str, checkpoint_id: str, key: IdempotencyKey | None
    ) -> WriteAnswer:
        """Stop an execution and roll it back to a checkpoint."""
        change = partial(writes.rollback, checkpoint_id=checkpoint_id, quota=self._quota, now=self._now())
        return await self._change(tenant, execution_id, key, change)

    async def cancel(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Cancel an execution that has not ended."""
        change = partial(writes.cancel, quota=self._quota, now=self._now())
        return await self._change(tenant, execution_id, key, change)

    async def delete(self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None) -> WriteAnswer:
        """Delete an execution that neither runs nor waits."""
        return await self._change(tenant, execution_id, key, writes.delete)

    async def _change(
        self, tenant: Tenant, execution_id: str, key: IdempotencyKey | None, change: Callable[..., WriteAnswer]
    ) -> WriteAnswer:
        """Write to an execution, then stop the run that it had, which can record nothing more after the write."""
        lock = self._locks.setdefault(execution_id, asyncio.Lock())  # writes with their consequences are in sequence
        async with lock:
            runner = self._runs.get(execution_id)  # a run that begins later reads what is written here
            answer = await self._write(tenant, key, partial(change, execution_id=execution_id))
            if answer.fresh and runner is not None:
                await self._stop_run(execution_id, runner)
            self._launch_all(answer.started)
        return answer

    async def _write(self, tenant: Tenant, key: IdempotencyKey | None, write: Write) -> WriteAnswer:
        return await self._database.do(partial(writes.once, tenant=tenant, key=key, write=write))

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Continue the executions that an earlier server left unfinished."""
        if self._quota.most is not None:
            self._launch_soon(self._launch_written(self._quota.restart))
            return
        for workflow_id in self._workflows:
            self.resume(workflow_id)

    def resume(self, workflow_id: str) -> None:
        """Start or continue the unfinished executions of a workflow, such as one that was just registered."""
        if self._quota.most is not None:
            self._launch_soon(self._launch_written(self._quota.start_everywhere))
        else:
            self._launch_soon(self._resume(workflow_id))

    async def stop(self) -> None:
        """Stop all runs; they continue at the next start on the same database."""
        self._stopped = True
        await self._end_runs()

    async def reset(self) -> None:
        """Stop all runs and delete all executions. No request is handled meanwhile."""
        stopped, self._stopped = self._stopped, True  # a run that ends now starts no other
        try:
            await self._end_runs()
            await self._database.insist(store.wipe)
        finally:
            self._stopped = stopped

    async def _end_runs(self) -> None:
        resuming = list(self._resuming)
        for task in resuming:
            task.cancel()
        await asyncio.gather(*resuming, return_exceptions=True)
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
        self._runs.clear()

    def _launch_soon(self, work: Coroutine[Any, Any, None]) -> None:
        if self._stopped:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._resuming.add(task)
        task.add_done_callback(self._resuming.discard)

    async def _launch_written(self, start: Callable[..., list[str]]) -> None:
        """Launch the executions that a function of the quota has set to running."""
        self._launch_all(await self._database.insist(partial(start, now=self._now())))

    async def _resume(self, workflow_id: str) -> None:
        after = 0
        while found := await self._database.insist(
            partial(store.unfinished, workflow_id=workflow_id, after=after, limit=_READ_AT_ONCE)
        ):
            after = found[-1][0]
            self._launch_all(execution_id for _, execution_id in found)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def _launch_all(self, execution_ids: Iterable[str]) -> None:
        """Start the tasks of executions that have none."""
        for execution_id in execution_ids:
            if execution_id not in self._runs and not self._stopped:
                self._launch(execution_id)

    def _launch(self, execution_id: str) -> None:
        runner = self._runs[execution_id] = Runner(self._database, self._now, self._step_threads)
        task = runner.task = asyncio.get_running_loop().create_task(self._live(execution_id, runner))
        task.add_done_callback(_retrieve)

    async def _live(self, execution_id: str, runner: Runner) -> None:
        now, pending = self._now(), self._quota.most is None
        begin = partial(store.begin, execution_id=execution_id, registered=self._workflows, now=now, pending=pending)
        try:
            state = await self._database.insist(begin)
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
        finish = partial(
            writes.finish, run=state, output=outcome.output, error=outcome.error, quota=self._quota, now=self._now()
        )
        self._launch_all(await self._database.insist(finish))

    async def _stop_run(self, execution_id: str, runner: Runner) -> None:
        await runner.stop()
        if self._runs.get(execution_id) is runner:  # it ignores its cancellation; another run may begin
            del self._runs[execution_id]


def _retrieve(task: asyncio.Task[None]) -> None:
    """Mark an exception as retrieved: it has reached the event loop."""
    if not task.cancelled():
        task.exception()

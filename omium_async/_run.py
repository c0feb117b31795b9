"""The handle of one execution of a workflow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, NoReturn, TypeVar

from ._arguments import Statuses
from ._errors import OmiumError, WriteOutcome
from ._executions import Executions
from ._models.types import SETTLED, CancelResult, ExecutionDetail, ReplayResult, RollbackResult
from ._waiting import one

__all__ = ["Run"]

Out = TypeVar("Out")


class Run(Generic[Out]):
    """The handle of one execution of a workflow, as `Workflow.start` and `Workflow.handle` give it.

    :ivar id: the id of the execution; after a `replay` that of the one to follow.
    :param executions: the calls of the client; the workflow brings this, and the others.
    :param workflow_id: the id of the workflow.
    :param execution_id: the id of the execution.
    :param result_of: reads the output of an execution that has settled.
    :param started: whether the workflow has just started it.
    """

    id: str

    def __init__(
        self,
        executions: Executions,
        workflow_id: str,
        execution_id: str,
        result_of: Callable[[ExecutionDetail], Out],
        *,
        started: bool,
    ) -> None:
        self.id = execution_id
        self._executions = executions
        self._workflow_id = workflow_id
        self._result_of = result_of
        self._started = started

    def __repr__(self) -> str:
        return f"<run {self.id} of {self._workflow_id!r}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} is not pickled, for its client is not; send run.id, and use workflow.handle(id) there"
        )

    async def result(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `Executions.wait`
        poll_interval: float | None = None,
    ) -> Out:
        """Wait until the execution has settled, and give its output.

        :param timeout: as in `Executions.wait`.
        :param poll_interval: as in `Executions.wait`.
        :raises ExecutionFailedError: it did not complete.
        :raises OutputError: its output is not of the workflow's output type.
        :raises WaitTimeoutError: it did not settle in time.
        """
        execution_id = self.id
        try:
            detail = await self.wait(timeout=timeout, poll_interval=poll_interval)
        except OmiumError as error:
            if self._started:
                error.execution_id, error.outcome = execution_id, WriteOutcome.APPLIED
            raise
        except BaseException as error:
            if self._started:
                error.add_note(one.created_note(execution_id))
            raise
        return self._result_of(detail)

    async def get(self) -> ExecutionDetail:
        """The execution as it is now, with its checkpoints."""
        return await self._executions.get(self.id)

    async def wait(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `Executions.wait`
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
    ) -> ExecutionDetail:
        """Wait until the execution's status is in ``until``.

        :param timeout: as in `Executions.wait`.
        :param poll_interval: as in `Executions.wait`.
        :param until: as in `Executions.wait`.
        :raises WaitTimeoutError: it was not so in time.
        """
        return await self._executions.wait(self.id, timeout=timeout, poll_interval=poll_interval, until=until)

    def watch(
        self, *, poll_interval: float | None = None, until: Statuses = SETTLED
    ) -> AsyncGenerator[ExecutionDetail]:
        """The execution as it is now, then again after each change, until its status is in ``until``.

        :param poll_interval: as in `Executions.wait`.
        :param until: as in `Executions.wait`.
        """
        return self._executions.watch(self.id, poll_interval=poll_interval, until=until)

    async def replay(
        self,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReplayResult:
        """Replay the execution from a checkpoint, or the latest; the handle then follows what the service says.

        :param checkpoint_id: as in `Executions.replay`.
        :param checkpoint_name: as in `Executions.replay`.
        :param idempotency_key: as in `Executions.replay`.
        """
        result = await self._executions.replay(
            self.id, checkpoint_id, checkpoint_name=checkpoint_name, idempotency_key=idempotency_key
        )
        self.id = result.execution_id
        return result

    async def rollback(
        self,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> RollbackResult:
        """Roll the execution back to a checkpoint; later states are discarded.

        :param checkpoint_id: as in `Executions.rollback`.
        :param checkpoint_name: as in `Executions.rollback`.
        :param idempotency_key: as in `Executions.rollback`.
        """
        return await self._executions.rollback(
            self.id, checkpoint_id, checkpoint_name=checkpoint_name, idempotency_key=idempotency_key
        )

    async def cancel(self, *, idempotency_key: str | None = None) -> CancelResult:
        """Cancel the execution if it has not ended, as `Executions.cancel` does; the handle keeps its id.

        :param idempotency_key: as in `Executions.create`.
        """
        return await self._executions.cancel(self.id, idempotency_key=idempotency_key)

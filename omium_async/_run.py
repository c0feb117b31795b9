"""The handle of one execution of a workflow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Generic, NoReturn, Unpack

from . import _endpoints as endpoints
from ._arguments import Statuses
from ._errors.attempts import WriteOutcome
from ._errors.base import OmiumError
from ._executions import Executions
from ._generics import Out
from ._models.types import CancelResult, ExecutionDetail, ReplayResult, RollbackResult
from ._options import PollOptions, WaitOptions
from ._statuses import SETTLED
from ._waiting import one


class Run(Generic[Out]):
    """The handle of one execution of a workflow; `Workflow.start` and `Workflow.handle` return it.

    :ivar id: the id of the execution; after a `replay` that of the execution to follow.
    :param executions: the calls of the client.
    :param workflow_id: the id of the workflow.
    :param execution_id: the id of the execution.
    :param result_of: reads the output of an execution that has settled.
    :param created: the execution as it was created by `Workflow.start`; ``None`` for a handle of an existing one.
    """

    id: str

    def __init__(
        self,
        executions: Executions,
        workflow_id: str,
        execution_id: str,
        result_of: Callable[[ExecutionDetail], Out],
        *,
        created: bytes | None = None,
    ) -> None:
        self.id = execution_id
        self._executions = executions
        self._workflow_id = workflow_id
        self._result_of = result_of
        self._created = created

    def __repr__(self) -> str:
        return f"<run {self.id} of {self._workflow_id!r}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled, because its client cannot; send run.id, and use workflow.handle(id) there"
        )

    async def result(self, **options: Unpack[PollOptions]) -> Out:
        """Wait until the execution has settled, and return its output.

        :param options: ``timeout`` and ``poll_interval``, as in `Executions.wait`.
        :raises ExecutionFailedError: it did not complete.
        :raises OutputError: its output does not have the workflow's output type.
        :raises WaitTimeoutError: it did not settle in time.
        """
        execution_id = self.id
        if self._created is not None:
            endpoints.check_created(self._executions._caller, execution_id, self._created)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        try:
            detail = await self.wait(**options)
        except OmiumError as error:
            if self._created is not None:
                error.execution_id, error.outcome = execution_id, WriteOutcome.APPLIED
            raise
        except BaseException as error:
            if self._created is not None:
                error.add_note(one.created_note(execution_id))
            raise
        return self._result_of(detail)

    async def get(self) -> ExecutionDetail:
        """Return the execution as it is now, with its checkpoints.

        :raises NotFoundError: there is no execution with this id.
        """
        return await self._executions.get(self.id)

    async def wait(self, **options: Unpack[WaitOptions]) -> ExecutionDetail:
        """Wait until the execution's status is in ``until``, by default until it has settled.

        :param options: ``timeout``, ``poll_interval`` and ``until``, as in `Executions.wait`.
        :raises WaitTimeoutError: its status was not in ``until`` in time.
        """
        return await self._executions.wait(self.id, **options)

    def watch(
        self, *, poll_interval: float | None = None, until: Statuses = SETTLED
    ) -> AsyncGenerator[ExecutionDetail]:
        """Yield the execution as it is now, then again after each change, until its status is in ``until``.

        :param poll_interval: seconds between polls; ``None``: the client's.
        :param until: a status, or several; an unknown one is rejected unless it is an `ExecutionStatus`.
        """
        return self._executions.watch(self.id, poll_interval=poll_interval, until=until)

    async def replay(
        self,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> ReplayResult:
        """Replay the execution from a checkpoint; the handle then has the id that the service names.

        :param checkpoint_id: the checkpoint; not together with ``checkpoint_name``.
        :param checkpoint_name: the last checkpoint of this name. Without both: the latest checkpoint.
        :param extra_body: more fields of the body, as in `Executions.replay`.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises NoCheckpointError: the execution has no such checkpoint; nothing was written.
        :raises ConflictError: the execution is neither failed nor paused.
        """
        result = await self._executions.replay(
            self.id,
            checkpoint_id,
            checkpoint_name=checkpoint_name,
            extra_body=extra_body,
            idempotency_key=idempotency_key,
        )
        self.id = result.execution_id
        return result

    async def rollback(
        self,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> RollbackResult:
        """Roll the execution back to a checkpoint; later states are discarded.

        :param checkpoint_id: the checkpoint; this or ``checkpoint_name``.
        :param checkpoint_name: the last checkpoint of this name.
        :param extra_body: more fields of the body, as in `Executions.rollback`.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises ValueError: neither or both of the two are given, or ``extra_body`` cannot be sent.
        :raises NoCheckpointError: the execution has no such checkpoint; nothing was written.
        """
        return await self._executions.rollback(
            self.id,
            checkpoint_id,
            checkpoint_name=checkpoint_name,
            extra_body=extra_body,
            idempotency_key=idempotency_key,
        )

    async def cancel(self, *, idempotency_key: str | None = None) -> CancelResult:
        """Cancel the execution if it has not ended, as `Executions.cancel` does; the handle keeps its id.

        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        """
        return await self._executions.cancel(self.id, idempotency_key=idempotency_key)

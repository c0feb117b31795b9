"""The outcomes of the items of batches."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import attrs

from .types import CancelResult, Execution, ExecutionDetail, ExecutionRequest, ReplayResult

Out = TypeVar("Out")


@attrs.frozen(slots=True)
class CreateOutcome:
    """The outcome of one request of ``create_many``.

    :ivar request: the item as it was given.
    :ivar state: ``created``; ``rejected``: it was not applied, and ``error`` says why; ``unknown``: it may have been
        applied, so check before sending it again.
    :ivar execution: the execution, if it was created, otherwise ``None``.
    :ivar error: why it was not created: the error of the service or the network, or the ``TypeError`` or ``ValueError``
        of an item that cannot be sent; ``None`` if it was created.
    :ivar resumed: whether it comes from an earlier run of the same journal.
    """

    request: ExecutionRequest
    state: Literal["created", "rejected", "unknown"]
    execution: Execution | None = None
    error: Exception | None = None
    resumed: bool = False


@attrs.frozen(slots=True)
class RunOutcome(Generic[Out]):
    """The outcome of one request of ``run_many``.

    :ivar request: the item as it was given.
    :ivar state: ``completed``; ``failed``: it settled in another way, and ``execution.status`` says which;
        ``timed_out``: it had not settled ``timeout`` seconds after its create, and continues at the service;
        ``rejected``: it was not created, and ``error`` says why; ``unknown``: it may have been created, or it was and
        can no longer be read.
    :ivar execution: the execution with its details, read when it had ended; ``None`` if none is known to have been
        created.
    :ivar error: why it is not completed: an `ExecutionFailedError`, a `WaitTimeoutError`, the error of the service or
        the network, or the ``TypeError`` or ``ValueError`` of an item that cannot be sent; ``None`` if it completed.
    :ivar resumed: whether an earlier run of the same journal sent it.
    :ivar output: the output of a completed execution; of a typed workflow it has the workflow's output type.
    """

    request: ExecutionRequest
    state: Literal["completed", "failed", "timed_out", "rejected", "unknown"]
    execution: ExecutionDetail | None = None
    error: Exception | None = None
    resumed: bool = False
    output: Out | None = None


@attrs.frozen(slots=True)
class ReplayOutcome:
    """The outcome of one execution of ``replay_many``.

    :ivar execution: as the list showed it before. From a journal it comes without input, output and metadata.
    :ivar state: ``replayed``; ``rejected``: it was not replayed, and ``error`` says why; ``unknown``: it may have been
        replayed; ``planned``: a dry run would replay it.
    :ivar result: the result of the replay, if there is one, otherwise ``None``.
    :ivar error: why it was not replayed; ``None`` if it was replayed or planned.
    :ivar resumed: whether it comes from an earlier run of the same journal.
    """

    execution: Execution
    state: Literal["replayed", "rejected", "unknown", "planned"]
    result: ReplayResult | None = None
    error: Exception | None = None
    resumed: bool = False


@attrs.frozen(slots=True)
class CancelOutcome:
    """The outcome of one execution of ``cancel_many``.

    :ivar execution: as the list showed it before.
    :ivar state: ``cancelled``; ``settled``: it had ended, and nothing was sent; ``rejected``: it was not cancelled, and
        ``error`` says why; ``unknown``: it may have been cancelled; ``planned``: a dry run would cancel it.
    :ivar result: the result of the cancel, if there is one, otherwise ``None``.
    :ivar error: why it was not cancelled; ``None`` if it was cancelled, settled or planned.
    """

    execution: Execution
    state: Literal["cancelled", "settled", "rejected", "unknown", "planned"]
    result: CancelResult | None = None
    error: Exception | None = None


@attrs.frozen(slots=True)
class DeleteOutcome:
    """The outcome of one execution of ``delete_many``.

    :ivar execution: as the list showed it before; of an execution that was named, only its id is known, except in
        a dry run.
    :ivar state: ``deleted``; ``absent``: the service does not know it, because it was deleted before; ``rejected``: it
        was not deleted, and ``error`` says why; ``unknown``: it may have been deleted; ``planned``: a dry run would
        delete it.
    :ivar error: why it was not deleted; ``None`` if it was deleted or planned.
    """

    execution: Execution
    state: Literal["deleted", "absent", "rejected", "unknown", "planned"]
    error: Exception | None = None

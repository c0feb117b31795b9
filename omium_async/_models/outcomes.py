"""What became of each item of a batch."""

from __future__ import annotations

from typing import Literal

import attrs

from .types import CancelResult, Execution, ExecutionRequest, ReplayResult

__all__ = ["CancelOutcome", "CreateOutcome", "ReplayOutcome"]


@attrs.frozen(slots=True)
class CreateOutcome:
    """What became of one request of ``create_many``.

    :ivar request: the item as it was given.
    :ivar state: ``created``; ``rejected``: it was not applied, and ``error`` says why; ``unknown``: it may have been
        applied, look before sending it again.
    :ivar execution: the execution, when it was created; else ``None``.
    :ivar error: why not: what the service or the network said, or the ``TypeError`` or ``ValueError`` of an item that
        cannot be sent; ``None`` when it was created.
    :ivar resumed: whether it comes from an earlier run of the same journal.
    """

    request: ExecutionRequest
    state: Literal["created", "rejected", "unknown"]
    execution: Execution | None = None
    error: Exception | None = None
    resumed: bool = False


@attrs.frozen(slots=True)
class ReplayOutcome:
    """What became of one execution of ``replay_many``.

    :ivar execution: as the list showed it before. From a journal it comes without input, output and metadata.
    :ivar state: ``replayed``; ``rejected``: it was not replayed, and ``error`` says why; ``unknown``: it may have
        been; ``planned``: it would be, in a dry run.
    :ivar result: what the replay answered, when it did; else ``None``.
    :ivar error: why not; ``None`` when it was replayed or planned.
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
    :ivar result: the result of the cancel, if there is one, else ``None``.
    :ivar error: why it was not cancelled; ``None`` if it was cancelled, settled or planned.
    """

    execution: Execution
    state: Literal["cancelled", "settled", "rejected", "unknown", "planned"]
    result: CancelResult | None = None
    error: Exception | None = None

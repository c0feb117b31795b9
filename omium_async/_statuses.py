"""The statuses of executions: which there are, and what each means. Every other file reads them here.

This file imports nothing, so that LocalOmium can read it too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal

#: The texts of the members below, for type checkers.
StatusText = Literal["pending", "running", "completed", "failed", "cancelled", "paused", "rolled_back", "error"]


class ExecutionStatus(enum.StrEnum):
    """The status of an execution; compares equal to its text.

    The enumeration is open: an unknown text is kept (``ExecutionStatus("weird") == "weird"``) and is never an error.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> ExecutionStatus | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = str(value)
        return unknown

    def __repr__(self) -> str:
        return f"<ExecutionStatus.{self.name}: {self.value!r}>" if self.is_known else f"ExecutionStatus({self.value!r})"

    @property
    def is_known(self) -> bool:
        """Whether the status is a member of this enumeration."""
        return self.value in STATUS_BY_TEXT

    @property
    def is_settled(self) -> bool:
        """Whether ``wait`` stops at this status by default. The service may still recover a failed execution."""
        return self in SETTLED


STATUS_BY_TEXT: Final[Mapping[str, ExecutionStatus]] = {status.value: status for status in ExecutionStatus}

#: The execution runs, or waits until it may.
ACTIVE: Final[tuple[StatusText, ...]] = ("pending", "running")

#: The execution has ended: it can be deleted, and cannot be cancelled.
ENDED: Final[tuple[StatusText, ...]] = ("completed", "failed", "cancelled", "rolled_back", "error")

#: The execution can be cancelled. A paused one has not ended: it continues after a replay.
NOT_ENDED: Final[tuple[StatusText, ...]] = (*ACTIVE, "paused")

#: An error ended the execution.
FAILED: Final[tuple[StatusText, ...]] = ("failed", "error")

#: The execution has ended and will have no result.
UNSUCCESSFUL: Final[tuple[StatusText, ...]] = (*FAILED, "cancelled")

#: The service replays executions with these statuses only.
REPLAYABLE: Final[tuple[StatusText, ...]] = ("failed", "paused")

#: The statuses at which ``wait`` stops by default.
SETTLED: frozenset[ExecutionStatus] = frozenset(map(ExecutionStatus, (*ENDED, "paused")))

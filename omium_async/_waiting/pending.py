"""Executions that stay ``pending``: perhaps nobody will ever run them, and whoever waits for them should know."""

from __future__ import annotations

import logging
import time
from typing import Final

from .._models.types import Execution, ExecutionStatus

__all__ = ["PendingForLong"]

_log = logging.getLogger("omium_async.waiting")

_LONG: Final = 60.0  # seconds


class PendingForLong:
    """Says once that an execution has been pending for a minute."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._said = False

    def saw(self, execution: Execution) -> None:
        """It was looked at just now."""
        if self._said:
            return
        if execution.status is not ExecutionStatus.PENDING:
            self._since.pop(execution.id, None)
            return
        now = time.monotonic()
        seconds = now - self._since.setdefault(execution.id, now)
        if seconds >= _LONG:
            self._said = True
            self._since.clear()
            self._warn(execution, seconds)

    def _warn(self, execution: Execution, seconds: float) -> None:
        _log.warning(
            "execution %s has been pending for %.0f s: perhaps nothing runs its workflow %r, or the service wants to "
            "be told to start it (POST /executions/{execution_id}/execute, by `request`)",
            execution.id,
            seconds,
            execution.workflow_id,
            extra={"omium_execution_id": execution.id, "omium_workflow_id": execution.workflow_id},
        )

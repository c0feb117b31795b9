"""Reads of single executions beside others: one that always fails is not an outage of the service."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

from .._caller import Caller
from .._errors import OmiumError
from .outage import Outage

__all__ = ["Singles"]

T = TypeVar("T")


@attrs.frozen
class _Failure:
    id: str
    error: OmiumError
    started: float
    at: float


class Singles:
    """Tells an outage of a failure, but not while other looks are answered: an outage is nothing but failures.

    A failure is the execution's own where others were answered since the last failure of the same one. Else, where
    others are being looked at or were answered in this round, it is a suspicion, which any answer clears and which
    the failure of another confirms.
    """

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._round = 0.0
        self._under_way = 0
        self._failed: dict[str, float] = {}  # when each did last
        self._suspicion: _Failure | None = None

    def begin_round(self) -> None:
        """All are looked at once more."""
        self._round = time.monotonic()

    async def tried(self, caller: Caller, execution_id: str, look: Callable[[Caller], Awaitable[T]]) -> T | None:
        """What ``look`` gives; ``None``: it failed with what a later one could mend.

        :raises OmiumError: as `Outage.tried`.
        """
        self._under_way += 1
        try:
            found = await self._outage.tried(caller, look, functools.partial(self._tell, execution_id))
        finally:
            self._under_way -= 1
        if found is not None:
            self._failed.pop(execution_id, None)
        return found

    def _tell(self, execution_id: str, error: OmiumError, started: float) -> None:
        self._outage.last = error
        failure = _Failure(execution_id, error, started, time.monotonic())
        before, self._failed[execution_id] = self._failed.get(execution_id), failure.at
        answered = self._outage.answered_at
        suspicion, self._suspicion = self._suspicion, None
        if before is not None and before < answered:
            self._suspicion = suspicion
        elif suspicion is not None and suspicion.id != execution_id and suspicion.at >= answered:
            self._outage.failed(suspicion.error, suspicion.started)
            self._outage.failed(error, started)
        elif self._outage.is_borne and (self._under_way > 1 or answered > self._round):
            self._suspicion = failure
        else:
            self._outage.failed(error, started)

"""The replays and rollbacks that this console has sent: one at a time of an execution, and a trace of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final
from weakref import WeakValueDictionary

from .memory import remember

__all__ = ["Moves"]

_REMEMBERED: Final = 100_000  # as many as ten of the largest bulk replays send: another tab may have planned them, too


class Moves:
    """Two pages that would do the same, as two tabs, must not both do it because the service does not show it yet."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def sent(self, execution_id: str) -> int:
        """How many were sent of an execution: what was shown before the last of them may no longer be so."""
        return self._sent.get(execution_id, 0)

    def send(self, execution_id: str) -> None:
        """One is sent now."""
        remember(self._sent, execution_id, self.sent(execution_id) + 1, _REMEMBERED)

    @contextlib.asynccontextmanager
    async def alone(self, execution_id: str) -> AsyncGenerator[None]:
        """While no other is looked at or sent of an execution."""
        lock = self._locks.setdefault(execution_id, asyncio.Lock())
        async with lock:
            yield

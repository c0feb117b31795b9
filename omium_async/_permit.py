"""Whether a call that had to wait for its turn may still begin; and how it is called back while it waits.

A batch gives permits to its calls: those that wait at the gate when an outage begins, or the batch ends, must not go
out into it. Calls without one are never asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ._errors import Attempt

__all__ = ["CalledBack", "Permit"]

T = TypeVar("T")


class CalledBack(Exception):  # noqa: N818 - a signal to whoever gave the permit
    """The call began no attempt, and may not begin one any more."""


class Permit:
    """Holds for all calls of one event loop that are given it.

    :param allows: whether a call with these attempts behind it may begin one more.
    :param waited: is told from when to when a call waited for its turn, of ``time.monotonic``.
    """

    def __init__(
        self,
        allows: Callable[[Sequence[Attempt]], bool],
        waited: Callable[[float, float], object] = lambda since, until: None,  # noqa: ARG005
    ) -> None:
        self.allows = allows
        self._waited = waited
        self._waiting: dict[asyncio.Timeout, Sequence[Attempt]] = {}

    async def until(self, turn: Awaitable[T], attempts: Sequence[Attempt]) -> T:
        """Wait for the turn of a call that has these attempts behind it.

        :raises TimeoutError: as ``turn``; or it was called back.
        """
        since = time.monotonic()
        leash = asyncio.timeout(None)
        try:
            async with leash:
                self._waiting[leash] = attempts
                return await turn
        finally:
            self._waiting.pop(leash, None)
            self._waited(since, time.monotonic())

    def call_back(self) -> None:
        """Let those that wait, and may not begin any more, wait no longer."""
        for leash, attempts in list(self._waiting.items()):
            if not self.allows(attempts):
                del self._waiting[leash]  # once is enough, and twice is refused
                leash.reschedule(0.0)

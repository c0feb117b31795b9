"""The time that has passed since an item was sent, by two clocks."""

from __future__ import annotations

import asyncio
import time

from .._errors import OmiumError
from .._journal.file import Entry
from .._transport.answers import http_date
from .calls import LONGEST_WAIT, Calls
from .refusals import key_is_refused

__all__ = ["TwoClocks"]


class TwoClocks:
    """Compares this machine's clock, which may be set between two runs, with the service's.

    :ivar ahead: seconds by which the service's clock was ahead when this run began; ``None``: it sent no ``Date``.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lock = asyncio.Lock()
        self._is_read = False
        self.ahead: float | None = None

    async def read(self) -> None:
        """Read the service's time, once in a run; so a refused key is noticed before anything is sent.

        :raises AuthenticationError: the key is refused.
        :raises PermissionDeniedError: the key is refused.
        """
        if self._is_read:
            return
        async with self._lock:
            if not self._is_read:
                await self._ask()
                self._is_read = True

    async def _ask(self) -> None:
        params = {"page": 1, "page_size": 1}
        try:
            before = time.time()
            response = await self._calls.read(
                lambda caller: caller.raw("GET", "/executions", params=params, json=None, headers=None)
            )
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return
        date = http_date(response.headers.get("date", ""))
        if date is not None:
            self.ahead = date.timestamp() - (before + time.time()) / 2

    def seconds_since(self, entry: Entry) -> float:
        """The least number of seconds since the request of an earlier run can have begun, by either clock."""
        if entry.ahead is None or self.ahead is None:
            return 0.0
        here = time.time() - entry.sent_at - LONGEST_WAIT
        there = here + self.ahead - entry.ahead
        return max(0.0, min(here, there))

"""How much time has passed since an item was sent: no single clock is believed."""

from __future__ import annotations

import asyncio
import time

from .._errors import OmiumError
from .._journal.file import Entry
from .._transport.answers import http_date
from .sending import Sending, key_is_refused

__all__ = ["Clocks"]


class Clocks:
    """This machine's clock, which may be set between two runs, and the service's, each node of which may have its own.

    :ivar ahead: seconds that the service's was ahead at the beginning of this run; ``None`` where it did not say.
    """

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._lock = asyncio.Lock()
        self._read = False
        self.ahead: float | None = None

    async def read(self) -> None:
        """Ask the service for its time, once a run: a refused key is told so before anything is sent.

        :raises AuthenticationError: the key is refused.
        :raises PermissionDeniedError: the key is refused.
        """
        if self._read:
            return
        async with self._lock:
            if not self._read:
                await self._ask()
                self._read = True

    async def _ask(self) -> None:
        sending = self._sending
        try:
            before = time.time()
            answer = await sending.call(
                lambda: sending.reader().raw(
                    "GET", "/executions", params={"page": 1, "page_size": 1}, json=None, headers=None
                )
            )
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return
        date = http_date(answer.headers.get("date", ""))
        if date is not None:
            self.ahead = date.timestamp() - (before + time.time()) / 2

    def gone(self, entry: Entry) -> float:
        """Seconds that have passed, by both clocks, since an earlier run can have sent the item at the latest."""
        if entry.within is None or entry.ahead is None or self.ahead is None:
            return 0.0
        here = time.time() - entry.sent_at - entry.within
        there = here + self.ahead - entry.ahead
        return max(0.0, min(here, there))

"""The service's clock, by which the times of sending are recorded: lists are bounded by them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from .._caller import Caller
from .._errors import OmiumError
from .._transport.answers import http_date
from .sending import key_is_refused

__all__ = ["SKEW", "ServiceClock"]

SKEW: Final = 60.0  # seconds by which the service's clocks may differ among themselves
_UNSURE: Final = 3600.0  # seconds by which this machine's clock may be wrong, where the service's is not known


class ServiceClock:
    """Tells the service's time, as seconds since 1970, from one answer's ``Date`` and this machine's steady clock."""

    def __init__(self, caller: Caller, last_ahead: float | None, keep: Callable[[float], Awaitable[None]]) -> None:
        self._caller = caller
        self._keep = keep
        self._base = time.time() - time.monotonic()
        self._ahead = last_ahead
        self.known = False

    async def read(self) -> None:
        """Ask the service for its time. A failure is no harm; but a refused key is told before anything is sent.

        :raises AuthenticationError: the key is refused. :raises PermissionDeniedError: the same.
        """
        try:
            before = time.monotonic()
            answer = await self._caller.raw(
                "GET", "/executions", params={"page": 1, "page_size": 1}, json=None, headers=None
            )
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return
        date = _seconds(answer.headers.get("date"))
        if date is not None:
            self._ahead = date - (self._base + (before + time.monotonic()) / 2)
            self.known = True
            await self._keep(self._ahead)

    def now(self) -> float:
        """The service's time, as well as it is known."""
        return self._base + time.monotonic() + (self._ahead or 0.0)

    def earliest(self) -> float:
        """A time that is certainly not later than the service's now."""
        return self.now() - (0.0 if self.known else _UNSURE)


def _seconds(text: str | None) -> float | None:
    moment = None if text is None else http_date(text)
    return None if moment is None else moment.timestamp()

"""The time of the server, as the texts that it stores and sends."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Callable
from email.utils import format_datetime
from typing import Final

__all__ = ["Clock", "Times"]

#: Returns the present time, aware.
Clock = Callable[[], dt.datetime]

_log = logging.getLogger("omium_async.local.times")

_SLACK: Final = dt.timedelta(milliseconds=1)


class Times:
    """Reads a clock, the system's where none is given; raises TypeError or ValueError for one that gives no time.

    It asks only when something is to be written, and once for each: a clock may be a list of moments.
    """

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._ahead: deque[dt.datetime] = deque()
        if clock is not None:
            self._last = self._try_out(clock)

    def now(self) -> str:
        """RFC 3339 in UTC with microseconds, always of the same length, so that texts compare as the moments do."""
        if self._clock is None:
            moment = dt.datetime.now(dt.UTC)
        elif self._ahead:
            moment = self._last = self._ahead.popleft()
        else:
            moment = self._last = self._read_on(self._clock)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def date(self) -> str | None:
        """The `Date` header of an answer: by the last reading of the given clock; None where it is the system's, which
        aiohttp reads by itself."""
        return None if self._clock is None else format_datetime(self._last, usegmt=True)

    def _try_out(self, clock: Clock) -> dt.datetime:
        """Finds out at once whether the clock is any good, without losing a moment of one that is a list of them: that
        is one which moved between two readings by more than the time that they took. Any other is asked again when the
        time is needed, for it may have been set meanwhile."""
        begun = time.monotonic()
        first = _moment(clock)
        try:
            second = _moment(clock)
        except Exception:  # noqa: BLE001 - it gave one moment: it is a clock, and may be a short list
            self._ahead.append(first)
            return first
        if abs(second - first) > dt.timedelta(seconds=time.monotonic() - begun) + _SLACK:
            self._ahead.extend((first, second))
        return first

    def _read_on(self, clock: Clock) -> dt.datetime:
        try:
            return _moment(clock)
        except Exception:  # noqa: BLE001 - it is the user's function
            # Neither may a request fail by this, nor a run under way stay without an end.
            _log.warning("the clock of a LocalOmium failed; time stands still at its last reading", exc_info=True)
            return self._last


def _moment(clock: Clock) -> dt.datetime:
    if not callable(clock):
        raise TypeError(f"clock must be a function that returns the present time, not {clock!r}")
    moment = clock()
    if not isinstance(moment, dt.datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the clock of a LocalOmium must return an aware datetime, not {moment!r:.80}")
    if moment.utcoffset() is None:
        raise ValueError("the clock of a LocalOmium must return an aware datetime, such as datetime.now(UTC)")
    return moment.astimezone(dt.UTC)

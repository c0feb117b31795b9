"""The time of the server, as the texts that it stores and sends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

__all__ = ["Clock", "reader_of"]

#: Returns the present time, aware.
Clock = Callable[[], dt.datetime]


def reader_of(clock: Clock | None) -> Callable[[], str]:
    """A function that reads the clock: RFC 3339 in UTC with microseconds, always of the same length, so that texts
    compare as the moments do."""

    def system() -> str:
        return _text(dt.datetime.now(dt.UTC))

    def given() -> str:
        moment = given_clock()
        if moment.tzinfo is None:
            raise ValueError("the clock of a LocalOmium must return an aware datetime, such as datetime.now(UTC)")
        return _text(moment.astimezone(dt.UTC))

    if clock is None:
        return system
    given_clock = clock
    return given


def _text(moment: dt.datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

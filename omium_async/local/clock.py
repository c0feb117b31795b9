"""The time of the server, as the texts that it stores and sends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from email.utils import format_datetime

__all__ = ["Clock", "date_reader_of", "reader_of"]

#: Returns the present time, aware.
Clock = Callable[[], dt.datetime]


def reader_of(clock: Clock | None) -> Callable[[], str]:
    """A function that reads the clock: RFC 3339 in UTC with microseconds, always of the same length, so that texts
    compare as the moments do."""

    if clock is None:
        return lambda: _text(dt.datetime.now(dt.UTC))
    return lambda: _text(_moment(clock))


def date_reader_of(clock: Clock | None) -> Callable[[], str] | None:
    """A function that gives the `Date` header of an answer by the given clock; None where it is the system's, which
    aiohttp reads by itself."""
    if clock is None:
        return None
    return lambda: format_datetime(_moment(clock), usegmt=True)


def _moment(clock: Clock) -> dt.datetime:
    moment = clock()
    if moment.tzinfo is None:
        raise ValueError("the clock of a LocalOmium must return an aware datetime, such as datetime.now(UTC)")
    return moment.astimezone(dt.UTC)


def _text(moment: dt.datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

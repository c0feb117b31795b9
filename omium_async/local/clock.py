"""Times and ids that the server gives out."""

from __future__ import annotations

import datetime as dt
import logging
import re
import secrets
import time
from collections.abc import Callable
from email.utils import format_datetime
from typing import Final, cast

__all__ = ["Clock", "Ids", "Times"]

#: Returns the current time as an aware datetime.
Clock = Callable[[], dt.datetime]

_log = logging.getLogger("omium_async.local.clock")

_PREFIX: Final = "exec_"
_STAMP: Final = re.compile(rf"{_PREFIX}([0-9a-f]{{16}})[0-9a-f]*", re.ASCII)


class Times:
    """Reads the clock of a server: a user's clock once to check it, then once for each write.

    :param clock: the user's clock; ``None``: the clock of the system.
    :raises TypeError: the clock is not a function that returns a datetime. :raises ValueError: it returns a naive one.
    """

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._last = None if clock is None else _moment(clock)

    def now(self) -> str:
        """Return the time in RFC 3339, in UTC with microseconds, so that texts sort as the times do.

        A user's clock that fails stands still, so that no execution stays without an end.
        """
        if self._clock is None:
            moment = dt.datetime.now(dt.UTC)
        else:
            moment = self._last = self._read(self._clock)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def date(self) -> str | None:
        """Return the ``Date`` header: the last reading of a user's clock; ``None`` lets aiohttp add its own."""
        return None if self._last is None else format_datetime(self._last, usegmt=True)

    def _read(self, clock: Clock) -> dt.datetime:
        try:
            return _moment(clock)
        except Exception:  # noqa: BLE001 - the clock is a function of the user
            _log.warning("the clock of a LocalOmium failed; the server uses its last reading", exc_info=True)
            return cast("dt.datetime", self._last)


def _moment(clock: Clock) -> dt.datetime:
    if not callable(clock):
        raise TypeError(f"clock must be a function that returns the current time, not {clock!r}")
    moment = clock()
    if not isinstance(moment, dt.datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the clock of a LocalOmium must return an aware datetime, not {moment!r:.80}")
    if moment.utcoffset() is None:
        raise ValueError("the clock of a LocalOmium must return an aware datetime, such as datetime.now(UTC)")
    return moment.astimezone(dt.UTC)


class Ids:
    """Creates ids of at most 36 characters, because the official command line cuts longer ones.

    They begin with the system's time in milliseconds and a count within it, which only grow. New ids are neighbours in
    the index and sort in order of creation, also when the time goes back. The writer thread alone calls it.
    """

    def __init__(self) -> None:
        self._latest = 0

    def continue_after(self, execution_id: str) -> None:
        """Create only ids greater than this one."""
        found = _STAMP.fullmatch(execution_id)
        if found is not None:
            self._latest = max(self._latest, min(int(found[1], 16), 2**63))

    def execution(self) -> str:
        """Return the id of a new execution."""
        self._latest = max(self._latest + 1, time.time_ns() // 1_000_000 << 16)
        return f"{_PREFIX}{self._latest:016x}{secrets.token_hex(8)[:15]}"

    @staticmethod
    def checkpoint() -> str:
        """Return the id of a new checkpoint; checkpoints are listed by number, not by id."""
        return f"chk_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"

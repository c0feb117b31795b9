"""Writes that must happen: tried again until the database takes them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Final, TypeVar

from .database import will_pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from .database import Database

__all__ = ["Persistence"]

T = TypeVar("T")

_log = logging.getLogger("omium_async.local.database")

_PAUSES: Final = (0.05, 5.0)  # seconds: the first and the longest
_SAY_EVERY: Final = 60.0  # seconds between warnings, as long as the database refuses


class Persistence:
    """What runs write by: a refusal of the database that passes, a lock or a full disk, is no end of a run.

    :ivar now: gives the present time, as it is stored.
    """

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self.now = now
        self._database = database
        self._refused_since: float | None = None
        self._said_at = 0.0

    async def insist(self, job: Callable[[sqlite3.Connection], T], unless: Callable[[], bool] = lambda: False) -> T:
        """Runs a write job, again and again as long as the database refuses for reasons that pass.

        :param unless: tells that it is not needed any more: then the last refusal is raised.
        """
        pause, longest = _PAUSES
        while True:
            try:
                result = await self._database.write(job)
            except sqlite3.Error as error:
                if not will_pass(error) or unless():
                    raise
                self._refused(error)
            else:
                self._taken()
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    def _refused(self, error: sqlite3.Error) -> None:
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        elif now - self._said_at < _SAY_EVERY:
            return
        self._said_at = now
        _log.warning(
            "the database refuses to write (%s): what runs waits, and goes on when it works",
            error,
            extra={"omium_error": type(error).__name__, "omium_outage": now - self._refused_since},
        )

    def _taken(self) -> None:
        if self._refused_since is not None:
            away = time.monotonic() - self._refused_since
            self._refused_since = None
            _log.warning(
                "the database works again, after %.0f s: what waited for it goes on", away, extra={"omium_outage": away}
            )

"""Items of which nobody knows whether they were created: looked for at the service, and then settled or sent again.

A look costs requests, so one look serves all of them, and there are few: as soon as nothing else is left to do, and
when the first of them is due. An item is *due* once it is certain that the service has ended with its request: then
its absence means that it was not created.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import attrs

from .._errors import OmiumError
from .._models.types import Execution
from .._pool.pool import Stopped
from .items import Item
from .lookup import Lookup, Sighting
from .sending import Sending, key_is_refused

__all__ = ["Doubt", "Doubts", "Settler"]

_log = logging.getLogger("omium_async.batch")

_MOST_FAILURES: Final = 4  # looks in a row that fail
_PAUSE: Final = 2.0  # seconds after the first of them
_LEAST_INTERVAL: Final = 5.0  # seconds between looks while the batch goes on


@attrs.define(eq=False)
class Doubt:
    """One item in doubt.

    :ivar due: of ``time.monotonic``.
    :ivar error: what is known of why.
    :ivar resumed: whether it is an earlier run's.
    :ivar looked: whether a look did not find it.
    """

    item: Item
    due: float
    error: Exception
    resumed: bool
    looked: bool = False


class Settler(Protocol):
    """What is done about a doubt in the end."""

    async def adopt(self, doubt: Doubt, execution: Execution) -> None:
        """It was found."""

    def send_again(self, doubt: Doubt) -> None:
        """It is certainly not there."""

    def leave(self, doubt: Doubt, reason: str, cause: Exception | None) -> None:
        """It stays unknown."""


class Doubts:
    """All items in doubt, and the task that settles them."""

    def __init__(
        self,
        lookup: Lookup,
        sending: Sending,
        settler: Settler,
        *,
        is_quiet: Callable[[], bool],
        is_failed: Callable[[], bool],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._lookup = lookup
        self._sending = sending
        self._settler = settler
        self._is_quiet = is_quiet
        self._is_failed = is_failed
        self._fail = fail
        self._doubts: list[Doubt] = []
        self._wake = asyncio.Event()
        self._not_before = 0.0
        self._failures = 0

    def add(self, doubt: Doubt) -> None:
        """One more."""
        self._doubts.append(doubt)
        self._wake.set()

    def wake(self) -> None:
        """Something has changed: perhaps nothing else is left to do."""
        if self._doubts:
            self._wake.set()

    async def settle_all(self) -> None:
        """The life of the task, until it is cancelled."""
        while True:
            await self._wait()
            if self._is_failed():
                self._leave(self._doubts, "the batch ended before it was looked for", None)
                continue
            try:
                await self._look()
            except Stopped:
                pass  # the batch has failed meanwhile
            except Exception as error:  # noqa: BLE001 - the batch ends with it, whatever it is
                self._fail(error)

    # -- when ----------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        while True:
            self._wake.clear()
            if not self._doubts:
                await self._wake.wait()
                continue
            if self._is_failed():
                return
            seconds = self._seconds_left(time.monotonic())
            if seconds <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    def _seconds_left(self, now: float) -> float:
        quiet = self._is_quiet()
        if quiet and not all(doubt.looked for doubt in self._doubts) and not self._failures:
            return 0.0
        due = min(doubt.due for doubt in self._doubts)
        return max(due if quiet and not self._failures else max(due, self._not_before), 0.0) - now

    # -- looking -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        started = time.monotonic()
        self._not_before = started + _LEAST_INTERVAL
        for doubts in _by_workflow(self._doubts):
            try:
                sighting = await self._sending.call(self._find(doubts, started))
            except OmiumError as error:
                self._take_failure(error, started)
                return
            await self._settle(doubts, sighting, started)
        self._failures = 0

    def _find(self, doubts: Sequence[Doubt], now: float) -> Callable[[], Awaitable[Sighting]]:
        keys = {doubt.item.key for doubt in doubts}
        to_the_end = any(doubt.due <= now for doubt in doubts)  # else nothing counts as absent yet
        return lambda: self._lookup.find(doubts[0].item.workflow_id, keys, to_the_end=to_the_end)

    async def _settle(self, doubts: Sequence[Doubt], sighting: Sighting, started: float) -> None:
        for doubt in doubts:
            doubt.looked = True
            execution = sighting.executions.get(doubt.item.key)
            if execution is not None:
                self._doubts.remove(doubt)
                await self._settler.adopt(doubt, execution)
            elif doubt.due <= started:
                self._doubts.remove(doubt)
                if sighting.doubtful:
                    self._settler.leave(doubt, _in_words(sighting.doubtful), None)
                else:
                    self._settler.send_again(doubt)

    def _take_failure(self, error: OmiumError, started: float) -> None:
        if key_is_refused(error):
            raise error
        self._failures += 1
        _log.warning(
            "looking for executions of the batch failed (%d in a row): %s",
            self._failures,
            error,
            extra={"omium_failures": self._failures, "omium_error": type(error).__name__},
        )
        self._not_before = time.monotonic() + _PAUSE * 2 ** (self._failures - 1)
        if self._failures >= _MOST_FAILURES:
            self._failures = 0
            self._leave([doubt for doubt in self._doubts if doubt.due <= started], "the look for it failed", error)

    def _leave(self, doubts: Sequence[Doubt], reason: str, cause: Exception | None) -> None:
        for doubt in list(doubts):
            self._doubts.remove(doubt)
            self._settler.leave(doubt, reason, cause)


def _by_workflow(doubts: Sequence[Doubt]) -> list[list[Doubt]]:
    found: dict[str, list[Doubt]] = {}
    for doubt in doubts:
        found.setdefault(doubt.item.workflow_id, []).append(doubt)
    return list(found.values())


def _in_words(doubtful: Sequence[str]) -> str:
    shown = ", ".join(doubtful[:3]) + (" and others" if len(doubtful) > 3 else "")
    return f"the service shows no metadata, and {shown} may be it"

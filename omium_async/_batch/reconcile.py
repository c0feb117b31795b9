"""Reconciling items in doubt: it is not known whether they were created, so they are looked up at the service.

Look-ups cost requests. One serves all items in doubt, and it is made when nothing else is left to do, and when the
first item is due. An item is *due* as soon as the service has certainly ended its work on the request: if it is absent
then, it was not created.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import attrs

from .._errors import OmiumError
from .._models.types import Execution
from .._pool import Pool, Stopped
from .items import Item
from .lookup import Found, Lookup
from .refusals import key_is_refused

__all__ = ["Decision", "Doubt", "Reconciler"]

_log = logging.getLogger("omium_async.batch")

_LEAST_INTERVAL: Final = 5.0  # seconds between look-ups while other items are in work


@attrs.frozen
class Decision:
    """What to do with an item in doubt: adopt ``execution``, leave it unknown for a ``reason``, or send it again.

    :ivar cause: the exception behind the reason.
    """

    execution: Execution | None = None
    reason: str | None = None
    cause: Exception | None = None


@attrs.define(eq=False)
class Doubt:
    """An item in doubt.

    :ivar due: on ``time.monotonic``.
    :ivar error: why it is in doubt.
    :ivar is_resumed: whether an earlier run sent it.
    :ivar was_looked_up: whether a look-up did not find it.
    """

    item: Item
    due: float
    error: OmiumError
    is_resumed: bool
    was_looked_up: bool = False
    decision: asyncio.Future[Decision] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future())

    def decide(self, decision: Decision) -> None:
        """Set the decision, unless no one waits for it any more."""
        if not self.decision.done():
            self.decision.set_result(decision)


class Reconciler:
    """Decides what to do with all items in doubt of one batch."""

    def __init__(self, lookup: Lookup, pool: Pool[Any, Any]) -> None:
        self._lookup = lookup
        self._pool = pool
        self._doubts: list[Doubt] = []
        self._wake = asyncio.Event()
        self._not_before = 0.0
        pool.on_quiet = self._wake.set

    async def resolve(self, doubt: Doubt) -> Decision:
        """Wait for the decision; other items are handled meanwhile."""
        self._doubts.append(doubt)
        self._wake.set()
        with self._pool.parked():
            return await doubt.decision

    async def run(self) -> None:
        """Look up the items in doubt, until the pool is closed."""
        while True:
            await self._wait()
            if self._pool.failed:
                self._leave(self._doubts, "the batch ended before it was looked up")
                continue
            try:
                await self._look_up()
            except Stopped:
                pass  # the batch has failed meanwhile
            except Exception as error:  # noqa: BLE001 - it ends the batch
                self._pool.fail(error)

    async def _wait(self) -> None:
        """Wait until it is time for a look-up."""
        while True:
            self._wake.clear()
            seconds = self._seconds_left()
            if self._doubts and (self._pool.failed or (seconds is not None and seconds <= 0)):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    def _seconds_left(self) -> float | None:
        if not self._doubts:
            return None
        due = min(doubt.due for doubt in self._doubts)
        if not self._pool.is_quiet():
            due = max(due, self._not_before)
        elif not all(doubt.was_looked_up for doubt in self._doubts):
            return 0.0
        return due - time.monotonic()

    async def _look_up(self) -> None:
        now = time.monotonic()
        self._not_before = now + _LEAST_INTERVAL
        for doubts in _by_workflow(self._doubts):
            keys = {doubt.item.key for doubt in doubts}
            is_due = any(doubt.due <= now for doubt in doubts)  # otherwise none counts as absent yet
            try:
                found = await self._lookup.find(doubts[0].item.workflow_id, keys, to_the_end=is_due)
            except OmiumError as error:
                if key_is_refused(error):
                    raise
                self._failed(doubts, error, now)
            else:
                self._decide(doubts, found, now)

    def _decide(self, doubts: Sequence[Doubt], found: Found, now: float) -> None:
        for doubt in doubts:
            doubt.was_looked_up = True
            execution = found.executions.get(doubt.item.key)
            if execution is None and doubt.due > now:
                continue
            self._doubts.remove(doubt)
            reason = _unclear(found.unclear) if found.unclear and execution is None else None
            doubt.decide(Decision(execution, reason))

    def _failed(self, doubts: Sequence[Doubt], error: OmiumError, now: float) -> None:
        _log.warning(
            "looking up executions of the batch failed: %s", error, extra={"omium_error": type(error).__name__}
        )
        for doubt in doubts:
            doubt.was_looked_up = True
        self._leave([doubt for doubt in doubts if doubt.due <= now], "the look-up failed", error)

    def _leave(self, doubts: Sequence[Doubt], reason: str, cause: Exception | None = None) -> None:
        for doubt in list(doubts):
            self._doubts.remove(doubt)
            doubt.decide(Decision(reason=reason, cause=cause))


def _by_workflow(doubts: Sequence[Doubt]) -> list[list[Doubt]]:
    found: dict[str, list[Doubt]] = {}
    for doubt in doubts:
        found.setdefault(doubt.item.workflow_id, []).append(doubt)
    return list(found.values())


def _unclear(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (" and others" if len(ids) > 3 else "")
    return f"the service does not show metadata, and it may be {shown}"

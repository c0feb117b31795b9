"""Reconciling items in doubt: it is not known whether they were created, so they are looked up at the service.

An item is *due* when the service has certainly ended its work on the request: if it is absent then, it was not created.
An item of an earlier run is also looked up at once, because it was probably created. Look-ups cost requests, so one
decides on all items that it finds and on all that are due.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import attrs

from .._errors.base import OmiumError
from .._models.types import Execution
from .._transport.admission import LaneClosed
from .calls import Calls
from .items import Item
from .lookup import Found, Lookup

_log = logging.getLogger("omium_async.batch")

_LONGEST_INTERVAL: Final = 5.0  # seconds between two look-ups


class Decision(NamedTuple):
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
    :ivar was_sought: whether a look-up has included it.
    :ivar decision: ``None``: not decided yet.
    """

    item: Item
    due: float
    error: OmiumError
    is_resumed: bool
    was_sought: bool = False
    decision: Decision | None = None

    @property
    def next_look_up(self) -> float:
        """When to look it up, on ``time.monotonic``."""
        return 0.0 if self.is_resumed and not self.was_sought else self.due


class Reconciler:
    """Decides what to do with the items in doubt of one batch.

    :param settle: seconds between two look-ups, at most 5.
    """

    def __init__(self, calls: Calls, lookup: Lookup, settle: float) -> None:
        self._calls = calls
        self._lookup = lookup
        self._interval = min(settle, _LONGEST_INTERVAL)
        self._doubts: list[Doubt] = []
        self._turn = asyncio.Lock()
        self._not_before = 0.0  # the next look-up

    async def decide(self, doubt: Doubt) -> Decision:
        """Return the decision when the item is found or due; other items are handled meanwhile."""
        self._doubts.append(doubt)
        try:
            while doubt.decision is None:
                await self._calls.sleep(self._seconds_left(doubt))
                async with self._turn:
                    if doubt.decision is None and self._seconds_left(doubt) <= 0:
                        await self._look_up()
        except LaneClosed:
            return Decision(reason="the batch ended before it was looked up")
        else:
            return doubt.decision
        finally:
            self._doubts.remove(doubt)

    def _seconds_left(self, doubt: Doubt) -> float:
        return max(doubt.next_look_up, self._not_before) - time.monotonic()

    async def _look_up(self) -> None:
        """Decide on all items that are due, and on others that are found."""
        now = time.monotonic()
        self._not_before = now + self._interval
        for doubts in _by_workflow([doubt for doubt in self._doubts if doubt.decision is None]):
            if not any(doubt.next_look_up <= now for doubt in doubts):
                continue
            for doubt in doubts:
                doubt.was_sought = True
            try:
                found = await self._lookup.find(doubts[0].item.workflow_id, {doubt.item.key for doubt in doubts})
            except OmiumError as error:
                self._failed(doubts, error, now)
            else:
                _decide(doubts, found, now)

    def _failed(self, doubts: Sequence[Doubt], error: OmiumError, now: float) -> None:
        _log.warning(
            "looking up executions of the batch failed: %s", error, extra={"omium_error": type(error).__name__}
        )
        for doubt in doubts:
            if doubt.due <= now:
                doubt.decision = Decision(reason="the look-up failed", cause=error)


def _decide(doubts: Sequence[Doubt], found: Found, now: float) -> None:
    for doubt in doubts:
        execution = found.executions.get(doubt.item.key)
        if execution is not None or doubt.due <= now:
            reason = _unclear(found.unclear) if found.unclear and execution is None else None
            doubt.decision = Decision(execution, reason)


def _by_workflow(doubts: Sequence[Doubt]) -> list[list[Doubt]]:
    found: dict[str, list[Doubt]] = {}
    for doubt in doubts:
        found.setdefault(doubt.item.workflow_id, []).append(doubt)
    return list(found.values())


def _unclear(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (" and others" if len(ids) > 3 else "")
    return f"the service does not show metadata, and it may be {shown}"

"""What the calls of a batch are made with: how long an attempt may take, and whether one may begin after a wait.

Patience bounds attempts, and never the wait for a turn within the client (`rate_limit`, a ``Retry-After``, a free
connection): that is no outage.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import attrs

from .._caller import Caller
from .._errors import Attempt
from .._permit import Permit
from .._pool.limit import Limit
from .._settings.declared import Options
from .._waiting.outage import Outage

__all__ = ["Callers"]

_USUAL_BOUND: Final = 30.0  # seconds for an attempt of a write: patience leaves a bound alone that is no longer
_LEAST_BOUND: Final = 1.0  # however short patience is


class Callers:
    """Those of one batch.

    :param outage: which they heed.
    :param limit: says when the batch ends.
    :param answered_at: gives when the latest answer came, of ``time.monotonic``.
    """

    def __init__(self, client: Caller, outage: Outage, limit: Limit, answered_at: Callable[[], float]) -> None:
        self._client = client
        self._outage = outage
        self._limit = limit
        self._answered_at = answered_at
        self._permit = Permit(partial(self._may_begin, alone=False), self._note_wait)
        self._lone_permit = Permit(partial(self._may_begin, alone=True), self._note_wait)
        self._turns: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._writer, self._reader = self._make_writer(), self._make_reader()  # while there is no outage

    def writer(self) -> Caller:
        """What writes are made with; in an outage: by the one that goes alone.

        What was not applied is not sent again by the call itself, so that a call that is under way when the service
        goes away is one request.
        """
        return self._make_writer() if self._outage.lasts else self._writer

    def reader(self) -> Caller:
        """What reads are made with: without retries of its own in an outage."""
        return self._make_reader() if self._outage.lasts else self._reader

    def call_back(self) -> None:
        """Call back those that wait for their turn within the client and must not begin any more."""
        self._permit.call_back()
        self._lone_permit.call_back()

    def turn(self) -> float:
        """When the running task last came to its turn after a wait, of ``time.monotonic``; 0: it never waited."""
        return self._turns.get(asyncio.current_task(), 0.0)

    def _note_wait(self, since: float, until: float) -> None:
        self._turns[asyncio.current_task()] = until
        self._outage.excuse(since, until)

    def _make_writer(self) -> Caller:
        options = self._client.options
        if not options.retry_ambiguous_writes:
            options = attrs.evolve(options, max_retries=0)
        own = options.timeout if options.attempt_timeout is None else options.attempt_timeout
        left = self._outage.left()
        if options.patience == 0:
            bound = _USUAL_BOUND if own is None else None
        elif left is not None and (own is None or own > _USUAL_BOUND):
            bound = max(left, _LEAST_BOUND)
        else:
            bound = None
        return self._bounded(options, bound)

    def _make_reader(self) -> Caller:
        options = self._client.options
        if self._outage.lasts:
            options = attrs.evolve(options, max_retries=0)
        return self._bounded(options, self._outage.left())

    def _bounded(self, options: Options, seconds: float | None) -> Caller:
        """For calls whose attempts take so long at most; ``None``: no other bound than their own."""
        own = options.attempt_timeout
        permit = self._lone_permit if self._outage.lasts else self._permit
        bound = own if seconds is None or (own is not None and own <= seconds) else seconds
        return self._client.with_options(attrs.evolve(options, attempt_timeout=bound, permit=permit))

    def _may_begin(self, attempts: Sequence[Attempt], *, alone: bool) -> bool:
        """Whether a call that waited may begin an attempt, with these behind it."""
        if self._limit.closed:
            return False
        if not attempts:
            return alone or not self._outage.lasts
        patience = self._client.options.patience
        silent = min(sum(attempt.elapsed for attempt in attempts), time.monotonic() - self._answered_at())
        return not patience or silent < patience

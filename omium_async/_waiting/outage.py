"""Sitting out an outage: while nothing but failures comes, looks go on, one at a time, until patience is over."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs

from .._caller import Caller
from .._errors import OmiumError
from .._telemetry import Telemetry
from .._transport.retry import could_mend

__all__ = ["Outage"]

_log = logging.getLogger("omium_async.waiting")

T = TypeVar("T")

_REMINDER: Final = 60.0  # seconds between two warnings
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_GROWTH: Final = 1.5
_SHORTEST_LOOK: Final = 0.1  # seconds for the last look before patience is over


class Outage:
    """Whether what a piece of work asks for is away just now, since when, and how long that is still borne.

    :param what: what waits, in words: ``wait for execution exec_1``.
    :param patience: seconds from the start of the first look that failed; ``None``: no bound; 0: the first failure
        is the last.
    :param first_pause: seconds between the first two looks, at most half a second; later pauses grow.
    :param excuses_asked: whether the time for which the service asked to be left alone does not count.
    :param deadline: of ``time.monotonic``: looks end then; what one ends with then is raised, and is no outage.
    :param telemetry: is told when it begins.
    :ivar last: what the latest look that failed ended with.
    :ivar answered_at: when the latest answer came, of ``time.monotonic``.
    """

    def __init__(
        self,
        what: str,
        patience: float | None,
        first_pause: float = _FIRST_PAUSE,
        *,
        excuses_asked: bool = False,
        deadline: float | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._what = what
        self._patience = patience
        self._first_pause = min(first_pause, _FIRST_PAUSE)
        self._pause = self._first_pause
        self._excuses_asked = excuses_asked
        self._deadline = deadline
        self._telemetry = telemetry
        self._excused_until = 0.0
        self._asked = 0.0  # seconds that the service asked to be left alone
        self._since: float | None = None
        self._warned = 0.0
        self.answered_at = 0.0
        self._turn = asyncio.Lock()
        self.last: OmiumError | None = None

    @property
    def lasts(self) -> bool:
        """Whether the latest look failed."""
        return self._since is not None

    @property
    def is_borne(self) -> bool:
        """Whether there is any patience; else the first failure is the last."""
        return self._patience != 0

    def left(self) -> float | None:
        """Seconds that a look may take; ``None``: no bound."""
        if self._patience is None:
            return None
        if self._since is None:
            return self._patience or None
        return max(self._since + self._patience - time.monotonic(), _SHORTEST_LOOK)

    def looker(self, caller: Caller, seconds: float | None = None) -> Caller:
        """``caller`` for one look: within patience, and without retries of its own while the outage lasts.

        :param seconds: that the look may take for other reasons; ``None``: no other bound.
        """
        bounds = [bound for bound in (seconds, self.left()) if bound is not None]
        caller = caller.within(min(bounds)) if bounds else caller
        return caller.with_options(attrs.evolve(caller.options, max_retries=0)) if self.lasts else caller

    def failed(self, error: OmiumError, started: float) -> None:
        """A look that began at ``started`` (of ``time.monotonic``) failed with what a later one could mend.

        :raises OmiumError: ``error``, when patience is over, or would be before the service wants to be asked again.
        """
        if started < self.answered_at:
            return  # others were answered meanwhile
        if self._since is None:
            self._since, self._pause, self._warned = started, self._first_pause, 0.0
            if self._telemetry is not None:
                self._telemetry.outage_began()
        self.last = error
        now = time.monotonic()
        retry_after = error.attempts[-1].retry_after if error.attempts else None
        self._asked = retry_after or 0.0
        borne = now - self._since + self._asked
        if self._excuses_asked:
            self._since += max(0.0, now + self._asked - max(now, self._excused_until))
            self._excused_until = max(self._excused_until, now + self._asked)
            borne = now - self._since
        if self._patience is not None and borne >= self._patience:
            raise error
        if not self._warned or now - self._warned >= _REMINDER:
            self._warned = now
            self._warn(error, max(0.0, now - self._since))

    def excuse(self, since: float, until: float) -> None:
        """What passed between these moments (of ``time.monotonic``) was no waiting for the service, and is borne."""
        if self._since is not None:
            self._since += max(0.0, until - max(since, self._since, self._excused_until))
            self._excused_until = max(self._excused_until, until)

    def _warn(self, error: OmiumError, seconds: float) -> None:
        bound = (
            "without end" if self._patience is None else f"for {max(self._patience - seconds, 0):.0f} s more at most"
        )
        _log.warning(
            "%s: no usable answer for %.1f s (%s); asking again %s",
            self._what,
            seconds,
            error,
            bound,
            extra={"omium_waiting": self._what, "omium_outage": seconds, "omium_error": type(error).__name__},
        )

    def answered(self) -> None:
        """A look was answered: the outage is over, if there was one."""
        self.answered_at = time.monotonic()
        if self._since is None:
            return
        seconds, self._since = self.answered_at - self._since, None
        _log.warning(
            "%s: answers come again, after %.1f s without",
            self._what,
            seconds,
            extra={"omium_waiting": self._what, "omium_outage": seconds},
        )

    def pause(self) -> float:
        """Seconds until the next look: growing, jittered, and not beyond patience."""
        pause = max(self._pause * random.uniform(0.8, 1.2), self._asked)  # noqa: S311
        self._pause = min(self._pause * _GROWTH, _LONGEST_PAUSE)
        left = self.left()
        return pause if left is None else min(pause, left)

    async def sat_out(self, caller: Caller, look: Callable[[Caller], Awaitable[T]]) -> T:
        """What ``look`` gives, as soon as it is answered.

        :raises OmiumError: what no later look could mend; or the last failure, when patience is over.
        """
        while (found := await self.tried(caller, look)) is None:
            pass
        return found

    async def tried(
        self,
        caller: Caller,
        look: Callable[[Caller], Awaitable[T]],
        tell: Callable[[OmiumError, float], object] | None = None,
    ) -> T | None:
        """What ``look`` gives; ``None``: it failed with what a later one could mend.

        Several may look at once, but not while the outage lasts: then it is one after the other, each after a pause.

        :param tell: is told of such a failure, and of when the look began, while no outage lasts; ``None``: `failed`.
        :raises OmiumError: as `sat_out`.
        """
        if self.lasts:
            async with self._turn:
                if self.lasts:
                    await asyncio.sleep(self.pause())
                    return await self._try(caller, look, self.failed)
        return await self._try(caller, look, tell or self.failed)

    async def _try(
        self,
        caller: Caller,
        look: Callable[[Caller], Awaitable[T]],
        tell: Callable[[OmiumError, float], object],
    ) -> T | None:
        started = time.monotonic()
        try:
            found = await look(self.looker(caller, self._until_deadline()))
        except OmiumError as error:
            if not could_mend(error) or self._until_deadline() == 0:
                raise
            tell(error, started)
            return None
        self.answered()
        return found

    def _until_deadline(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

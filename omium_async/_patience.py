"""Patience: how long one operation waits out an outage, and when it sends its next read."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs

from ._caller import Caller
from ._errors.base import OmiumError
from ._outage import FIRST_PAUSE, Outage
from ._transport.retry import is_outage, is_retryable

T = TypeVar("T")

_SHORTEST_READ: Final = 0.1  # seconds for the last read before patience ends


class Patience:
    """The patience of one operation: a wait, a list or a batch.

    :param what: the operation, for log messages: ``wait for execution exec_1``.
    :param seconds: from the start of the first request that failed; ``None``: no limit; 0: the first failure ends the
        operation.
    :param first_pause: seconds between the first two requests of an outage, at most half a second; later pauses grow.
    :param deadline: on ``time.monotonic``. Reads end then; a failure after it is raised and is not an outage.
    :ivar last: the latest failure.
    :ivar responded_at: time of the latest response, on ``time.monotonic``.
    :ivar resume_at: no request may be sent before, because a ``Retry-After`` said so; on ``time.monotonic``.
    """

    def __init__(
        self,
        caller: Caller,
        what: str,
        seconds: float | None,
        first_pause: float = FIRST_PAUSE,
        deadline: float | None = None,
    ) -> None:
        self._caller = caller
        self._what = what
        self._seconds = math.inf if seconds is None else seconds
        self._first_pause = min(first_pause, FIRST_PAUSE)
        self._deadline = deadline
        self._since: float | None = None
        self._excused_until = 0.0
        self._outage: Outage | None = None  # that has hit the operation
        self.responded_at = 0.0
        self.resume_at = 0.0
        self.last: OmiumError | None = None

    @property
    def counts(self) -> bool:
        """Whether the latest request failed."""
        return self._since is not None

    def left(self) -> float:
        """Return the seconds that are left, below 0 when patience is exceeded; infinity: no limit."""
        return self._seconds if self._since is None else self._since + self._seconds - time.monotonic()

    # -- what was observed ---------------------------------------------------------------------------------------

    def note(self, error: OmiumError, began: float) -> None:
        """Count a failed request.

        :param began: when the request began, on ``time.monotonic``.
        """
        if self._since is None:
            self._since = max(began, self.responded_at)
        self.last = error
        self.resume_at = max(self.resume_at, time.monotonic() + (retry_after(error) or 0.0))

    def hit(self) -> Outage:
        """Return the shared outage, which has hit the operation with its latest failure."""
        assert self._since is not None  # noqa: S101 - for the type checkers: `note` comes before
        assert self.last is not None  # noqa: S101
        self._outage = self._caller.outage()
        self._outage.hit(self, self._what, self.last, self._since, self._caller.telemetry)
        return self._outage

    def responded(self) -> None:
        """Count a response: patience begins anew, and all operations that the outage has hit go on."""
        self.responded_at = time.monotonic()
        self._since = None
        if self._outage is not None:
            outage, self._outage = self._outage, None
            outage.leave(self, has_response=True)
            outage.let_all_go()

    def leave(self) -> None:
        """The operation ends."""
        if self._outage is not None:
            self._outage.leave(self)
            self._outage = None

    def excuse(self, until: float) -> None:
        """Do not count the time from now to ``until`` (on ``time.monotonic``), unless there is no patience at all."""
        now = time.monotonic()
        if self._since is not None and self._seconds != 0:
            self._since += max(0.0, until - max(now, self._excused_until))
            self._excused_until = max(self._excused_until, until)

    async def obey_retry_after(self) -> None:
        """Wait until `resume_at`."""
        await asyncio.sleep(max(0.0, self.resume_at - time.monotonic()))

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, get: Callable[[Caller], Awaitable[T]]) -> T:
        """Return the result of ``get``, which is repeated during an outage.

        :raises OmiumError: an error that is not retryable, or the last failure when patience is exceeded.
        """
        try:
            while (found := await self.try_once(get)) is None:
                pass
        except BaseException:
            self.leave()
            raise
        return found

    async def try_once(self, get: Callable[[Caller], Awaitable[T]], *, joins: bool = True) -> T | None:
        """Send one read. During an outage, wait for the turn of the operation first.

        :param joins: whether a failure is one of an outage.
        :return: the result; ``None``: it failed in a way that a retry may help.
        :raises OmiumError: as `read`.
        """
        if self._outage is None or not joins:
            return await self._try(get, joins=joins)
        await self.obey_retry_after()
        outage = self._outage or self._caller.outage()  # it may have ended meanwhile
        try:
            has_turn = await outage.turn(time.monotonic() + self.left(), self._first_pause)
        except TimeoutError:
            assert self.last is not None  # noqa: S101 - for the type checkers: a failure began the outage
            raise self.last from self.last.__cause__
        try:
            return await self._try(get, joins=joins)
        finally:
            if has_turn:
                outage.end_turn()

    async def _try(self, get: Callable[[Caller], Awaitable[T]], *, joins: bool) -> T | None:
        held = self._caller.rate_limit_delay()
        began = time.monotonic() + held
        try:
            found = await get(self._limited())
        except OmiumError as error:
            if not is_retryable(error):
                if not is_outage(error):
                    self.responded()
                raise
            if self._time_left() == 0:
                raise
            if self._is_held(error, held):
                pause = max(self._first_pause, self._caller.rate_limit_delay() / 2)  # it may be an hour
                await asyncio.sleep(min(pause, self._time_left()))
            elif joins:
                self._failed(error, began)
            else:
                self.last = error
            return None
        self.responded()
        return found

    def _failed(self, error: OmiumError, began: float) -> None:
        """Count a failed read, except one that began before the latest response.

        :raises OmiumError: ``error``, if patience is exceeded, or ends before the ``Retry-After`` of the response.
        """
        if began < self.responded_at:
            return
        self.note(error, began)
        if self.left() <= (retry_after(error) or 0.0):
            raise error
        self.hit()

    def _limited(self) -> Caller:
        """Return the caller for one read: within patience, and without retries while the outage lasts.

        Before an outage, waiting for the client's own ``rate_limit`` uses no patience.
        """
        left = self.left()
        if self.counts:
            left = max(left, _SHORTEST_READ)
        elif left:
            left += self._caller.rate_limit_delay()
        limit = min(left or math.inf, self._time_left())
        caller = self._caller if limit == math.inf else self._caller.within(limit)
        return caller.with_options(attrs.evolve(caller.options, max_retries=0)) if self.counts else caller

    def _is_held(self, error: OmiumError, held: float) -> bool:
        """Whether the client's own ``rate_limit`` held back a read, which does not begin an outage.

        :param held: seconds for which it did when the read began; they may have passed when the read timed out.
        """
        may_wait = not self.counts and self._seconds != 0
        return may_wait and not error.attempts and max(held, self._caller.rate_limit_delay()) > 0

    def _time_left(self) -> float:
        return math.inf if self._deadline is None else max(0.0, self._deadline - time.monotonic())


def retry_after(error: OmiumError) -> float | None:
    """Return the seconds of the last response's ``Retry-After``; ``None``: it had none."""
    return error.attempts[-1].retry_after if error.attempts else None

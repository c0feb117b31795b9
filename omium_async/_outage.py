"""The outage of a service, shared by the operations of a client that it has hit.

It is announced once. While it lasts, one operation at a time sends a request, in turn and less and less often. The
first response lets all of them go on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from ._pause import growing_pause

if TYPE_CHECKING:
    from ._errors.base import OmiumError
    from ._telemetry import Telemetry

_log = logging.getLogger("omium_async.outage")

FIRST_PAUSE: Final = 0.5  # seconds between the first two requests, at most
_LONGEST_PAUSE: Final = 10.0
_REMINDER: Final = 60.0  # seconds between two warnings


class Outage:
    """The outage that the operations of a client share on one event loop.

    An operation is hit by its first failure. It leaves when it gets a response or ends.
    """

    def __init__(self) -> None:
        self._operations: dict[object, str] = {}  # those hit, with their names for messages
        self._since = 0.0
        self._error: OmiumError | None = None  # the latest
        self._reminder: asyncio.TimerHandle | None = None
        self._requests = 0  # sent in turn since the last response
        self._is_taken = False  # whether an operation has the turn
        self._line: deque[asyncio.Future[bool]] = deque()  # operations that wait for the turn
        self._response = asyncio.Event()  # the next one

    # -- who is hit ------------------------------------------------------------------------------------------------

    def hit(
        self, operation: object, name: str, error: OmiumError, since: float, telemetry: Telemetry | None = None
    ) -> None:
        """Count a failure of an operation. The first of an outage announces it.

        :param name: of the operation, for messages.
        :param since: when the request that failed began, on ``time.monotonic``.
        :param telemetry: is notified when an outage begins.
        """
        self._error = error
        is_new = not self._operations
        self._operations.setdefault(operation, name)
        if is_new:
            self._since, self._requests = since, 0
            if telemetry is not None:
                telemetry.outage_began()
            self._warn()

    def leave(self, operation: object, *, has_response: bool = False) -> None:
        """Count an operation no longer as hit: it got a response, or ended."""
        if has_response:
            self._requests = 0
        name = self._operations.pop(operation, None)
        if name is None or self._operations:
            return
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        if has_response:
            seconds = time.monotonic() - self._since
            _log.warning(
                "%s: the service responds again, after %.1f s",
                name,
                seconds,
                extra={"omium_waiting": name, "omium_outage": seconds, "omium_operations": 0},
            )

    def _warn(self) -> None:
        count, name = len(self._operations), next(iter(self._operations.values()))
        seconds = max(0.0, time.monotonic() - self._since)
        who = name if count == 1 else f"{name} and {count - 1} more"
        _log.warning(
            "%s: no response for %.1f s (%s); %s",
            who,
            seconds,
            self._error,
            "1 operation waits" if count == 1 else f"{count} operations wait",
            extra={
                "omium_waiting": name,
                "omium_outage": seconds,
                "omium_operations": count,
                "omium_error": type(self._error).__name__,
            },
        )
        self._reminder = asyncio.get_running_loop().call_later(_REMINDER, self._warn)

    # -- whose turn it is ------------------------------------------------------------------------------------------

    async def turn(self, until: float = math.inf, first_pause: float = FIRST_PAUSE) -> bool:
        """Wait for the turn to send a request.

        :param until: the end of the operation's patience, on ``time.monotonic``.
        :param first_pause: seconds before the first request of the outage, at most `FIRST_PAUSE`; later pauses grow.
        :return: ``True``: it is the operation's turn, and `end_turn` must follow. ``False``: another operation got a
            response.
        :raises TimeoutError: it was not the operation's turn in time.
        """
        if self._is_taken and not await self._wait_in_line(until):
            return False
        self._is_taken = True
        pause = growing_pause(self._requests, (first_pause, _LONGEST_PAUSE))
        self._requests += 1
        is_over = True
        try:
            is_over = await self._responds_within(min(pause, until - time.monotonic()))
        finally:
            if is_over:
                self.end_turn()
        return not is_over

    def end_turn(self) -> None:
        """Give the turn to the next operation in line."""
        self._is_taken = False
        while self._line and not self._is_taken:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(True)
                self._is_taken = True

    def let_all_go(self) -> None:
        """Let all operations go on, because a response arrived or the client was closed."""
        self._response.set()
        self._response = asyncio.Event()
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(False)

    async def _wait_in_line(self, until: float) -> bool:
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        try:
            async with asyncio.timeout(None if until == math.inf else max(0.0, until - time.monotonic())):
                return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.end_turn()  # the turn came just when the operation gave up
            raise

    async def _responds_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._response.wait()
        except TimeoutError:
            return False

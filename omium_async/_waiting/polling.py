"""Polling: for how long, how often and for which statuses, and the WARNING for executions that stay ``pending``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import attrs

from .. import _arguments as check
from .._caller import Caller
from .._errors.base import OmiumError
from .._errors.others import WaitTimeoutError
from .._models.types import Execution
from .._patience import Patience
from .._pause import growing_pause
from .._statuses import SETTLED, ExecutionStatus
from .._transport.retry import is_retryable

_log = logging.getLogger("omium_async.waiting")

T = TypeVar("T")

_LONGEST_OF_GIVEN: Final = 4  # the longest pause, in first pauses, if a call gives only the first
_SECONDS_PER_REQUEST: Final = 0.5  # after the first of a poll: the service counts them, and may charge for them
_LONG_PENDING: Final = 60.0  # seconds
_GRACE: Final = 0.1  # seconds after the deadline, for the error of a read that ends at the deadline


class _Late(Exception):  # noqa: N818 - a signal
    """The deadline passed between two polls."""


@attrs.frozen
class Polling:
    """The checked arguments of a wait.

    :ivar timeout: seconds in all; 0: one poll; ``None``: no limit.
    :ivar interval: the first and the longest pause between two polls, in seconds.
    :ivar per_request: the least pause after a poll, in seconds for each of its requests after the first.
    :ivar until: the statuses to wait for.
    :ivar deadline: on ``time.monotonic``; ``None``: not begun, or no limit.
    """

    timeout: float | None
    interval: tuple[float, float]
    per_request: float
    until: frozenset[str]
    deadline: float | None = None

    @classmethod
    def of(cls, timeout: Any, poll_interval: Any, until: Any, default: tuple[float, float]) -> Self:
        """Check the arguments.

        :param default: the first and the longest pause if ``poll_interval`` is ``None``.
        :raises TypeError: an argument has the wrong type.
        :raises ValueError: an argument is out of range.
        """
        limit = check.seconds(timeout, "timeout", zero=True)
        first = check.seconds(poll_interval, "poll_interval", zero=False)
        statuses = check.known_statuses(until, "until")
        if first is None:
            return cls(limit, default, _SECONDS_PER_REQUEST, statuses)
        return cls(limit, (first, first * _LONGEST_OF_GIVEN), 0.0, statuses)

    @property
    def once(self) -> bool:
        """Whether to poll once, without waiting."""
        return self.timeout == 0

    def begin(self) -> Self:
        """Return the same with the deadline counted from now. A ``timeout`` of 0 does not limit its one poll."""
        return self if not self.timeout else attrs.evolve(self, deadline=time.monotonic() + self.timeout)

    def left(self) -> float | None:
        """Seconds until the deadline, at least 0; ``None``: no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def patience(self, caller: Caller, what: str) -> Patience:
        """Return the patience of the wait."""
        seconds = 0.0 if self.once else caller.options.patience
        return Patience(caller, what, seconds, self.interval[0], self.deadline)

    async def sleep(self, seconds: float) -> None:
        """Sleep between two polls, within `in_time`."""
        left = self.left()
        if self.once:
            raise _Late
        if left is not None and seconds >= left:
            await asyncio.sleep(left)
            raise _Late
        await asyncio.sleep(seconds)

    async def in_time(
        self, step: Callable[[], Awaitable[T]], late: Callable[[OmiumError | None], WaitTimeoutError]
    ) -> T:
        """Run a step of the wait, at most until the deadline.

        :param late: returns the error to raise at the deadline, from the failure of the last read.
        """
        left = self.left()
        scope = asyncio.timeout(None if left is None else left + _GRACE)
        failure: OmiumError | None = None
        try:
            async with scope:
                return await step()
        except OmiumError as error:
            if self.left() != 0 or not is_retryable(error):
                raise
            failure = error
        except _Late:
            pass
        except TimeoutError:
            if not scope.expired():
                raise
        ending = late(failure)
        raise ending from ending.__cause__

    @property
    def waited(self) -> str:
        """The time waited, for messages."""
        return "at the only poll (timeout=0)" if self.once else f"after {self.timeout:g} s"

    @property
    def not_reached(self) -> str:
        """The condition that was not reached in time, for messages."""
        wanted = "settled" if self.until == SETTLED else f"reached {' or '.join(sorted(self.until))}"
        return f"not {wanted} {self.waited}"


def too_late(
    text: str, pending: tuple[str, ...], failure: OmiumError | None, execution_id: str | None = None
) -> WaitTimeoutError:
    """Return the error of a wait that was not in time.

    :param failure: the last one seen, for the message and as the cause.
    """
    if failure is not None:
        text += f"; last failure: {failure}"
    error = WaitTimeoutError(text, pending=pending, execution_id=execution_id, outcome="not_applied")
    error.__cause__ = failure
    return error


class PollInterval:
    """The pause between two polls. It grows while nothing changes, and is jittered to spread many waits."""

    def __init__(self, polling: Polling) -> None:
        self._bounds = polling.interval
        self._per_request = polling.per_request
        self._unchanged = 0  # pauses since the last change

    def next(self, *, changed: bool = False, requests: int = 1) -> float:
        """Return the seconds until the next poll.

        :param changed: whether the last poll saw a change: another one is likely soon.
        :param requests: requests of the last poll that had no result.
        """
        if changed:
            self._unchanged = 0
        pause = growing_pause(self._unchanged, self._bounds)
        self._unchanged += 1
        return max(pause, min((requests - 1) * self._per_request, self._bounds[1]))


class PendingMonitor:
    """Logs once that an execution has been ``pending`` for a minute."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._logged = False

    def forget(self, execution_id: str) -> None:
        """Stop watching an execution."""
        self._since.pop(execution_id, None)

    def saw(self, execution: Execution) -> None:
        """Note the current status of an execution."""
        if self._logged:
            return
        if execution.status is not ExecutionStatus.PENDING:
            self.forget(execution.id)
            return
        now = time.monotonic()
        seconds = now - self._since.setdefault(execution.id, now)
        if seconds >= _LONG_PENDING:
            self._logged = True
            self._since.clear()
            _log.warning(
                "execution %s has been pending for %.0f s: its workflow %r may not be served, or the service expects "
                "a request that starts it (POST /executions/{execution_id}/execute, with `request`)",
                execution.id,
                seconds,
                execution.workflow_id,
                extra={"omium_execution_id": execution.id, "omium_workflow_id": execution.workflow_id},
            )

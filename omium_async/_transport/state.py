"""The state of a call, from its first attempt to its end."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from .._errors.attempts import Attempt, WriteOutcome
from .._errors.base import OmiumError
from .._request import Request
from .._settings.secret import Redactor
from .admission import Lane
from .failures import Failure
from .keys import IssuedKey
from .session import Connections

if TYPE_CHECKING:
    from .._settings.declared import Options
    from .._telemetry import CallSpan


class CallState:
    """The state of a call.

    :ivar deadline: by ``time.monotonic``; infinity: none.
    :ivar period: of the lane, when it admitted the attempt.
    :ivar attempts: those that failed.
    :ivar failure: the last attempt's; ``None`` before the first failed.
    :ivar key: of the last attempt, if a function returned it.
    :ivar keys: the number of keys that were refused.
    """

    __slots__ = (
        "attempts", "connections", "deadline", "failure", "key", "keys", "lane", "options", "period", "request", "span",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        options: Options,
        connections: Connections,
        lane: Lane | None,
        span: CallSpan | None,
    ) -> None:
        self.request = request
        self.options = options
        self.connections = connections
        self.lane = lane
        self.period = 0
        self.deadline = math.inf if options.timeout is None else monotonic() + options.timeout
        self.span = span
        self.attempts: tuple[Attempt, ...] = ()
        self.failure: Failure | None = None
        self.key: IssuedKey | None = None
        self.keys = 0

    @property
    def time_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - monotonic()

    @property
    def is_unknown(self) -> bool:
        """Whether the write may have been applied by one of the attempts."""
        return any(attempt.outcome_unknown for attempt in self.attempts)

    def attempt_timeout(self, started: float) -> float:
        """Return the seconds that an attempt may take; infinity: no limit."""
        timeout = self.options.attempt_timeout
        left = self.deadline - started
        return max(0.0, left) if timeout is None or left < timeout else timeout

    def raise_error(self, otherwise: OmiumError, redactor: Redactor) -> NoReturn:
        """Raise the error of the last attempt, with the outcome of all of them.

        :param otherwise: the error of a call without attempts.
        """
        error = otherwise if self.failure is None else self.failure.error
        error.attempts = self.attempts
        error.idempotency_key = self.request.key
        error.outcome = WriteOutcome.UNKNOWN if self.is_unknown else WriteOutcome.NOT_APPLIED
        error.method, error.url = self.request.method, redactor.text(self.request.url)  # type: ignore[attr-defined]
        raise error from error.__cause__

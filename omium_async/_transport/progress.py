"""How far one call came, once it had to wait or an attempt of it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from .._errors import Attempt, OmiumError, WriteOutcome
from .._settings.secret import Redactor
from .failures import Failure
from .request import Request

if TYPE_CHECKING:
    from .._settings.configure import Options
    from .._telemetry import CallSpan
    from .session import Connections

__all__ = ["Progress"]


class Progress:
    """What a call has behind it. The usual call, which is answered at once, never needs one.

    :ivar deadline: of the whole call, by ``time.monotonic``; ``None``: it has none.
    :ivar attempts: those that failed.
    :ivar failure: of the last of them; ``None`` before the first has failed.
    """

    __slots__ = ("attempts", "connections", "deadline", "failure", "options", "request", "span")

    def __init__(
        self,
        request: Request,
        options: Options,
        connections: Connections,
        deadline: float | None,
        span: CallSpan | None,
    ) -> None:
        self.request = request
        self.options = options
        self.connections = connections
        self.deadline = deadline
        self.span = span
        self.attempts: tuple[Attempt, ...] = ()
        self.failure: Failure | None = None

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """One more attempt failed."""
        self.attempts += (attempt,)
        self.failure = failure

    def raise_error(self, otherwise: OmiumError, redactor: Redactor) -> NoReturn:
        """End the call with the error of its last attempt and the verdict of all of them.

        :param otherwise: what to raise where none began.
        """
        error = otherwise if self.failure is None else self.failure.error
        error.attempts = self.attempts
        error.idempotency_key = self.request.key
        unknown = any(attempt.outcome_unknown for attempt in self.attempts)
        error.outcome = WriteOutcome.UNKNOWN if unknown else WriteOutcome.NOT_APPLIED
        error.method, error.url = self.request.method, redactor.text(self.request.url)  # type: ignore[attr-defined]
        raise error from error.__cause__

"""What can go wrong, and what is known about a write when it does."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


class WriteOutcome(enum.StrEnum):
    """What became of what a call was to write."""

    NOT_APPLIED = "not_applied"
    """It was not applied: only then can calling again not do it twice. Also of every read."""
    APPLIED = "applied"
    """It was applied, and what failed came after it."""
    UNKNOWN = "unknown"
    """It may have been applied: look before sending it again."""


class Headers(dict[str, str]):
    """The headers of an answer: names in lower case, looked up in any case (RFC 9110, section 5.1)."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The header's value, else ``default``."""
        return super().get(name.lower(), default)


@attrs.frozen
class Attempt:
    """One attempt of a call, as it was seen to end.

    :ivar number: counts from 1 within the call.
    :ivar status: the HTTP status, ``None`` when no head of an answer was read.
    :ivar error: what went wrong in words, ``None`` for a success.
    :ivar elapsed: seconds, without the wait for a free connection, pacing or backoff.
    :ivar retry_after: seconds that the answer asked to wait, ``None`` when it did not.
    :ivar sent: whether a connection was handed to the request.
    :ivar outcome_unknown: whether a write may have been applied although it did not succeed; ``False`` on reads.
    :ivar request_id: the id under which the service or its gateway knows the request.
    :ivar idempotency_key: of a write, the same on all attempts of one call.
    :ivar method: the HTTP method of the request, ``""`` where it is not known.
    :ivar path: of the request's URL, without its query, ``""`` where it is not known.
    """

    number: int
    status: int | None = None
    error: str | None = None
    elapsed: float = 0.0
    retry_after: float | None = None
    sent: bool = False
    outcome_unknown: bool = False
    request_id: str | None = None
    idempotency_key: str | None = None
    method: str = ""
    path: str = ""


class OmiumError(Exception):
    """Base of all errors of this package. Every one pickles with all that it carries.

    :ivar message: what happened, without the request's particulars, which ``str()`` adds.
    :ivar request_id: the id to quote to the service's support.
    :ivar idempotency_key: the key that the write carried, ``None`` on reads.
    :ivar execution_id: the execution that is known to exist although the call failed (of ``run``).
    :ivar attempts: all attempts of the call, the last too; empty where none began.
    :ivar outcome: what became of what the call was to write, as a `WriteOutcome`; ``not_applied`` on reads.
    """

    def __init__(
        self,
        message: str = "",
        *,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        execution_id: str | None = None,
        attempts: tuple[Attempt, ...] = (),
        outcome: WriteOutcome | str = WriteOutcome.UNKNOWN,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.idempotency_key = idempotency_key
        self.execution_id = execution_id
        self.attempts = attempts
        self.outcome = WriteOutcome(outcome)

    @property
    def outcome_unknown(self) -> bool:
        """Whether what was to be written may have been applied."""
        return self.outcome is WriteOutcome.UNKNOWN

    def __str__(self) -> str:
        particulars = "; ".join(self._particulars())
        headline = self._headline()
        return f"{headline} [{particulars}]" if particulars else headline

    def _headline(self) -> str:
        return self.message

    def _particulars(self) -> list[str]:
        found: list[str] = []
        if self.execution_id is not None and self.execution_id not in self.message:
            found.append(f"execution {self.execution_id}")
        if self.request_id is not None:
            found.append(f"request id {self.request_id}")
        if len(self.attempts) > 1:
            found.append(f"{len(self.attempts)} attempts")
        if self.outcome_unknown:
            found.append("outcome unknown: the write may have been applied, look before sending it again")
        elif self.idempotency_key is not None and self.outcome is WriteOutcome.NOT_APPLIED:
            found.append("the write was not applied")
        return found


class ConfigurationError(OmiumError, ValueError):
    """A setting is missing or cannot be used; the message names it and where it came from, never the key."""


class _RequestError(OmiumError):
    """What errors of one HTTP call share: ``method`` and ``url`` of the request."""

    def __init__(self, message: str = "", *, method: str = "", url: str = "", **common: Any) -> None:
        super().__init__(message, **common)
        self.method = method
        self.url = url

    def _headline(self) -> str:
        return f"{self.method} {_path(self.url)}: {self.message}" if self.method else self.message


class APIConnectionError(_RequestError):
    """No usable answer came: refused, reset, closed, cut."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """No usable answer came in time."""


class APIStatusError(_RequestError):
    """The service, its gateway or its edge answered with a status that is no success.

    :ivar status: the HTTP status. :ivar message: the answer's own words, made readable.
    :ivar body: bytes as received (decompressed, at most ``max_response_bytes``).
    :ivar headers: of the answer, looked up in any case. :ivar method: of the request. :ivar url: of the request.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> None:
        super().__init__(message, **request)
        self.status = status
        self.body = body
        self.headers = Headers({name.lower(): value for name, value in (headers or {}).items()})

    def _headline(self) -> str:
        return f"{self.method} {_path(self.url)}: {self.status} {self.message}" if self.method else self.message


class BadRequestError(APIStatusError):
    """400: the request is malformed."""


class AuthenticationError(APIStatusError):
    """401: the key is missing, unknown or revoked."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this, or the edge refused the request."""


class NotFoundError(APIStatusError):
    """404: no such execution, checkpoint or route."""


class ConflictError(APIStatusError):
    """409: the execution's state does not allow it."""


class UnprocessableEntityError(APIStatusError):
    """422: a field of the request is missing or invalid."""


class RateLimitError(APIStatusError):
    """429: too many requests.

    :ivar retry_after: seconds to wait, counted from the answer's arrival; ``None`` when the answer did not say.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, **status: Any) -> None:
        super().__init__(message, **status)
        self.retry_after = retry_after


class ServerError(APIStatusError):
    """5xx: the service or something before it failed."""


class InvalidResponseError(_RequestError):
    """An answer came and cannot be understood.

    :ivar status: the HTTP status. :ivar body: bytes as received.
    :ivar path: the place of the offending value, such as ``items[3].id``; ``""`` where there is no JSON.
    """

    def __init__(
        self, message: str = "", *, status: int | None = None, body: bytes = b"", path: str = "", **request: Any
    ) -> None:
        super().__init__(message, **request)
        self.status = status
        self.body = body
        self.path = path


class UnstableListError(OmiumError):
    """The list changes faster than it can be read."""


class WaitTimeoutError(OmiumError, TimeoutError):
    """Executions were not at a wanted status in time.

    :ivar pending: the ids of those executions; empty when ``run`` ran out of time in its create.
    """

    def __init__(self, message: str = "", *, pending: tuple[str, ...] = (), **common: Any) -> None:
        super().__init__(message, **common)
        self.pending = pending


class MissingExecutionsError(OmiumError):
    """``wait_many`` was given ids that the service does not know.

    :ivar missing: those ids.
    """

    def __init__(self, message: str = "", *, missing: tuple[str, ...] = (), **common: Any) -> None:
        super().__init__(message, **common)
        self.missing = missing


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error_class(status: int) -> type[APIStatusError]:
    """The class of error that stands for an HTTP status."""
    if 500 <= status <= 599:
        return ServerError
    return _BY_STATUS.get(status, APIStatusError)


def _path(url: str) -> str:
    _, _, rest = url.partition("://")
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"

"""What can go wrong with one HTTP call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from .._data.text import LONGEST_ID, one_line
from .attempts import Headers
from .base import CommonFields, Details, OmiumError

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "InvalidResponseError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "UnprocessableEntityError",
    "status_error_class",
]


class RequestFields(CommonFields, total=False):
    """What every error of an HTTP call takes besides its message."""

    method: str
    url: str


class _RequestError(OmiumError):
    """What errors of one HTTP call share: ``method`` and ``url`` of the request."""

    _carries: ClassVar[Mapping[str, Any]] = {"method": "", "url": ""}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        method: str = "",
        url: str = "",
        **common: Unpack[CommonFields],
    ) -> None:
        self.method = method
        self.url = url
        super().__init__(message, details, **common)

    def _headline(self) -> str:
        return f"{self._request()}: {self.message}" if self.method else self.message

    def _request(self) -> str:
        return one_line(f"{self.method} {_path(self.url)}", LONGEST_ID)


class APIConnectionError(_RequestError):
    """No usable answer came: refused, reset, closed, cut.

    :param common: what every `OmiumError` takes.
    :ivar method: the HTTP method of the request.
    :ivar url: of the request.
    """


class APITimeoutError(APIConnectionError, TimeoutError):
    """No usable answer came in time."""


class StatusFields(RequestFields, total=False):
    """What every error of a status takes besides its message."""

    status: int
    body: bytes
    headers: Mapping[str, str] | None


class APIStatusError(_RequestError):
    """The service, its gateway or its edge answered with a status that is no success.

    :param request: ``method``, ``url``, and what every `OmiumError` takes.
    :ivar status: the HTTP status.
    :ivar message: the answer's own words, made readable.
    :ivar body: bytes as received, at most 64 KiB of them (decompressed).
    :ivar headers: of the answer, looked up in any case.
    :ivar method: the HTTP method of the request.
    :ivar url: of the request.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"status": 0, "body": b"", "headers": {}}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        status: int = 0,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **request: Unpack[RequestFields],
    ) -> None:
        self.status = status
        self.body = body
        self.headers = Headers({name.lower(): value for name, value in (headers or {}).items()})
        super().__init__(message, details, **request)

    def _headline(self) -> str:
        return f"{self._request()}: {self.status} {self.message}" if self.method else self.message


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

    :param status: the HTTP status, and whatever else an `APIStatusError` takes, by name.
    :ivar retry_after: seconds to wait, counted from the answer's arrival; ``None`` when the answer did not say.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"retry_after": None}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        retry_after: float | None = None,
        **status: Unpack[StatusFields],
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, details, **status)


class ServerError(APIStatusError):
    """5xx: the service or something before it failed."""


class InvalidResponseError(_RequestError):
    """An answer came and cannot be understood.

    :param request: ``method``, ``url``, and what every `OmiumError` takes.
    :ivar status: the HTTP status, ``None`` where there was none.
    :ivar body: bytes as received.
    :ivar path: the place of the offending value, such as ``items[3].id``; ``""`` where there is no JSON.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"status": None, "body": b"", "path": ""}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        status: int | None = None,
        body: bytes = b"",
        path: str = "",
        **request: Unpack[RequestFields],
    ) -> None:
        self.status = status
        self.body = body
        self.path = path
        super().__init__(message, details, **request)


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

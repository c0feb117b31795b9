"""Errors of one HTTP call."""

from __future__ import annotations

from collections.abc import Mapping

from .._data.codec import InvalidJSONError, decode_json
from .._data.text import LONGEST_ID, one_line
from .._data.validation import ValidationError
from .attempts import Headers
from .base import OmiumError
from .carried import BYTES, HEADERS, Carried
from .others import ConfigurationError
from .statuses import status_meaning


class _RequestError(OmiumError):
    """Base of the errors of an HTTP call: ``method`` and ``url`` of the request."""

    method: Carried[str, str] = Carried(default="")
    url: Carried[str, str] = Carried(default="")

    def _headline(self) -> str:
        return f"{self._request()}: {self.message}" if self.method else self.message

    def _request(self) -> str:
        return one_line(f"{self.method} {_path(self.url)}", LONGEST_ID)


class APIConnectionError(_RequestError):
    """No usable response arrived: the connection was refused, reset or closed, or the response was cut off.

    :ivar method: the HTTP method of the request.
    :ivar url: the URL of the request.
    """


class APITimeoutError(APIConnectionError, TimeoutError):
    """No usable response arrived in time."""


class APIStatusError(_RequestError):
    """The service, its gateway or its edge answered with an HTTP status other than success.

    :ivar status: the HTTP status.
    :ivar message: the message of the response, as readable text.
    :ivar body: the bytes as received, at most 64 KiB (decompressed).
    :ivar headers: the headers of the response, looked up in any case.
    :ivar method: the HTTP method of the request.
    :ivar url: the URL of the request.
    """

    status: Carried[int, int] = Carried(default=0)
    body: Carried[bytes, bytes] = Carried(default=b"", form=BYTES)
    headers: Carried[Mapping[str, str] | None, Headers] = Carried(default=None, store=Headers, form=HEADERS)

    def _headline(self) -> str:
        return f"{self._request()}: {self.status} {self.message}" if self.method else self.message

    def _is_final(self) -> bool:
        return is_final_refusal(self)


class BadRequestError(APIStatusError):
    """400: the request is malformed."""


class AuthenticationError(APIStatusError):
    """401: the key is missing, unknown or revoked."""


class PaymentRequiredError(APIStatusError):
    """402: the account is out of credits. Nothing was applied; repeat the call after the account has been topped up."""


class PermissionDeniedError(APIStatusError):
    """403: the key is not allowed to do this, or the edge refused the request."""


class NotFoundError(APIStatusError):
    """404: the execution, checkpoint or workflow does not exist."""


class ConflictError(APIStatusError):
    """409: the status of the execution does not allow the call."""


class UnprocessableEntityError(APIStatusError):
    """422: a field of the request is missing or invalid."""


class RateLimitError(APIStatusError):
    """429: too many requests.

    :ivar retry_after: seconds to wait, from the arrival of the response; ``None`` if the response did not say.
    """

    retry_after: Carried[float | None, float | None] = Carried(default=None)


class ServerError(APIStatusError):
    """5xx: the service, or a gateway before it, failed."""


class InvalidResponseError(_RequestError):
    """A response arrived and cannot be understood.

    :ivar method: the HTTP method of the request.
    :ivar url: the URL of the request.
    :ivar status: the HTTP status; ``None`` if there was no response, as in ``from_dict``.
    :ivar body: the bytes as received, at most 64 KiB (decompressed).
    :ivar path: the place of the wrong value, such as ``items[3].id``; ``""`` if the response is not JSON.
    """

    status: Carried[int | None, int | None] = Carried(default=None)
    body: Carried[bytes, bytes] = Carried(default=b"", form=BYTES)
    path: Carried[str, str] = Carried(default="")


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error_class(status: int) -> type[APIStatusError]:
    """Return the class of error of an HTTP status.

    A response that the address does not serve the call is a plain `APIStatusError`, also if its status is 404.
    """
    if 500 <= status <= 599:
        return ServerError
    return _BY_STATUS.get(status, APIStatusError)


def _path(url: str) -> str:
    _, _, rest = url.partition("://")
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def ends_batch(error: Exception) -> bool:
    """Whether the account or the address is refused, or there is no key, which concerns each item of a batch."""
    if isinstance(error, ConfigurationError):
        return True
    if not isinstance(error, APIStatusError):
        return False
    if error.status == 404:
        return not isinstance(error, NotFoundError)  # no such route
    return status_meaning(error.status).ends_batch and (error.status != 403 or _is_json(error.body))


def is_final_refusal(error: Exception) -> bool:
    """Whether the service refused the item itself, and would refuse it again."""
    if not isinstance(error, APIStatusError) or error.outcome_unknown or ends_batch(error):
        return False
    return 400 <= error.status < 500 and not status_meaning(error.status).outage


def _is_json(body: bytes) -> bool:
    try:
        decode_json(body)
    except InvalidJSONError:
        return False
    except ValidationError:
        pass
    return True

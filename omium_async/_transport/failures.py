"""From what was seen of a failed attempt to the error that says so, with the verdict on the write."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import attrs

from .._data.codec import NotJSON
from .._data.misfit import Misfit
from .._errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidResponseError,
    OmiumError,
    RateLimitError,
    status_error_class,
)
from .._settings.secret import Redactor
from .alarm import Alarm
from .answers import read_message, request_id_of, retry_after_of
from .request import Request
from .retry import read_is_retried, write_status_is_unknown, write_was_refused_for_now

__all__ = ["Failure", "Refused", "Seen", "TooLarge", "failure_of"]


class Seen(Alarm):
    """What was seen of one attempt so far, which its alarm bounds.

    :ivar sent: whether it may have reached the server; ``None``: not known yet. The connector sets it, the rest is set
        by the reading of answers.
    """

    # Written out, for one is made for every call.
    __slots__ = ("headers", "number", "request_id", "sent", "status")

    def __init__(self, number: int, request_id: str) -> None:
        self.number = number
        self.request_id = request_id
        self.sent: bool | None = None
        self.status: int | None = None
        self.headers: Mapping[str, str] | None = None


class Refused(Exception):  # noqa: N818 - a signal within the transport
    """An answer whose status is no success; carries what came of its body."""

    def __init__(self, reason: str | None, body: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body


class TooLarge(Exception):  # noqa: N818 - a signal within the transport
    """The body of a success is larger than the client takes; carries what it took."""

    def __init__(self, problem: str, body: bytes) -> None:
        super().__init__(problem)
        self.body = body


@attrs.frozen(eq=False)
class Failure:
    """A failed attempt: the error to raise if no other attempt follows, and whether one may."""

    error: OmiumError
    summary: str
    outcome_unknown: bool
    may_be_repeated: bool
    repeats_ambiguous_write: bool = False
    retry_after: float | None = None


def failure_of(
    error: Exception, body: bytes, request: Request, seen: Seen, redactor: Redactor, *, ambiguous_too: bool
) -> Failure | None:
    """What ``error`` means after what was ``seen``; ``None`` where it is no failure of the exchange but a defect.

    :param body: of a success that could not be understood. :param ambiguous_too: writes are repeated as reads are.
    """
    told = _refused(error, seen, redactor) if isinstance(error, Refused) else _told(error, body, seen, redactor)
    if told is None:
        return None
    found, summary, repeat = told
    found.request_id = _request_id(seen, error.body if isinstance(error, (Refused, TooLarge)) else body, redactor)
    unknown = request.is_write and write_is_unknown(seen)
    found.__cause__ = _cause(error, redactor)
    found.__suppress_context__ = True
    safe = not seen.sent or (seen.status is not None and write_was_refused_for_now(seen.status))
    may = safe if request.is_write and not ambiguous_too else repeat or not seen.sent
    return Failure(found, summary, unknown, may, may and unknown, _retry_after(seen))


def write_is_unknown(seen: Seen) -> bool:
    """Whether a write of which this was seen, and no success, may have been applied."""
    if not seen.sent:
        return False
    if seen.status is None or 200 <= seen.status < 300:
        return True
    return write_status_is_unknown(seen.status)


def _retry_after(seen: Seen) -> float | None:
    if seen.headers is None or seen.status is None or 200 <= seen.status < 300:
        return None
    return retry_after_of(seen.headers)


def _request_id(seen: Seen, body: bytes, redactor: Redactor) -> str:
    answered = None if seen.headers is None else request_id_of(seen.headers, body)
    return redactor.text(answered or seen.request_id)


def _lowered(headers: Mapping[str, str], redactor: Redactor) -> dict[str, str]:
    """Headers as a plain dict, names in lower case, those sent twice joined, secrets struck out."""
    found: dict[str, str] = {}
    for sent_name, sent_value in headers.items():
        name, value = redactor.text(sent_name).lower(), redactor.text(sent_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _refused(error: Refused, seen: Seen, redactor: Redactor) -> tuple[OmiumError, str, bool]:
    status = seen.status or 0
    message = redactor.text(read_message(error.body, error.reason))
    kind = status_error_class(status)
    more: dict[str, Any] = {}
    if issubclass(kind, RateLimitError):
        more["retry_after"] = retry_after_of(seen.headers or {})
    found = kind(
        message, status=status, body=redactor.body(error.body), headers=_lowered(seen.headers or {}, redactor), **more
    )
    return found, f"{status} {message}", read_is_retried(status)


def _told(error: Exception, body: bytes, seen: Seen, redactor: Redactor) -> tuple[OmiumError, str, bool] | None:
    """The error, its summary, and whether a read is worth asking again."""
    if isinstance(error, (Misfit, TooLarge)):
        text = redactor.text(str(error))
        path = redactor.text(error.path) if isinstance(error, Misfit) else ""
        body = error.body if isinstance(error, TooLarge) else body
        summary = f"{path}: {text}" if path else text
        found = InvalidResponseError(
            f"the answer cannot be understood: {summary}", status=seen.status, body=redactor.body(body), path=path
        )
        return found, summary, isinstance(error, NotJSON)
    text = redactor.text(_words(error))
    if isinstance(error, TimeoutError):
        return APITimeoutError(f"no complete answer in time ({text})"), text, True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return APIConnectionError(f"the proxy refused: {text}"), text, True
    if isinstance(error, aiohttp.ClientResponseError):  # the head of an answer that is not HTTP
        return InvalidResponseError(f"the answer is not HTTP: {text}", status=None), text, True
    if isinstance(error, (aiohttp.ClientError, OSError, EOFError)):
        return APIConnectionError(_situation(seen) + text), text, True
    if isinstance(error, ValueError) and seen.sent:  # aiohttp's parsers let a few through on malformed headers
        return InvalidResponseError(f"the answer is malformed: {text}", status=seen.status), text, True
    return None


def _situation(seen: Seen) -> str:
    if not seen.sent:
        return "no connection: "
    return "the connection broke before an answer came: " if seen.status is None else "the answer was cut off: "


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message.strip()}".splitlines()[0]
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _cause(error: Exception, redactor: Redactor) -> BaseException | None:
    """The system's own error underneath, made anew.

    The original's traceback holds frames of the HTTP library whose local variables are the request as it went out,
    with the key; it must not travel with what users log.
    """
    found = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(found, ssl.SSLError):
        return type(found)(*[redactor.text(a) if isinstance(a, str) else a for a in found.args])
    if isinstance(found, OSError) and found.errno is not None:
        return OSError(found.errno, redactor.text(found.strerror or ""))
    return None


def never_sent(error: BaseException) -> bool:
    """Whether ``error`` by itself says that no connection was had: all there is to go by with a user's own session."""
    return isinstance(
        error,
        (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError),
    )

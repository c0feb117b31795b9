"""From what was seen of a failed attempt to the error that says so, with the verdict on the write."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp
import attrs

from .._data.codec import InvalidJSONError
from .._data.text import clean_id, one_line
from .._data.validation import ValidationError
from .._errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidResponseError,
    OmiumError,
    RateLimitError,
    status_error_class,
)
from .._settings.secret import Redactor
from .answers import LARGEST_REFUSAL, joined, read_refusal, request_id_of, retry_after_of
from .attempt import LiveAttempt
from .request import Request
from .retry import read_is_retried, write_status_is_unknown, write_was_refused_for_now

if TYPE_CHECKING:
    from .._settings.configure import Options

__all__ = ["Failure", "FailureReader", "Refused", "TooLarge", "never_sent", "write_is_unknown"]


_LONGEST_QUOTE: Final = 500  # characters of what others say, within a message
#: How OpenSSL in its versions calls bytes that are none of TLS, such as a head of HTTP.
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


class Refused(Exception):  # noqa: N818 - a signal within the transport
    """An answer whose status is no success; carries what came of its body."""

    def __init__(self, reason: str | None, body: bytes, *, cut: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body
        self.cut = cut


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
    retry_after: float | None


class FailureReader:
    """Tells what failed attempts mean, for one client."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def of(
        self, problem: Exception, body: bytes, attempt: LiveAttempt, request: Request, options: Options
    ) -> Failure | None:
        """What ``problem`` means after what was seen of ``attempt``.

        :param body: of a success that could not be understood.
        :return: ``None`` where it is no failure of the exchange but a defect.
        """
        told = self._refused(problem, attempt) if isinstance(problem, Refused) else self._told(problem, body, attempt)
        if told is None:
            return None
        told.error.request_id = clean_id(self._redactor.text(told.request_id or attempt.request_id))
        told.error.__cause__ = self._cause(problem)
        told.error.__suppress_context__ = True
        unknown = request.is_write and write_is_unknown(attempt)
        safe = not attempt.sent or (attempt.status is not None and write_was_refused_for_now(attempt.status))
        as_read = not request.is_write or options.retry_ambiguous_writes
        return Failure(
            told.error,
            told.summary,
            unknown,
            may_be_repeated=(told.read_is_retried or not attempt.sent) if as_read else safe,
            retry_after=_retry_after(attempt),
        )

    # -- the error and its words ---------------------------------------------------------------------------------------

    def _refused(self, problem: Refused, attempt: LiveAttempt) -> _Told:
        status, headers = attempt.status or 0, attempt.headers or {}
        refusal = read_refusal(problem.body, headers, problem.reason)
        message = one_line(self._redactor.text(refusal.message, cut=problem.cut), _LONGEST_QUOTE)
        kind = status_error_class(status)
        more: dict[str, Any] = {}
        if issubclass(kind, RateLimitError):
            more["retry_after"] = retry_after_of(headers)
        error = kind(
            message,
            status=status,
            body=self._redactor.body(problem.body, cut=problem.cut),
            headers={self._redactor.text(name): self._redactor.text(text) for name, text in joined(headers).items()},
            **more,
        )
        return _Told(error, f"{status} {message}", read_is_retried(status), refusal.request_id)

    def _told(self, problem: Exception, body: bytes, attempt: LiveAttempt) -> _Told | None:
        if isinstance(problem, (ValidationError, TooLarge)):
            return self._not_understood(problem, body, attempt)
        text = one_line(self._redactor.text(_words(problem)), _LONGEST_QUOTE)
        error: OmiumError
        if isinstance(problem, TimeoutError):
            error = APITimeoutError(f"no complete answer in time ({text})")
        elif isinstance(problem, aiohttp.ClientHttpProxyError):
            error = APIConnectionError(f"the proxy refused: {text}")
        elif isinstance(problem, aiohttp.ClientResponseError):  # the head of an answer that is not HTTP
            error = InvalidResponseError(f"the answer is not HTTP: {text}", status=None)
        elif isinstance(problem, (aiohttp.ClientError, OSError, EOFError)):
            error = APIConnectionError(f"{_situation(problem, attempt)} ({text})")
        elif isinstance(problem, ValueError) and attempt.sent:
            # aiohttp's parsers let a few through on malformed headers
            error = InvalidResponseError(f"the answer is malformed: {text}", status=attempt.status)
        else:
            return None
        answered = None if attempt.headers is None else request_id_of(attempt.headers)
        return _Told(error, text, read_is_retried=True, request_id=answered)

    def _not_understood(self, problem: ValidationError | TooLarge, body: bytes, attempt: LiveAttempt) -> _Told:
        if isinstance(problem, TooLarge):
            body = problem.body
        text = self._redactor.text(str(problem))
        path = self._redactor.text(problem.path) if isinstance(problem, ValidationError) else ""
        summary = f"{path}: {text}" if path else text
        error = InvalidResponseError(
            f"the answer cannot be understood: {summary}",
            status=attempt.status,
            body=self._redactor.body(body[:LARGEST_REFUSAL], cut=len(body) > LARGEST_REFUSAL),
            path=path,
        )
        answered = request_id_of(attempt.headers or {}, body)
        return _Told(error, summary, isinstance(problem, InvalidJSONError), answered)

    def _cause(self, problem: Exception) -> BaseException | None:
        """The system's own error underneath, made anew.

        The original's traceback holds frames of the HTTP library whose local variables are the request as it went out,
        with the key; it must not travel with what users log.
        """
        found = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
        if isinstance(found, ssl.SSLError):
            return type(found)(*[self._redactor.text(a) if isinstance(a, str) else a for a in found.args])
        if isinstance(found, OSError) and found.errno is not None:
            return OSError(found.errno, self._redactor.text(found.strerror or ""))
        return None


class _Told(NamedTuple):
    """What is told of a failed attempt.

    :ivar error: without the call's particulars.
    :ivar summary: its words for the log.
    :ivar read_is_retried: whether a read that ends in it is worth asking again.
    :ivar request_id: as the answer has it.
    """

    error: OmiumError
    summary: str
    read_is_retried: bool
    request_id: str | None


def write_is_unknown(attempt: LiveAttempt) -> bool:
    """Whether a write of which this was seen, and no success, may have been applied."""
    if not attempt.sent:
        return False
    return attempt.status is None or write_status_is_unknown(attempt.status)


def _retry_after(attempt: LiveAttempt) -> float | None:
    if attempt.headers is None or attempt.status is None or 200 <= attempt.status < 300:
        return None
    return retry_after_of(attempt.headers)


def _situation(problem: Exception, attempt: LiveAttempt) -> str:
    cause = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
        return "no connection: what answers there does not speak TLS; is it http://, or another port?"
    if not attempt.sent:
        return "no connection"
    return "the connection broke before an answer came" if attempt.status is None else "the answer was cut off"


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message.strip()}".splitlines()[0]
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def never_sent(error: BaseException) -> bool:
    """Whether ``error`` by itself says that no connection was had: all there is to go by with a user's own session."""
    return isinstance(
        error,
        (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError),
    )

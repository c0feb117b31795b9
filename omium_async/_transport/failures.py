"""The failure of an attempt: the error to raise, the outcome of a write, and whether another attempt may follow."""

from __future__ import annotations

import errno
import ssl
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp

from .._data.codec import InvalidJSONError
from .._data.text import clean_id, one_line
from .._data.validation import ValidationError
from .._errors.base import OmiumError
from .._errors.calls import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    RateLimitError,
    status_error_class,
)
from .._errors.statuses import status_meaning
from .._request import Operation, Request
from .._settings.configure import KEY_FUNCTION
from .answers import LARGEST_ERROR_BODY, joined, json_object, read_error_body, request_id_of, retry_after_of
from .attempt import LiveAttempt
from .pacing import MINUTE

if TYPE_CHECKING:
    from .._settings.declared import Options, Settings

_LATEST: Final = 2.0**32  # seconds since 1970, in messages: a response may name any number
_OUT_OF_CREDITS: Final = (
    " (the account is out of credits; nothing was applied: top it up, then repeat the call, or start the batch again "
    "with the same journal)"
)
_LONGEST_QUOTE: Final = 500  # characters of a server's or library's words in a message
#: OpenSSL's reasons, in all its versions, for bytes that are not TLS, such as the head of an HTTP response.
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


class NotSuccessful(Exception):  # noqa: N818 - a signal within the transport
    """A response whose status is no success, with what was received of its body."""

    def __init__(self, reason: str | None, body: bytes, *, cut: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body
        self.cut = cut


class TooLarge(Exception):  # noqa: N818 - a signal within the transport
    """The body of a success is larger than ``max_response_bytes``; holds the beginning of it."""

    def __init__(self, limit: int, body: bytes) -> None:
        super().__init__(f"it is larger than {limit} bytes (max_response_bytes)")
        self.body = body


class Failure(NamedTuple):
    """A failed attempt.

    :ivar error: to raise if no other attempt follows.
    :ivar summary: its words in the log.
    """

    error: OmiumError
    summary: str
    outcome_unknown: bool
    may_be_repeated: bool
    retry_after: float | None


class FailureReader:
    """Judges the failed attempts of one client."""

    def __init__(self, settings: Settings) -> None:
        self._redactor = settings.redactor
        self._base_url = settings.base_url
        self._origins = settings.origins

    def of(
        self, problem: Exception, body: bytes, attempt: LiveAttempt, request: Request, options: Options
    ) -> Failure | None:
        """Return the failure of an attempt; ``None`` if ``problem`` is a defect, not a failure of the exchange.

        :param body: of a success that could not be understood.
        """
        found: _AttemptError | None
        if isinstance(problem, NotSuccessful):
            found = self._refused(problem, attempt, request)
        elif isinstance(problem, (ValidationError, TooLarge)):
            found = self._not_understood(problem, body, attempt)
        else:
            found = self._no_response(problem, attempt)
        if found is None:
            return None
        found.error.request_id = clean_id(self._redactor.text(found.request_id or attempt.request_id))
        found.error.__cause__ = self._cause(problem)
        found.error.__suppress_context__ = True
        if request.is_write and not options.retry_ambiguous_writes:
            repeated = attempt.status is not None and status_meaning(attempt.status).refused_for_now
        else:
            repeated = found.retries_read
        return Failure(
            found.error,
            found.summary,
            outcome_unknown=request.is_write and write_is_unknown(attempt),
            may_be_repeated=repeated or not attempt.sent,
            retry_after=_retry_after(attempt),
        )

    # -- the error and its words ---------------------------------------------------------------------------------------

    def _refused(self, problem: NotSuccessful, attempt: LiveAttempt, request: Request) -> _AttemptError:
        status, headers = attempt.status or 0, attempt.headers or {}
        body = self._redactor.body(problem.body, cut=problem.cut)
        refusal = read_error_body(body, headers, problem.reason)
        message = one_line(self._redactor.text(refusal.message), _LONGEST_QUOTE)
        is_missing = _is_missing_route(status, message, request.operation)
        retry_after = retry_after_of(headers)
        message += self._advice(status, message, request, retry_after, is_missing=is_missing)
        kind = APIStatusError if is_missing else status_error_class(status)
        more: dict[str, Any] = {}
        if issubclass(kind, RateLimitError):
            more["retry_after"] = retry_after
        error = kind(
            message,
            status=status,
            body=body,
            headers=self._redactor.headers(joined(headers)),
            **more,
        )
        return _AttemptError(error, f"{status} {message}", status_meaning(status).retries_read, refusal.request_id)

    def _advice(
        self, status: int, message: str, request: Request, retry_after: float | None, *, is_missing: bool
    ) -> str:
        """Return what the caller can do about a refusal, for the end of its message."""
        if is_missing:
            source = self._source("base_url")
            return f" (this address does not serve the call; the base URL is {self._base_url}, from {source})"
        if status == 401:
            return f" (the key came from {self._source('api_key')})"
        if status == 402:
            return _OUT_OF_CREDITS
        if status == 422 and request.body is not None:
            return _advice_about_ids(message, request.body)
        return "" if retry_after is None or retry_after <= MINUTE else f"; {_time_after(retry_after)}"

    def _source(self, name: str) -> str:
        source = self._origins.get(name, "default")
        words = {"argument": f"the argument {name}", "default": "the default", KEY_FUNCTION: f"the {KEY_FUNCTION}"}
        return words.get(source, source)

    def _no_response(self, problem: Exception, attempt: LiveAttempt) -> _AttemptError | None:
        text = one_line(self._redactor.text(_words(problem)), _LONGEST_QUOTE)
        error: OmiumError
        if isinstance(problem, TimeoutError):
            error = APITimeoutError(f"no complete response in time ({text})")
        elif isinstance(problem, aiohttp.ClientHttpProxyError):
            error = APIConnectionError(f"the proxy refused: {text}")
        elif isinstance(problem, aiohttp.ClientResponseError):  # the head of a response that is not HTTP
            error = InvalidResponseError(f"the response is not HTTP: {text}", status=None)
        elif isinstance(problem, aiohttp.ClientConnectorError) and problem.os_error.errno == errno.ECONNREFUSED:
            error = APIConnectionError(self._nothing_listens(problem))
        elif isinstance(problem, (aiohttp.ClientError, OSError, EOFError)):
            error = APIConnectionError(f"{_situation(problem, attempt)} ({text})")
        elif isinstance(problem, ValueError) and attempt.sent:
            # aiohttp's parsers raise a few of these for malformed headers
            error = InvalidResponseError(f"the response is malformed: {text}", status=attempt.status)
        else:
            return None
        answered = None if attempt.headers is None else request_id_of(attempt.headers)
        return _AttemptError(error, text, retries_read=True, request_id=answered)

    def _nothing_listens(self, problem: aiohttp.ClientConnectorError) -> str:
        url = urlsplit(self._base_url)
        if problem.host not in (url.hostname, f"[{url.hostname}]"):
            return self._redactor.text(f"no connection: nothing listens at {problem.host}:{problem.port} (the proxy?)")
        return f"no connection: nothing listens at {url.scheme}://{url.netloc}; is the server running?"

    def _not_understood(self, problem: ValidationError | TooLarge, body: bytes, attempt: LiveAttempt) -> _AttemptError:
        cut = isinstance(problem, TooLarge) or len(body) > LARGEST_ERROR_BODY
        if isinstance(problem, TooLarge):
            body = problem.body
        text = self._redactor.text(str(problem))
        path = self._redactor.text(problem.path) if isinstance(problem, ValidationError) else ""
        summary = f"{path}: {text}" if path else text
        error = InvalidResponseError(
            f"the response cannot be understood: {summary}",
            status=attempt.status,
            body=self._redactor.body(body[:LARGEST_ERROR_BODY], cut=cut),
            path=path,
        )
        answered = request_id_of(attempt.headers or {}, body)
        return _AttemptError(error, summary, isinstance(problem, InvalidJSONError), answered)

    def _cause(self, problem: Exception) -> BaseException | None:
        """Return a new instance of the system's own error.

        The traceback of the original has frames of aiohttp with the request, and so the key, among their variables.
        """
        found = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
        if isinstance(found, ssl.SSLError):
            return type(found)(*[self._redactor.text(a) if isinstance(a, str) else a for a in found.args])
        if isinstance(found, OSError) and found.errno is not None:
            return OSError(found.errno, self._redactor.text(found.strerror or ""))
        return None


class _AttemptError(NamedTuple):
    """The error of a failed attempt, without the request's details."""

    error: OmiumError
    summary: str
    retries_read: bool
    request_id: str | None


def _is_missing_route(status: int, message: str, operation: Operation | None) -> bool:
    """Whether a gateway or FastAPI answered that the address does not serve the call.

    FastAPI's "Not Found" may also be about the id in the path of an endpoint that the service has.
    """
    if status != 404:
        return status == 405
    if "no route matched" in message.lower():
        return True
    names_no_item = operation is not None and ("{" not in operation.template or not operation.is_documented)
    return message == "Not Found" and names_no_item


def _advice_about_ids(message: str, body: bytes) -> str:
    """Return the advice for a 422 about an id that is no UUID, which the live service wants."""
    sent = json_object(body) or {}
    wrong = [name for name in ("workflow_id", "agent_id") if name in message and not _is_uuid(sent.get(name))]
    if not wrong:
        return ""
    text = f" ({' and '.join(wrong)}: the service wants a UUID"
    if "workflow_id" in wrong:
        text += "; `omiumctl workflows` lists those of the workflows"
    if "agent_id" in wrong:
        text += "; AsyncOmium(agent_id=...) or with_options(agent_id=...) sets the one of all calls"
    return text + ")"


def _is_uuid(text: Any) -> bool:
    try:
        UUID(text)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _time_after(seconds: float) -> str:
    when = datetime.fromtimestamp(min(time() + seconds, _LATEST), UTC)
    return f"the service accepts requests again at {when:%Y-%m-%d %H:%M:%S} UTC"


def write_is_unknown(attempt: LiveAttempt) -> bool:
    """Whether a write may have been applied, if this was seen of it and no success."""
    if not attempt.sent:
        return False
    return attempt.status is None or status_meaning(attempt.status).write_unknown


def _retry_after(attempt: LiveAttempt) -> float | None:
    if attempt.headers is None or attempt.status is None or 200 <= attempt.status < 300:
        return None
    return retry_after_of(attempt.headers)


def _situation(problem: Exception, attempt: LiveAttempt) -> str:
    cause = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
        return "no connection: the server does not speak TLS; is the URL http://, or the port another?"
    if not attempt.sent:
        return "no connection"
    return "the connection broke before a response came" if attempt.status is None else "the response was cut off"


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message.strip()}".splitlines()[0]
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def never_sent(error: BaseException) -> bool:
    """Whether the error alone shows that there was no connection: the only evidence with a session of the user's."""
    return isinstance(
        error,
        (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError),
    )

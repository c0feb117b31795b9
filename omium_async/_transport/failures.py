"""From what was seen of a failed attempt to the error that says so, with the verdict on the write."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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
from .answers import read_message, request_id_of, retry_after_of
from .attempt import LiveAttempt
from .request import Request
from .retry import read_is_retried, write_status_is_unknown, write_was_refused_for_now

if TYPE_CHECKING:
    from .._settings.configure import Options

__all__ = ["Failure", "Failures", "Refused", "TooLarge", "never_sent", "write_is_unknown"]


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
    retry_after: float | None


class Failures:
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
        if isinstance(problem, (Refused, TooLarge)):
            body = problem.body
        told = self._refused(problem, attempt) if isinstance(problem, Refused) else self._told(problem, body, attempt)
        if told is None:
            return None
        answered = None if attempt.headers is None else request_id_of(attempt.headers, body)
        told.error.request_id = self._redactor.text(answered or attempt.request_id)
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
        message = self._redactor.text(read_message(problem.body, problem.reason))
        kind = status_error_class(status)
        more: dict[str, Any] = {}
        if issubclass(kind, RateLimitError):
            more["retry_after"] = retry_after_of(headers)
        error = kind(
            message, status=status, body=self._redactor.body(problem.body), headers=self._lowered(headers), **more
        )
        return _Told(error, f"{status} {message}", read_is_retried(status))

    def _told(self, problem: Exception, body: bytes, attempt: LiveAttempt) -> _Told | None:
        if isinstance(problem, (Misfit, TooLarge)):
            return self._not_understood(problem, body, attempt)
        text = self._redactor.text(_words(problem))
        error: OmiumError
        if isinstance(problem, TimeoutError):
            error = APITimeoutError(f"no complete answer in time ({text})")
        elif isinstance(problem, aiohttp.ClientHttpProxyError):
            error = APIConnectionError(f"the proxy refused: {text}")
        elif isinstance(problem, aiohttp.ClientResponseError):  # the head of an answer that is not HTTP
            error = InvalidResponseError(f"the answer is not HTTP: {text}", status=None)
        elif isinstance(problem, (aiohttp.ClientError, OSError, EOFError)):
            error = APIConnectionError(_situation(attempt) + text)
        elif isinstance(problem, ValueError) and attempt.sent:
            # aiohttp's parsers let a few through on malformed headers
            error = InvalidResponseError(f"the answer is malformed: {text}", status=attempt.status)
        else:
            return None
        return _Told(error, text, read_is_retried=True)

    def _not_understood(self, problem: Misfit | TooLarge, body: bytes, attempt: LiveAttempt) -> _Told:
        text = self._redactor.text(str(problem))
        path = self._redactor.text(problem.path) if isinstance(problem, Misfit) else ""
        summary = f"{path}: {text}" if path else text
        error = InvalidResponseError(
            f"the answer cannot be understood: {summary}",
            status=attempt.status,
            body=self._redactor.body(body),
            path=path,
        )
        return _Told(error, summary, isinstance(problem, NotJSON))

    def _lowered(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers as a plain dict, names in lower case, those sent twice joined, secrets struck out."""
        found: dict[str, str] = {}
        for sent_name, sent_value in headers.items():
            name, value = self._redactor.text(sent_name).lower(), self._redactor.text(sent_value)
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

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
    """An error, its words for the log, and whether a read that ends in it is worth asking again."""

    error: OmiumError
    summary: str
    read_is_retried: bool


def write_is_unknown(attempt: LiveAttempt) -> bool:
    """Whether a write of which this was seen, and no success, may have been applied."""
    if not attempt.sent:
        return False
    if attempt.status is None or 200 <= attempt.status < 300:
        return True
    return write_status_is_unknown(attempt.status)


def _retry_after(attempt: LiveAttempt) -> float | None:
    if attempt.headers is None or attempt.status is None or 200 <= attempt.status < 300:
        return None
    return retry_after_of(attempt.headers)


def _situation(attempt: LiveAttempt) -> str:
    if not attempt.sent:
        return "no connection: "
    return "the connection broke before an answer came: " if attempt.status is None else "the answer was cut off: "


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

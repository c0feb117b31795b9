"""One call: attempts within a deadline, each judged, until one succeeds or none may follow."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import aiohttp
from multidict import CIMultiDict

from .._data.text import clean_id
from .._errors import APITimeoutError, Attempt, OmiumError, WriteOutcome
from .._request import Request
from .._settings.secret import Redactor
from .admission import Lane, TooLate
from .answers import RawResponse, joined, request_id_of
from .attempt import LiveAttempt
from .exchange import Exchange, fixed_headers
from .failures import Failure, FailureReader, never_sent, write_is_unknown
from .pacing import MINUTE, Pacer
from .reports import Reports, log
from .retry import Budget, backoff
from .session import Connections, Sessions

if TYPE_CHECKING:
    from .._outage import Outage
    from .._settings.declared import Options, Settings
    from .._telemetry import CallSpan

__all__ = ["Transport"]

T = TypeVar("T")

_ID_PREFIX: Final = os.urandom(10).hex()
_TOO_LATE: Final = "the call's timeout ends before the request may be sent (rate limit, or no free connection)"


class _CallState:
    """The state of a call.

    :ivar deadline: by ``time.monotonic``; infinity: none.
    :ivar period: of the lane, when it admitted the attempt.
    :ivar attempts: those that failed.
    :ivar failure: the last attempt's; ``None`` before the first failed.
    """

    __slots__ = ("attempts", "connections", "deadline", "failure", "lane", "options", "period", "request", "span")

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

    @property
    def time_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - monotonic()

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
        unknown = any(attempt.outcome_unknown for attempt in self.attempts)
        error.outcome = WriteOutcome.UNKNOWN if unknown else WriteOutcome.NOT_APPLIED
        error.method, error.url = self.request.method, redactor.text(self.request.url)  # type: ignore[attr-defined]
        raise error from error.__cause__


class Transport:
    """Makes the calls of one client and of its copies with other options."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None, user_agent: str) -> None:
        self._redactor = settings.redactor
        self._telemetry = settings.telemetry
        headers = fixed_headers(settings, user_agent)
        # As the session's own they cost nearly nothing, but aiohttp then also sends them to a proxy with its CONNECT.
        kept = session is None and settings.proxy is None
        self._pacer = Pacer(settings.rate_limit)
        self._sessions = Sessions(self._pacer, settings.max_connections, session, headers if kept else CIMultiDict())
        self._exchange = Exchange(settings, headers, own=session is None, kept=kept)
        self._failures = FailureReader(settings)
        self._reports = Reports(settings.redactor)
        self._budget = Budget()
        self._numbers = itertools.count(int.from_bytes(os.urandom(4)))  # of requests; safe in several threads

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self._sessions.closed:
            self._sessions.raise_closed()

    async def close(self) -> None:
        """Close all connections. Calls that wait, and later calls, raise."""
        await self._sessions.close()

    def rate_limit_delay(self) -> float:
        """Return the seconds for which the client's own ``rate_limit`` holds back the next request; 0: it does not."""
        return self._pacer.rate_limit_delay()

    def outage(self) -> Outage:
        """Return the outage that all operations on the running loop share, after a request of one was made.

        :raises RuntimeError: the client was closed meanwhile.
        """
        connections = self._sessions.known()
        if connections is None:
            self._sessions.raise_closed()
        return connections.outage

    async def call_raw(self, request: Request, options: Options) -> RawResponse:
        """Send ``request`` as `call` does, and return the response undecoded."""
        kept: list[LiveAttempt] = []
        body = await self.call(request, bytes, options, keep=kept.append)
        (attempt,) = kept
        headers = joined(attempt.headers or {})
        request_id = clean_id(request_id_of(headers, body) or attempt.request_id)
        return RawResponse(attempt.status or 0, headers, body, request_id)

    def call(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        lane: Lane | None = None,
        keep: Callable[[LiveAttempt], object] | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Send ``request`` until an attempt succeeds or none may follow, and decode the response.

        :param lane: the lane of a batch, which decides when the call may begin.
        :param keep: receives the attempt that succeeded.
        :raises OmiumError: the error of the last attempt, with the outcome of all of them.
        :raises LaneClosed: the lane is closed; nothing was sent.
        :raises RuntimeError: the client is closed, or no asyncio task makes the call.
        """
        make = self._call if self._telemetry is None else self._traced_call
        return make(request, decode, options, lane, keep)

    async def _traced_call(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        lane: Lane | None,
        keep: Callable[[LiveAttempt], object] | None,
    ) -> T:
        assert self._telemetry is not None  # noqa: S101 - for the type checkers
        span = self._telemetry.call_started(request)
        if span is None:
            return await self._call(request, decode, options, lane, keep)
        try:
            result = await self._call(request, decode, options, lane, keep, span)
        except BaseException as error:
            span.ended(None, error)
            raise
        span.ended(result, None)
        return result

    async def _call(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        lane: Lane | None,
        keep: Callable[[LiveAttempt], object] | None,
        span: CallSpan | None = None,
    ) -> T:
        connections = self._sessions.known() or await self._sessions.open()
        state = _CallState(request, options, connections, lane, span)
        while True:
            if not connections.gate.enter_now(lane):
                await self._admit(state)
            elif lane is not None:
                state.period = lane.period
            attempt = LiveAttempt(len(state.attempts) + 1, f"{_ID_PREFIX}{next(self._numbers)}", monotonic())
            body = b""
            try:
                connections.timeouts.start(attempt, state.attempt_timeout(attempt.started))
                if span is not None:
                    attempt.traced = span.attempt_starts(attempt.number)
                body = await self._exchange.run(request, attempt, connections.session, options.headers)
                value = decode(body)
            except BaseException as error:
                if not self._failed(state, attempt, error, body):
                    raise
            else:
                self._succeeded(state, attempt)
                if keep is not None:
                    keep(attempt)
                return value
            del body  # tracebacks may show local variables, and a response may echo the key
            await self._before_next(state)

    # -- before an attempt ---------------------------------------------------------------------------------------------

    async def _admit(self, state: _CallState) -> None:
        """Wait for the lane, the rate limit, a pause, and a free connection."""
        gate = state.connections.gate
        if state.span is not None:
            state.span.waits()
        try:
            state.period = await gate.enter(state.lane, state.deadline, first=bool(state.attempts))
            if not self._sessions.closed and state.time_left > 0:
                return
            gate.leave(state.lane, state.period, sent=False)
        except TooLate:
            pass
        finally:
            if state.span is not None:
                state.span.waited()
        if self._sessions.closed and state.failure is None:
            self._sessions.raise_closed()
        state.raise_error(APITimeoutError(_TOO_LATE), self._redactor)

    # -- after an attempt ----------------------------------------------------------------------------------------------

    def _succeeded(self, state: _CallState, attempt: LiveAttempt) -> None:
        state.connections.timeouts.stop(attempt)
        self._leave(state, attempt)
        if state.attempts or not self._budget.full:
            self._budget.give(len(state.attempts))
        if state.options.on_attempt is None and state.span is None and not log.isEnabledFor(logging.DEBUG):
            return
        answered = request_id_of(attempt.headers) if attempt.headers else None
        request_id = self._redactor.text(answered or attempt.request_id)
        record = attempt.record(
            state.request, self._redactor, request_id=request_id, with_headers=state.options.on_attempt is not None
        )
        self._reports.ended(state.request, record, state.options, state.span)

    def _failed(self, state: _CallState, attempt: LiveAttempt, error: BaseException, body: bytes) -> bool:
        """Judge a failed attempt; return False if the error is a cancellation or a defect."""
        problem = error
        if isinstance(error, asyncio.CancelledError) and attempt.take_time_out():
            problem = TimeoutError(f"after {attempt.timeout:.3g} s")
        began = state.connections.timeouts.stop(attempt)
        closed = isinstance(problem, RuntimeError) and state.connections.session.closed
        if attempt.sent is None:  # unwatched: a replacement of aiohttp's session, as in tests
            attempt.sent = not closed and not never_sent(problem)
        failure = None
        try:
            if isinstance(problem, Exception) and began:
                failure = self._failures.of(problem, body, attempt, state.request, state.options)
        finally:
            self._leave(state, attempt, failure, sent=began)
        if began:
            self._record_failure(state, attempt, problem, failure)
        if closed and failure is None and began:
            self._sessions.raise_closed()
        return failure is not None

    def _record_failure(
        self, state: _CallState, attempt: LiveAttempt, problem: BaseException, failure: Failure | None
    ) -> None:
        request = state.request
        if failure is None:
            seen: dict[str, Any] = {
                "error": type(problem).__name__,
                "outcome_unknown": request.is_write and write_is_unknown(attempt),
            }
        else:
            problem = failure.error
            seen = {
                "error": failure.summary,
                "outcome_unknown": failure.outcome_unknown,
                "retry_after": failure.retry_after,
                "request_id": failure.error.request_id,
            }
        record = attempt.record(request, self._redactor, **seen)
        self._reports.ended(request, record, state.options, state.span, problem)
        if failure is not None:
            state.attempts += (record,)
            state.failure = failure

    def _leave(
        self, state: _CallState, attempt: LiveAttempt, failure: Failure | None = None, *, sent: bool = True
    ) -> None:
        """Let the next call in, after the pacer has seen the response."""
        if attempt.headers is not None and self._pacer.concerns(attempt.status, attempt.headers):
            retry_after = None if failure is None else failure.retry_after
            self._pacer.learn(attempt, retry_after, state.options.backoff, state.time_left)
        state.connections.gate.leave(state.lane, state.period, sent=sent)

    async def _before_next(self, state: _CallState) -> None:
        """Wait before the next attempt, or raise the failure if none may follow."""
        request, options, attempt, failure = state.request, state.options, state.attempts[-1], state.failure
        assert failure is not None  # noqa: S101 - for the type checkers: an attempt failed
        retries = len(state.attempts) - 1
        asked = failure.retry_after or 0.0
        left = state.time_left - asked
        if not failure.may_be_repeated or retries >= options.max_retries or left <= 0 or self._sessions.closed:
            state.raise_error(failure.error, self._redactor)
        if attempt.status == 429:
            delay = asked if asked > MINUTE else 0.0  # shorter waits are a pause of all calls, in which it goes first
        elif self._budget.take():
            delay = asked + min(backoff(retries, options.backoff), left / 2)  # the rest of the time is the attempt's
        else:
            self._reports.given_up(request, attempt)
            state.raise_error(failure.error, self._redactor)
        paced = attempt.status == 429 and not delay
        self._reports.retried(request, attempt, None if paced else delay, again=failure.outcome_unknown)
        if delay:
            await state.connections.pause(delay)
        if state.time_left <= 0 or self._sessions.closed:
            state.raise_error(failure.error, self._redactor)

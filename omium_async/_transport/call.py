"""One call: attempts within a deadline, each judged, until one succeeds or none may follow."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import aiohttp
from multidict import CIMultiDict

from .._data.masked import SecretFunction
from .._data.text import clean_id
from .._errors.calls import APITimeoutError
from .._errors.others import ConfigurationError
from .._request import Request
from .admission import Lane, TooLate
from .answers import RawResponse, joined, request_id_of
from .attempt import LiveAttempt
from .exchange import Exchange, fixed_headers
from .failures import Failure, FailureReader, never_sent, write_is_unknown
from .keys import IssuedKey, Keys
from .pacing import MINUTE, Pacer
from .reports import Reports, log
from .retry import Budget, backoff
from .session import Sessions
from .state import CallState

if TYPE_CHECKING:
    from .._outage import Outage
    from .._settings.declared import Options, Settings
    from .._telemetry import CallSpan

T = TypeVar("T")

_ID_PREFIX: Final = os.urandom(10).hex()
_MOST_KEYS: Final = 10  # of one call: a service that refuses one call with each new key must not see it for ever
_NO_KEY: Final = "the call's timeout ended before the api_key function returned a key"
_TOO_LATE: Final = "the call's timeout ends before the request may be sent (rate limit, or no free connection)"


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
        key = settings.api_key
        self._keys = Keys(key, settings.redactor) if isinstance(key, SecretFunction) else None
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
        connections, keys = self._sessions.known() or await self._sessions.open(), self._keys
        state = CallState(request, options, connections, lane, span)
        while True:
            if (keys is not None and keys.current is None) or not connections.gate.enter_now(lane):
                await self._admit(state)
            elif lane is not None:
                state.period = lane.period
            attempt = LiveAttempt(len(state.attempts) + 1, f"{_ID_PREFIX}{next(self._numbers)}", monotonic())
            attempt.key = state.key = None if keys is None else keys.current
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

    async def _admit(self, state: CallState) -> None:
        """Wait for the first key, the lane, the rate limit, a pause, and a free connection."""
        if self._keys is not None and self._keys.current is None:
            await self._next_key(self._keys, state)
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
        self._raise_too_late(state, _TOO_LATE)

    def _raise_too_late(self, state: CallState, problem: str) -> NoReturn:
        """Raise the error of a call that ends before its next attempt begins."""
        if self._sessions.closed and state.failure is None:
            self._sessions.raise_closed()
        state.raise_error(APITimeoutError(problem), self._redactor)

    async def _next_key(self, keys: Keys, state: CallState) -> IssuedKey:
        """Return a key that the function returned after that of the last attempt."""
        seconds = None if state.options.timeout is None else max(0.0, state.time_left)
        if seconds is None and state.lane is not None:  # the calls of a batch have no time-out; a hang must end
            seconds = state.options.attempt_timeout
        limit, waits = asyncio.timeout(seconds), state.connections.waits
        try:
            async with limit:
                waits.add(limit)
                return await keys.after(state.key)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                if not state.is_unknown:
                    state.failure = None  # a 401 says less
                self._raise_too_late(state, _NO_KEY)
            if state.failure is not None and state.is_unknown:  # the exception could not say so
                state.failure.error.__cause__ = error
                state.raise_error(state.failure.error, self._redactor)
            if isinstance(error, ConfigurationError):
                error.attempts, error.idempotency_key = state.attempts, state.request.key
            else:
                self._add_note(error, state.request)
            raise
        finally:
            waits.discard(limit)

    def _add_note(self, error: Exception, request: Request) -> None:
        """Add a note to an exception of the ``api_key`` function, which may be that of several calls."""
        path = self._redactor.text(request.path)
        note = f"raised by the api_key function of the client; {request.method} {path} was not applied"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)

    # -- after an attempt ----------------------------------------------------------------------------------------------

    def _succeeded(self, state: CallState, attempt: LiveAttempt) -> None:
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

    def _failed(self, state: CallState, attempt: LiveAttempt, error: BaseException, body: bytes) -> bool:
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
        self, state: CallState, attempt: LiveAttempt, problem: BaseException, failure: Failure | None
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
        self, state: CallState, attempt: LiveAttempt, failure: Failure | None = None, *, sent: bool = True
    ) -> None:
        """Let the next call in, after the pacer has seen the response."""
        if attempt.headers is not None and self._pacer.concerns(attempt.status, attempt.headers):
            retry_after = None if failure is None else failure.retry_after
            self._pacer.learn(attempt, retry_after, state.options.backoff, state.time_left)
        if self._keys is not None and attempt.key is not None and attempt.status not in {None, 401}:
            self._keys.accept(attempt.key)
        state.connections.gate.leave(state.lane, state.period, sent=sent)

    async def _before_next(self, state: CallState) -> None:
        """Wait before the next attempt, or raise the failure if none may follow."""
        attempt, failure, keys = state.attempts[-1], state.failure, self._keys
        assert failure is not None  # noqa: S101 - for the type checkers: an attempt failed
        if attempt.status == 401 and keys is not None and await self._has_other_key(keys, state):
            delay = min(backoff(state.keys - 2, state.options.backoff), state.time_left / 2) if state.keys > 1 else 0.0
        else:
            delay = self._delay(state, failure)
        paced = attempt.status == 429 and not delay
        self._reports.retried(state.request, attempt, None if paced else delay, again=failure.outcome_unknown)
        if delay > 0:
            await state.connections.pause(delay)
        if state.time_left <= 0 or self._sessions.closed:
            state.raise_error(failure.error, self._redactor)

    def _delay(self, state: CallState, failure: Failure) -> float:
        """Return the seconds until the next attempt, or raise the failure if none may follow."""
        options, attempt = state.options, state.attempts[-1]
        retries = len(state.attempts) - 1
        asked = failure.retry_after or 0.0
        left = state.time_left - asked
        if not failure.may_be_repeated or retries >= options.max_retries or left <= 0 or self._sessions.closed:
            state.raise_error(failure.error, self._redactor)
        if attempt.status == 429:
            return asked if asked > MINUTE else 0.0  # shorter waits are a pause of all calls, in which it goes first
        if self._budget.take():
            return asked + min(backoff(retries, options.backoff), left / 2)  # the rest of the time is the attempt's
        self._reports.given_up(state.request, attempt)
        return state.raise_error(failure.error, self._redactor)

    async def _has_other_key(self, keys: Keys, state: CallState) -> bool:
        """Whether the function returns another key than the refused one.

        A call is sent with one new key. If that is refused too, it needs another only if the service had accepted it:
        it was changed again meanwhile.
        """
        refused = state.key
        if refused is None or state.keys >= _MOST_KEYS or (state.keys and not keys.was_accepted(refused)):
            return False
        state.keys += 1
        return (await self._next_key(keys, state)).text != refused.text

"""One logical call: attempts within a deadline, each seen to its end, and the verdict on a write."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from multidict import CIMultiDict, istr

from .._data.text import clean_id
from .._errors import APITimeoutError
from .._permit import CalledBack
from .allowance import RATE_HEADERS
from .answers import RawResponse, joined, request_id_of
from .attempt import LiveAttempt
from .exchange import Exchange, fixed_headers
from .failures import FailureReader, never_sent, write_is_unknown
from .pacing import Pacer, TooLate
from .progress import Progress
from .reports import Reports, log
from .request import Request
from .retry import Budget, backoff
from .session import Connections, Sessions

if TYPE_CHECKING:
    import aiohttp

    from .._settings.declared import Options, Settings
    from .._telemetry import CallSpan

__all__ = ["TracedTransport", "Transport"]

T = TypeVar("T")

_RATE_0, _RATE_1, _RATE_2, _RATE_3 = (istr(name) for name in RATE_HEADERS)
_ID_PREFIX: Final = os.urandom(10).hex()
_TOO_LATE: Final = "the call's timeout ends before it may be sent (rate limit or no free connection)"


class Transport:
    """Makes calls for one client; shared by all its copies with other options."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None, user_agent: str) -> None:
        self._redactor = settings.redactor
        self._telemetry = settings.telemetry
        headers = fixed_headers(settings, user_agent)
        # As a session's own they cost next to nothing; but those aiohttp also sends to a proxy with its CONNECT.
        kept = session is None and settings.proxy is None
        self._sessions = Sessions(settings.max_connections, session, headers if kept else CIMultiDict())
        self._exchange = Exchange(settings, headers, own=session is None, kept=kept)
        self._failures = FailureReader(settings.redactor)
        self._reports = Reports(settings.redactor)
        self._pacer = Pacer(settings.rate_limit)
        self._budget = Budget()
        self._numbers = itertools.count(int.from_bytes(os.urandom(4)))  # of requests; safe in several threads

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        if self._sessions.closed:
            self._sessions.raise_closed()

    async def close(self) -> None:
        """Close all connections and wake whoever waits. Calls after that are refused."""
        self._sessions.closed = True
        self._pacer.close()
        await self._sessions.close()

    async def call_raw(self, request: Request, options: Options) -> RawResponse:
        """Send ``request`` as `call` does, without a look at the body of the answer."""
        kept: list[LiveAttempt] = []
        body = await self.call(request, bytes, options, kept.append)
        (attempt,) = kept
        headers = joined(attempt.headers or {})
        request_id = clean_id(request_id_of(headers, body) or attempt.request_id)
        return RawResponse(attempt.status or 0, headers, body, request_id)

    async def call(  # noqa: C901 - one loop, to be seen whole
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        keep: Callable[[LiveAttempt], object] | None = None,
        span: CallSpan | None = None,
    ) -> T:
        """Send ``request`` until it is answered or there is no sense in trying again, and decode the answer.

        :param keep: is given what was seen of the success.
        :param span: is told what happens; ``None`` where there is no telemetry.
        :raises OmiumError: what the last attempt ended with, and the verdict of all of them.
        :raises CalledBack: none began, and its permit was withdrawn.
        :raises RuntimeError: the client is closed, or no task of asyncio's makes the call.
        """
        connections = self._sessions.known() or await self._connect()
        started = monotonic()
        deadline = None if options.timeout is None else started + options.timeout
        number = 1
        progress: Progress | None = None
        while True:
            entered = False
            if not (self._pacer.open and connections.slots.take_now()):
                progress = progress or Progress(request, options, connections, deadline, span)
                entered = await self._admit(progress)
                started = monotonic()
            if options.before_attempt is not None:
                self._ask_before_attempt(options.before_attempt, connections, entered=entered)
            when = math.inf if options.attempt_timeout is None else started + options.attempt_timeout
            if deadline is not None and deadline < when:
                when = deadline
            attempt = LiveAttempt(number, f"{_ID_PREFIX}{next(self._numbers)}", started, entered)
            body = b""
            try:
                connections.alarms.set(attempt, when)
                if span is not None:
                    attempt.traced = span.attempt_starts(number)
                body = await self._exchange.run(request, attempt, connections.session)
                value = decode(body)
            except BaseException as error:
                progress = progress or Progress(request, options, connections, deadline, span)
                if not self._failed(progress, attempt, error, body):
                    raise
            else:
                connections.alarms.stop(attempt)
                self._give_turn_back(connections, attempt)
                if number > 1 or not self._budget.full:
                    self._budget.give(number - 1)
                if options.on_attempt is not None or span is not None or log.isEnabledFor(logging.DEBUG):
                    self._succeeded(request, attempt, options, span)
                if keep is not None:
                    keep(attempt)
                return value
            del body  # what an answer echoes must not be seen among the local variables of a traceback
            await self._before_next(progress)
            number += 1
            started = monotonic()

    async def _connect(self) -> Connections:
        connections = await self._sessions.open()
        self._pacer.join(connections.loop, connections.slots)
        return connections

    # -- before an attempt ---------------------------------------------------------------------------------------------

    async def _admit(self, progress: Progress) -> bool:
        """Wait for a slot and for the pace; whether the gate was entered (and must be left)."""
        if progress.span is not None:
            progress.span.waits()
        permit = progress.options.permit
        turn = self._wait_for_turn(progress)
        entered: bool | None = None
        try:
            entered = await (turn if permit is None else permit.until(turn, progress.attempts))
        except (TooLate, TimeoutError):
            pass
        finally:
            if progress.span is not None:
                progress.span.waited()
        if entered is None:
            self._begin_none(progress)
        if not self._may_go_on(progress):
            self._give_back(progress.connections, entered=entered)
            self._begin_none(progress)
        return entered

    async def _wait_for_turn(self, progress: Progress) -> bool:
        pacer, slots, deadline = self._pacer, progress.connections.slots, progress.deadline
        if not pacer.open:
            pacer.check(deadline)
        await slots.take(deadline, first=bool(progress.attempts))
        entered = False
        try:
            # Only now: whoever had passed the gate before waiting for a slot would run into a block.
            if not pacer.open:
                await pacer.enter(deadline, len(progress.attempts))
                entered = True
            if deadline is not None and monotonic() >= deadline:
                raise TooLate  # noqa: TRY301 - the turn is given back below
        except BaseException:
            self._give_back(progress.connections, entered=entered)
            raise
        return entered

    def _may_go_on(self, progress: Progress) -> bool:
        """After a wait: the client may have been closed meanwhile, or the call's permit withdrawn."""
        permit = progress.options.permit
        return not self._sessions.closed and (permit is None or permit.allows(progress.attempts))

    def _ask_before_attempt(self, hook: Callable[[], object], connections: Connections, *, entered: bool) -> None:
        try:
            hook()
        except BaseException:
            self._give_back(connections, entered=entered)
            raise

    def rate_limit_delay(self) -> float:
        """Seconds for which the client's own ``rate_limit`` holds back the next request; 0: it does not."""
        return self._pacer.rate_limit_delay()

    def _begin_none(self, progress: Progress) -> NoReturn:
        """End a call that waited for its turn, and whose turn does not come or comes too late."""
        if progress.failure is None:
            if self._sessions.closed:
                self._sessions.raise_closed()
            if not self._may_go_on(progress):
                raise CalledBack
        progress.raise_error(APITimeoutError(_TOO_LATE), self._redactor)

    # -- after an attempt ----------------------------------------------------------------------------------------------

    def _succeeded(self, request: Request, attempt: LiveAttempt, options: Options, span: CallSpan | None) -> None:
        answered = request_id_of(attempt.headers) if attempt.headers else None
        request_id = self._redactor.text(answered or attempt.request_id)
        self._reports.ended(request, attempt.record(request, self._redactor, request_id=request_id), options, span)

    def _failed(self, progress: Progress, attempt: LiveAttempt, error: BaseException, body: bytes) -> bool:
        """An attempt failed; ``False`` where that is no failure of the exchange but a cancellation or a defect."""
        request, options, connections = progress.request, progress.options, progress.connections
        problem = error
        if attempt.timed_out() and isinstance(error, asyncio.CancelledError):
            problem = TimeoutError(f"after {max(0.0, attempt.when - attempt.started):.3g} s")
        connections.alarms.stop(attempt)
        closed = isinstance(problem, RuntimeError) and connections.session.closed
        if attempt.sent is None:  # nobody watched: a session in place of aiohttp's, as tests have them
            attempt.sent = not closed and not never_sent(problem)
        failure = None
        try:
            if isinstance(problem, Exception):
                failure = self._failures.of(problem, body, attempt, request, options)
        finally:
            self._give_turn_back(connections, attempt, None if failure is None else failure.retry_after)
        if failure is None:
            told = {"error": type(problem).__name__, "outcome_unknown": request.is_write and write_is_unknown(attempt)}
        else:
            told = {
                "error": failure.summary,
                "outcome_unknown": failure.outcome_unknown,
                "retry_after": failure.retry_after,
                "request_id": failure.error.request_id,
            }
        record = attempt.record(request, self._redactor, **told)
        self._reports.ended(request, record, options, progress.span, problem if failure is None else failure.error)
        if failure is None:
            if closed:
                self._sessions.raise_closed()
            return False
        progress.failed(record, failure)
        return True

    async def _before_next(self, progress: Progress) -> None:
        """Wait as long as the next attempt must, or raise the failure when there is to be none."""
        request, options, attempt, failure = progress.request, progress.options, progress.attempts[-1], progress.failure
        assert failure is not None  # noqa: S101 - for the type checkers: an attempt failed
        retries = len(progress.attempts) - 1
        asked = failure.retry_after or 0.0
        left = math.inf if progress.deadline is None else progress.deadline - monotonic() - asked
        if not failure.may_be_repeated or retries >= options.max_retries or left <= 0 or not self._may_go_on(progress):
            progress.raise_error(failure.error, self._redactor)
        if attempt.status == 429:
            delay = self._beyond_the_gate(failure.retry_after, retries, options)
        elif self._budget.take():
            delay = asked + min(backoff(retries, options.backoff), left / 2)  # the rest of the time is the attempt's
        else:
            self._reports.given_up(request, attempt)
            progress.raise_error(failure.error, self._redactor)
        paced = attempt.status == 429 and not delay
        self._reports.retried(request, attempt, None if paced else delay, again=failure.outcome_unknown)
        if delay:
            await progress.connections.pause(delay)
        too_late = progress.deadline is not None and monotonic() >= progress.deadline  # a busy machine woke it then
        if too_late or not self._may_go_on(progress):
            progress.raise_error(failure.error, self._redactor)

    def _beyond_the_gate(self, asked: float | None, retries: int, options: Options) -> float:
        """Seconds which a call that met a 429 waits by itself, and not only at the gate, where it then is first."""
        if asked == 0 and retries:  # it did not wait, and was refused again
            return backoff(retries - 1, options.backoff)
        return asked if asked is not None and asked > self._pacer.longest_block else 0.0

    # -- telling the pace ----------------------------------------------------------------------------------------------

    def _give_turn_back(self, connections: Connections, attempt: LiveAttempt, wait: float | None = None) -> None:
        """The slot is free again, and the pacer learns what was seen of ``attempt``."""
        headers = attempt.headers
        if attempt.entered or not self._pacer.open or attempt.status == 429 or _speaks_of_a_limit(headers):
            self._pacer.ended(connections.slots, attempt, wait)
        else:
            connections.slots.give()
            self._pacer.passed += headers is not None

    def _give_back(self, connections: Connections, *, entered: bool) -> None:
        """The slot of a call that began no attempt."""
        if entered or not self._pacer.open:
            self._pacer.ended(connections.slots, entered=entered)
        else:
            connections.slots.give()


class TracedTransport(Transport):
    """A transport whose every call is told to telemetry."""

    async def call(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        keep: Callable[[LiveAttempt], object] | None = None,
        span: CallSpan | None = None,
    ) -> T:
        """As `Transport.call`, in a span of its own."""
        assert self._telemetry is not None  # noqa: S101 - for the type checkers: else it would not be this class
        span = self._telemetry.call_started(request)
        try:
            result = await super().call(request, decode, options, keep, span)
        except BaseException as error:
            if span is not None:
                span.ended(None, error)
            raise
        if span is not None:
            span.ended(result, None)
        return result


def _speaks_of_a_limit(headers: Mapping[str, str] | None) -> bool:
    if headers is None:
        return False
    # Written out: this is asked of every answer.
    return _RATE_0 in headers or _RATE_1 in headers or _RATE_2 in headers or _RATE_3 in headers

"""One logical call: attempts within a deadline, each seen to its end, and the verdict on a write."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import math
import os
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from multidict import CIMultiDict, istr

from .._errors import APITimeoutError, Attempt, OmiumError, WriteOutcome
from .allowance import RATE_HEADERS
from .answers import RawResponse, request_id_of
from .exchange import Exchange, fixed_headers
from .failures import Failure, Seen, failure_of, never_sent, write_is_unknown
from .pacing import Pacer, TooLate
from .request import Request
from .retry import Budget, backoff
from .session import Connections, Sessions

if TYPE_CHECKING:
    import aiohttp

    from .._settings.declared import Options, Settings

__all__ = ["Transport"]

logger = logging.getLogger("omium_async")

T = TypeVar("T")

_RATE_0, _RATE_1, _RATE_2, _RATE_3 = (istr(name) for name in RATE_HEADERS)
_ID_PREFIX: Final = os.urandom(10).hex()


class Transport:
    """Makes calls for one client; shared by all its copies with other options."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None, user_agent: str) -> None:
        self._redactor = settings.redactor
        headers = fixed_headers(settings, user_agent)
        # As a session's own they cost next to nothing; but those aiohttp also sends to a proxy with its CONNECT.
        kept = session is None and settings.proxy is None
        self._sessions = Sessions(settings.max_connections, session, headers if kept else CIMultiDict())
        self._exchange = Exchange(settings, headers, own=session is None, kept=kept)
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
        kept: list[Seen] = []
        body = await self.call(request, bytes, options, kept.append)
        (seen,) = kept
        headers = {name.lower(): value for name, value in (seen.headers or {}).items()}
        return RawResponse(seen.status or 0, headers, body, request_id_of(headers, body) or seen.request_id)

    async def call(  # noqa: C901 - one loop, to be seen whole
        self,
        request: Request,
        decode: Callable[[bytes], T],
        options: Options,
        keep: Callable[[Seen], object] | None = None,
    ) -> T:
        """Send ``request`` until it is answered or there is no sense in trying again, and decode the answer.

        :param keep: is given what was seen of the success.
        :raises OmiumError: what the last attempt ended with, and the verdict of all of them.
        :raises RuntimeError: the client is closed.
        """
        connections = self._sessions.known()
        if connections is None:
            connections = await self._sessions.open()
            self._pacer.join(connections.loop, connections.slots)
        started = monotonic()
        deadline = None if options.timeout is None else started + options.timeout
        attempts: tuple[Attempt, ...] = ()
        last: Failure | None = None
        while True:
            entered = False
            if not (self._pacer.open and connections.slots.take_now()):
                entered = await self._admit(request, connections, deadline, last, attempts)
                started = monotonic()
            when = math.inf if options.attempt_timeout is None else started + options.attempt_timeout
            if deadline is not None and deadline < when:
                when = deadline
            seen = Seen(len(attempts) + 1, f"{_ID_PREFIX}{next(self._numbers)}")
            body = b""
            try:
                connections.alarms.set(seen, when)
                body = await self._exchange.run(request, seen, connections.session)
                value = decode(body)
            except BaseException as error:
                problem = self._problem(seen, error, connections, started)
                ended = self._failed(request, options, seen, problem, body, started, connections, entered=entered)
                if ended is None:
                    raise
                del problem
            else:
                connections.alarms.stop(seen)
                self._give_turn_back(connections, seen, entered=entered)
                if attempts or not self._budget.full:
                    self._budget.give(len(attempts))
                if options.on_attempt is not None or logger.isEnabledFor(logging.DEBUG):
                    self._report_success(request, options, seen, started)
                if keep is not None:
                    keep(seen)
                return value
            del body  # what an answer echoes must not be seen among the local variables of a traceback
            last, attempt = ended
            attempts += (attempt,)
            await self._before_next(request, options, connections, last, attempts, deadline)
            started = monotonic()

    async def _admit(
        self,
        request: Request,
        connections: Connections,
        deadline: float | None,
        last: Failure | None,
        attempts: tuple[Attempt, ...],
    ) -> bool:
        """Wait for a slot and for the pace; whether the gate was entered (and must be left)."""
        try:
            entered = await self._wait_for_turn(connections, deadline, again=bool(attempts))
        except (TooLate, TimeoutError):
            entered = None
        if entered is None:
            self._raise(last.error if last is not None else APITimeoutError(_TOO_LATE), request, attempts)
        if self._sessions.closed:
            self._give_turn_back(connections, entered=entered)
            self._check_open(request, last, attempts)
        return entered

    async def _wait_for_turn(self, connections: Connections, deadline: float | None, *, again: bool) -> bool:
        pacer, slots = self._pacer, connections.slots
        if not pacer.open:
            pacer.check(deadline)
        await slots.take(None if deadline is None else max(0.0, deadline - monotonic()), first=again)
        entered = False
        try:
            # Only now: whoever had passed the gate before waiting for a slot would run into a block.
            if not pacer.open:
                await pacer.enter(deadline, first=again)
                entered = True
        except BaseException:
            self._give_turn_back(connections, entered=entered)
            raise
        if deadline is not None and monotonic() >= deadline:
            self._give_turn_back(connections, entered=entered)
            raise TooLate
        return entered

    def _check_open(self, request: Request, last: Failure | None, attempts: tuple[Attempt, ...]) -> None:
        if self._sessions.closed:
            if last is not None:
                self._raise(last.error, request, attempts)
            self._sessions.raise_closed()

    # -- how an attempt ended ----------------------------------------------------------------------------------------

    def _report_success(self, request: Request, options: Options, seen: Seen, started: float) -> None:
        answered = request_id_of(seen.headers) if seen.headers else None
        attempt = _attempt(request, seen, started, self._redactor.text(answered or seen.request_id))
        self._report(request, options, attempt)

    @staticmethod
    def _problem(seen: Seen, error: BaseException, connections: Connections, started: float) -> BaseException:
        """What ended the attempt: the cancellation by its own alarm is a time-out."""
        timed_out = seen.was_all() and isinstance(error, asyncio.CancelledError)
        connections.alarms.stop(seen)
        return TimeoutError(f"after {max(0.0, seen.when - started):.3g} s") if timed_out else error

    def _failed(
        self,
        request: Request,
        options: Options,
        seen: Seen,
        problem: BaseException,
        body: bytes,
        started: float,
        connections: Connections,
        *,
        entered: bool,
    ) -> tuple[Failure, Attempt] | None:
        """What a failed attempt means; ``None`` for what is no failure of the exchange (a cancellation)."""
        closed = isinstance(problem, RuntimeError) and connections.session.closed
        if seen.sent is None:  # nobody watched: a session in place of aiohttp's, as tests have them
            seen.sent = not closed and not never_sent(problem)
        failure = None
        try:
            if isinstance(problem, Exception):
                failure = failure_of(
                    problem, body, request, seen, self._redactor, ambiguous_too=options.retry_ambiguous_writes
                )
        finally:
            wait = None if failure is None else failure.retry_after
            self._give_turn_back(connections, seen, wait, entered=entered)
        if failure is None:
            unknown = request.is_write and write_is_unknown(seen)
            attempt = _attempt(request, seen, started, seen.request_id, type(problem).__name__, unknown=unknown)
            self._report(request, options, attempt)
            if closed:
                self._sessions.raise_closed()
            return None
        attempt = _attempt(
            request,
            seen,
            started,
            failure.error.request_id,
            failure.summary,
            unknown=failure.outcome_unknown,
            retry_after=failure.retry_after,
        )
        self._report(request, options, attempt)
        return failure, attempt

    async def _before_next(
        self,
        request: Request,
        options: Options,
        connections: Connections,
        failure: Failure,
        attempts: tuple[Attempt, ...],
        deadline: float | None,
    ) -> None:
        """Wait as long as the next attempt must, or raise the failure when there is to be none."""
        retries = len(attempts) - 1
        paced = attempts[-1].status == 429  # then the pace is what is waited for
        if not failure.may_be_repeated or retries >= options.max_retries or self._sessions.closed:
            self._raise(failure.error, request, attempts)
        least = 0.0 if paced else failure.retry_after or 0.0
        left = math.inf if deadline is None else deadline - monotonic() - least
        if left <= 0:
            self._raise(failure.error, request, attempts)
        delay = 0.0 if paced else least + min(backoff(retries), left / 2)  # the rest of the time is the attempt's
        if not paced and not self._budget.take():
            logger.warning("%s %s: not tried again, too many calls fail", request.method, self._shown(request))
            self._raise(failure.error, request, attempts)
        logger.warning(
            "%s %s: attempt %d failed (%s), trying again%s%s",
            request.method,
            self._shown(request),
            len(attempts),
            failure.summary,
            " as soon as the rate limit allows" if paced else f" in {delay:.2f} s",
            "; the write may have been applied already" if failure.repeats_ambiguous_write else "",
        )
        if delay:
            await connections.pause(delay)
        self._check_open(request, failure, attempts)

    # -- telling others ----------------------------------------------------------------------------------------------

    def _give_turn_back(
        self, connections: Connections, seen: Seen | None = None, wait: float | None = None, *, entered: bool
    ) -> None:
        """The slot is free again, and the pacer learns what was ``seen``."""
        status, headers = (None, None) if seen is None else (seen.status, seen.headers)
        if entered or not self._pacer.open or status == 429 or _speaks_of_a_limit(headers):
            self._pacer.ended(connections.slots, status, headers, wait, entered=entered)
        else:
            connections.slots.give()
            self._pacer.passed += headers is not None

    def _report(self, request: Request, options: Options, attempt: Attempt) -> None:
        logger.debug(
            "%s %s: attempt %d, %s, %.3f s, request id %s",
            request.method,
            self._shown(request),
            attempt.number,
            attempt.error or attempt.status,
            attempt.elapsed,
            attempt.request_id,
        )
        if options.on_attempt is not None:
            try:
                outcome = options.on_attempt(attempt)
                if inspect.iscoroutine(outcome):
                    outcome.close()
                    raise TypeError("on_attempt must be a plain function")  # noqa: TRY301
            except (Exception, asyncio.CancelledError):  # the latter is raised by the hook: nothing is awaited here
                logger.exception("on_attempt raised; ignored")

    def _raise(self, error: OmiumError, request: Request, attempts: tuple[Attempt, ...]) -> NoReturn:
        error.attempts = attempts
        error.idempotency_key = request.key
        unknown = any(attempt.outcome_unknown for attempt in attempts)
        error.outcome = WriteOutcome.UNKNOWN if unknown else WriteOutcome.NOT_APPLIED
        error.method, error.url = request.method, self._redactor.text(request.url)  # type: ignore[attr-defined]
        raise error from error.__cause__

    def _shown(self, request: Request) -> str:
        return self._redactor.text(request.url.partition("?")[0])


_TOO_LATE: Final = "the call's timeout ends before it may be sent (rate limit or no free connection)"


def _speaks_of_a_limit(headers: Mapping[str, str] | None) -> bool:
    if headers is None:
        return False
    # Written out: this is asked of every answer.
    return _RATE_0 in headers or _RATE_1 in headers or _RATE_2 in headers or _RATE_3 in headers


def _attempt(
    request: Request,
    seen: Seen,
    started: float,
    request_id: str | None,
    error: str | None = None,
    *,
    unknown: bool = False,
    retry_after: float | None = None,
) -> Attempt:
    return Attempt(
        number=seen.number,
        status=seen.status,
        error=error,
        elapsed=monotonic() - started,
        retry_after=retry_after,
        sent=bool(seen.sent),
        outcome_unknown=unknown,
        request_id=request_id,
        idempotency_key=request.key,
    )

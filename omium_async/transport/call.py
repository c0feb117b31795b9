"""One logical call: attempts within a deadline, each seen to its end, and the verdict on a write."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from aiohttp import ClientResponse, ClientTimeout, hdrs
from multidict import CIMultiDict, istr
from yarl import URL

from ..errors import APITimeoutError, Attempt, OmiumError
from .answers import RawResponse, request_id_of
from .failures import Failure, Refused, Seen, TooLarge, failure_of, never_sent, write_is_unknown
from .pacing import Pacer, TooLate
from .request import Request
from .retry import Budget, backoff
from .session import Connections, Sessions, flight

if TYPE_CHECKING:
    import aiohttp

    from ..settings import Options, Settings

__all__ = ["Transport"]

logger = logging.getLogger("omium_async")

T = TypeVar("T")

_MAX_REDIRECTS: Final = 5
_RATE_HEADERS: Final = (istr("RateLimit-Remaining"), istr("X-RateLimit-Remaining-Minute"), istr("RateLimit"))


class Transport:
    """Makes calls for one client; shared by all its copies with other options."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession | None, user_agent: str) -> None:
        self._settings = settings
        self._sessions = Sessions(settings.max_connections, session)
        self._own_sessions = session is None
        self._pacer = Pacer(settings.rate_limit)
        self._budget = Budget()
        self._headers = _fixed_headers(settings, user_agent)
        self._fixed = _fixed_arguments(settings, own=session is None)
        self._request_ids = (f"{_ID_PREFIX}{number:012x}" for number in itertools.count(int.from_bytes(os.urandom(4))))
        self._timeouts: dict[float | None, ClientTimeout] = {}

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._sessions.closed

    async def close(self) -> None:
        """Close all connections. Calls after that are refused."""
        await self._sessions.close()

    async def call(self, request: Request, decode: Callable[[bytes], T], options: Options) -> T:
        """Send ``request`` until it is answered or there is no sense in trying again, and decode the answer.

        :raises OmiumError: what the last attempt ended with, and the verdict of all of them.
        """
        _, body = await self._send(request, decode, options)
        return body

    async def call_raw(self, request: Request, options: Options) -> RawResponse:
        """The same without a look at the body."""
        seen, body = await self._send(request, bytes, options)
        headers = {name.lower(): value for name, value in (seen.headers or {}).items()}
        return RawResponse(seen.status or 0, headers, body, request_id_of(headers) or seen.request_id)

    # -- attempts --------------------------------------------------------------------------------------------------

    async def _send(self, request: Request, decode: Callable[[bytes], T], options: Options) -> tuple[Seen, T]:
        sessions = self._sessions
        if sessions.closed:
            raise_closed()
        connections = sessions.known() or await sessions.open()
        deadline = None if options.timeout is None else time.monotonic() + options.timeout
        attempts: tuple[Attempt, ...] = ()
        failure: Failure | None = None
        while True:
            seen = Seen(len(attempts) + 1, next(self._request_ids), not self._own_sessions)
            try:
                entered = await self._admit(connections, deadline)
            except (TooLate, TimeoutError):
                self._raise_late(request, failure, attempts)
            started = time.monotonic()
            if deadline is not None and started >= deadline:
                self._never_mind(connections, entered=entered)
                self._raise_late(request, failure, attempts)
            body = b""
            problem: BaseException | None = None
            token = flight.set(seen)
            try:
                body = await self._exchange(request, seen, connections, self._seconds(options, deadline, started))
                value = decode(body)
            except BaseException as error:
                problem = error
            finally:
                flight.reset(token)
                connections.slots.give()
            if problem is None:
                self._tell_pacer(seen, None, connections, entered=entered)
                if seen.number > 1 or not self._budget.full:
                    self._budget.give(seen.number - 1)
                if options.on_attempt is not None or logger.isEnabledFor(logging.DEBUG):
                    self._report(request, options, _ended(request, seen, started))
                return seen, value
            failure, attempt = self._judge(request, options, seen, problem, body, started, connections, entered=entered)
            attempts += (attempt,)
            # What an answer echoes must not be seen among the local variables of a traceback.
            problem, body = None, b""
            await self._before_next(request, options, failure, attempts, deadline)

    async def _admit(self, connections: Connections, deadline: float | None) -> bool:
        """Wait for the pace and for a slot; whether the gate was entered (and must be left)."""
        entered = False
        if not self._pacer.open:
            await self._pacer.enter(deadline)
            entered = True
        if not connections.slots.take_now():
            try:
                await connections.slots.take(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except BaseException:
                if entered:
                    self._pacer.leave(None, None, None)
                raise
        return entered

    def _never_mind(self, connections: Connections, *, entered: bool) -> None:
        connections.slots.give()
        if entered:
            self._pacer.leave(None, None, None)

    def _seconds(self, options: Options, deadline: float | None, now: float) -> float | None:
        """How long an attempt that starts now may last."""
        if deadline is None:
            return options.attempt_timeout
        left = max(deadline - now, 0.001)
        return left if options.attempt_timeout is None else min(left, options.attempt_timeout)

    def _judge(
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
    ) -> tuple[Failure, Attempt]:
        """What a failed attempt means. What is no failure of the exchange (a cancellation) is raised as it is."""
        if not self._own_sessions and never_sent(problem):
            seen.sent = False
        failure = None
        if isinstance(problem, Exception):
            failure = failure_of(
                problem,
                body,
                request,
                seen,
                self._settings.redactor,
                ambiguous_too=options.retry_ambiguous_writes,
            )
        self._tell_pacer(seen, failure, connections, entered=entered)
        attempt = _ended(request, seen, started, failure, problem)
        self._report(request, options, attempt)
        if failure is None:
            raise problem
        return failure, attempt

    async def _before_next(
        self,
        request: Request,
        options: Options,
        failure: Failure,
        attempts: tuple[Attempt, ...],
        deadline: float | None,
    ) -> None:
        """Wait as long as the next attempt must, or raise the failure when there is to be none."""
        retries = len(attempts) - 1
        paced = attempts[-1].status == 429
        again = failure.may_be_repeated and retries < options.max_retries and not self._sessions.closed
        if not again:
            _raise(failure.error, request, attempts)
        delay = 0.0 if paced else backoff(retries) + (failure.retry_after or 0.0)
        if deadline is not None and time.monotonic() + delay >= deadline:
            _raise(failure.error, request, attempts)
        if not paced and not self._budget.take():
            logger.warning("%s %s: not tried again, too many calls fail", request.method, _shown(request))
            _raise(failure.error, request, attempts)
        logger.warning(
            "%s %s: attempt %d failed (%s), trying again in %.2f s%s",
            request.method,
            _shown(request),
            len(attempts),
            failure.summary,
            delay,
            "; the write may have been applied already" if failure.repeats_ambiguous_write else "",
        )
        if delay:
            await asyncio.sleep(delay)
        if self._sessions.closed:
            _raise(failure.error, request, attempts)

    def _raise_late(self, request: Request, failure: Failure | None, attempts: tuple[Attempt, ...]) -> NoReturn:
        if failure is not None:
            _raise(failure.error, request, attempts)
        error = APITimeoutError("the call's timeout ends before it may be sent (rate limit or no free connection)")
        _raise(error, request, attempts)

    # -- one exchange ------------------------------------------------------------------------------------------------

    async def _exchange(self, request: Request, seen: Seen, connections: Connections, seconds: float | None) -> bytes:
        """Send once, follow redirects, and read the body of a success.

        :raises Refused: the status is no success. :raises TooLarge: the body is larger than allowed.
        """
        method, url, data = request.method, URL(request.url, encoded=True), request.body
        headers = self._headers_of(request, seen)
        until = None if seconds is None else time.monotonic() + seconds
        for hop in range(_MAX_REDIRECTS + 1):
            response = await connections.session.request(
                method, url, data=data, headers=headers, timeout=self._timeout(seconds), **self._arguments()
            )
            status = seen.status = response.status
            seen.headers = response.headers
            if 200 <= status < 300:
                return await self._read(response)
            target = _redirect(url, response, request) if hop < _MAX_REDIRECTS else None
            if target is None:
                raise Refused(response.reason, await self._read_refusal(response))
            response.release()
            seen.status = seen.headers = None
            url = target
            if status == 303 and method != "HEAD":
                method, data = "GET", None
            if until is not None:
                seconds = max(until - time.monotonic(), 0.001)
        raise AssertionError  # the last hop returns or raises

    def _headers_of(self, request: Request, seen: Seen) -> CIMultiDict[str]:
        headers = self._headers.copy()
        if request.headers:
            headers.update(request.headers)
        if request.body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        seen.request_id = headers.setdefault("X-Request-ID", seen.request_id)
        return headers

    def _arguments(self) -> Mapping[str, Any]:
        arguments = self._fixed
        if "proxy_headers" in arguments:  # aiohttp writes into what it is given
            return {**arguments, "proxy_headers": CIMultiDict(arguments["proxy_headers"])}
        return arguments

    def _timeout(self, seconds: float | None) -> ClientTimeout:
        found = self._timeouts.get(seconds)
        if found is None:
            # Never rounded up to whole seconds, as aiohttp does with long ones: a deadline is one.
            found = ClientTimeout(total=seconds, ceil_threshold=math.inf)
            if len(self._timeouts) < 16:
                self._timeouts[seconds] = found
        return found

    async def _read(self, response: ClientResponse) -> bytes:
        limit = self._settings.max_response_bytes
        length = response.headers.get(hdrs.CONTENT_LENGTH)
        if length is not None and hdrs.CONTENT_ENCODING not in response.headers and _at_most(length, limit):
            return await response.read()
        chunks: list[bytes] = []
        if await self._collect(response, chunks, limit):
            return b"".join(chunks)
        raise TooLarge(f"it is larger than {limit} bytes (max_response_bytes)")

    async def _read_refusal(self, response: ClientResponse) -> bytes:
        """What can be had of the body: the status alone decides, also when the body is cut or too large."""
        chunks: list[bytes] = []
        if response.status == 101:
            response.close()
            return b""
        try:
            await self._collect(response, chunks, self._settings.max_response_bytes)
        except Exception:  # noqa: BLE001 - whatever cuts a body short, the status was read
            response.close()
        return b"".join(chunks)

    async def _collect(self, response: ClientResponse, chunks: list[bytes], limit: int) -> bool:
        """Read the body into ``chunks``; ``False`` when it is cut off there for being larger than ``limit``."""
        size = 0
        try:
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > limit:
                    chunks.append(chunk[: len(chunk) - (size - limit)])
                    response.close()
                    return False
                chunks.append(chunk)
        except BaseException:
            response.close()
            raise
        response.release()
        return True

    # -- telling others ----------------------------------------------------------------------------------------------

    def _tell_pacer(self, seen: Seen, failure: Failure | None, connections: Connections, *, entered: bool) -> None:
        wait = None if failure is None else failure.retry_after
        if entered:
            self._pacer.leave(seen.status, seen.headers, wait)
        elif seen.status is not None and seen.headers is not None:
            headers = seen.headers
            if seen.status == 429 or any(name in headers for name in _RATE_HEADERS):
                self._pacer.passed(seen.status, headers, wait, connections.slots.busy)
            else:
                self._pacer.count_accepted()

    def _report(self, request: Request, options: Options, attempt: Attempt) -> None:
        logger.debug(
            "%s %s: attempt %d, %s, %.3f s, request id %s",
            request.method,
            _shown(request),
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
            except Exception:
                logger.exception("on_attempt raised; ignored")


_ID_PREFIX: Final = os.urandom(10).hex()


def _fixed_headers(settings: Settings, user_agent: str) -> CIMultiDict[str]:
    headers = CIMultiDict({"User-Agent": user_agent, "Accept": "application/json"})
    headers.update(settings.headers)
    if settings.auth == "bearer":
        headers["Authorization"] = type(settings.api_key)("Bearer " + settings.api_key)
    else:
        headers["X-API-Key"] = settings.api_key
    proxy = settings.proxy
    if proxy is not None and proxy.authorization is not None and settings.base_url.startswith("http://"):
        headers["Proxy-Authorization"] = proxy.authorization  # without a tunnel the proxy reads the request itself
    return headers


def _fixed_arguments(settings: Settings, *, own: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {"allow_redirects": False}
    if settings.ssl is not True:
        arguments["ssl"] = settings.ssl
    if settings.proxy is not None:
        arguments["proxy"] = URL(settings.proxy.url)
        if settings.proxy.authorization is not None and settings.base_url.startswith("https://"):
            arguments["proxy_headers"] = {"Proxy-Authorization": settings.proxy.authorization}
    if not own:
        arguments["raise_for_status"] = False
    return arguments


def _at_most(length: str, limit: int) -> bool:
    return length.isdecimal() and len(length) < 16 and int(length) <= limit


def _redirect(url: URL, response: ClientResponse, request: Request) -> URL | None:
    """Where to go on, or ``None``: only within the origin, and a write only where it keeps its method and body."""
    followed = (307, 308) if request.is_write else (301, 302, 303, 307, 308)
    location = response.headers.get(hdrs.LOCATION)
    if response.status not in followed or location is None:
        return None
    try:
        target = url.join(URL(location, encoded=True))
        same = target.origin() == url.origin() and target.user is None and target.password is None
    except ValueError:
        return None
    return target if same else None


def _ended(
    request: Request,
    seen: Seen,
    started: float,
    failure: Failure | None = None,
    problem: BaseException | None = None,
) -> Attempt:
    if failure is not None:
        error, unknown, request_id = failure.summary, failure.outcome_unknown, failure.error.request_id
    elif problem is not None:
        # Cancelled: what is known of the write is what was seen until then.
        error, request_id = type(problem).__name__, seen.request_id
        unknown = request.is_write and write_is_unknown(seen)
    else:
        error, unknown = None, False
        request_id = (request_id_of(seen.headers) if seen.headers else None) or seen.request_id
    return Attempt(
        number=seen.number,
        status=seen.status,
        error=error,
        elapsed=time.monotonic() - started,
        retry_after=None if failure is None else failure.retry_after,
        sent=seen.sent,
        outcome_unknown=unknown,
        request_id=request_id,
        idempotency_key=request.key,
    )


def _raise(error: OmiumError, request: Request, attempts: tuple[Attempt, ...]) -> NoReturn:
    error.attempts = attempts
    error.idempotency_key = request.key
    error.outcome_unknown = any(attempt.outcome_unknown for attempt in attempts)
    error.method, error.url = request.method, request.url  # type: ignore[attr-defined]
    raise error from error.__cause__


def raise_closed() -> NoReturn:
    """Say that the client is closed."""
    raise RuntimeError("this client is closed (aclose was called); make a new one")


def _shown(request: Request) -> str:
    return request.url.partition("?")[0]

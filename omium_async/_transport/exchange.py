"""Send one request, follow redirects within the origin, and read the body of a successful response."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientResponse, ClientTimeout, hdrs
from multidict import CIMultiDict, istr
from yarl import URL

from .._data.masked import Secret
from .._request import Request
from .answers import LARGEST_ERROR_BODY
from .attempt import LiveAttempt
from .connector import REQUEST_ID, AttemptWatch, Stale, current_attempt
from .failures import NotSuccessful, TooLarge

if TYPE_CHECKING:
    import aiohttp

    from .._settings.declared import Auth, Settings

_MAX_REDIRECTS: Final = 5
_LARGEST_WRITE: Final = 2**20  # bytes
_NO_TIMEOUT: Final = ClientTimeout()  # the time-out of the attempt costs less
_JOINED: Final = {hdrs.USER_AGENT: " ", hdrs.ACCEPT: ", "}  # how a user's value is added to the client's own
_API_KEY: Final = istr("X-API-Key")
_IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")


class Exchange:
    """Makes exchanges for one client.

    :param headers: those that every request carries.
    :param own: whether the sessions are the client's own, or one of the user's.
    :param kept: whether the sessions have ``headers`` already.
    """

    def __init__(self, settings: Settings, headers: CIMultiDict[str], *, own: bool, kept: bool) -> None:
        self._own = own
        self._limit = settings.max_response_bytes
        self._kept = kept
        self._auth: Auth = settings.auth
        self._fixed = headers
        self._arguments = _fixed_arguments(settings, own=own)

    async def run(
        self, request: Request, attempt: LiveAttempt, session: aiohttp.ClientSession, added: CIMultiDict[str]
    ) -> bytes:
        """Send the request once and read the response, within the time-out of ``attempt``, which records the progress.

        :param added: the headers that the user adds to every request.
        :raises NotSuccessful: the status is not 2xx.
        :raises TooLarge: the body is larger than allowed.
        """
        current_attempt.set(attempt)
        headers = self._headers_for(request, attempt, added)
        method, url, data, hops = request.method, URL(request.url, encoded=True), request.body, 0
        attempt.sent = None
        while True:
            try:
                response = await session.request(
                    method,
                    url,
                    data=None if data is None else _payload(data),
                    headers=headers,
                    timeout=_NO_TIMEOUT,
                    **(self._arguments if self._own else self._watched(attempt)),
                )
            except Stale:
                continue
            try:
                attempt.sent, attempt.headers, attempt.status = True, response.headers, response.status
                if 200 <= response.status < 300:
                    if response.connection is None and response.content.is_eof():  # it came with its head, as most do
                        return self._checked(response.content.read_nowait())
                    return await self._read(response)
                target = _redirect(url, response, request) if hops < _MAX_REDIRECTS else None
                if target is None:
                    raise await _not_successful(response, attempt)  # noqa: TRY301
            except BaseException:
                response.close()
                raise
            response.close()
            url, hops, attempt.status, attempt.headers = target, hops + 1, None, None
            if response.status == 303 and method != hdrs.METH_HEAD:
                method, data = hdrs.METH_GET, None
                if headers is not None:
                    headers.pop(hdrs.CONTENT_TYPE, None)

    def _headers_for(self, request: Request, attempt: LiveAttempt, added: CIMultiDict[str]) -> CIMultiDict[str] | None:
        """Return the headers that the session does not add."""
        if self._kept:
            none = request.key is None and request.body is None and attempt.traced is None
            if none and attempt.key is None and not request.headers and not added:
                return None
            headers = CIMultiDict[str]()
        else:
            headers = self._fixed.copy()
        if added:
            self._add(headers, added)
        if attempt.traced is not None:
            headers.update(attempt.traced)
        if request.headers:
            self._add(headers, CIMultiDict(request.headers))
        if attempt.key is not None:
            headers.update(_key_header(self._auth, attempt.key.text))
        if request.body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        if request.key is not None:
            headers[_IDEMPOTENCY_KEY] = request.key
        if not self._kept:
            headers.setdefault(REQUEST_ID, attempt.request_id)
        attempt.request_id = str.__str__(headers.get(REQUEST_ID, attempt.request_id))
        return headers

    def _add(self, headers: CIMultiDict[str], users: CIMultiDict[str]) -> None:
        """Add headers of the user; they extend the client's own and do not replace them."""
        joined = {
            name: f"{headers.get(name, self._fixed[name])}{separator}{str.__str__(users[name])}"
            for name, separator in _JOINED.items()
            if name in users
        }
        headers.update(users)
        headers.update(joined)

    def _watched(self, attempt: LiveAttempt) -> Mapping[str, Any]:
        """Return the arguments for a session of the user: its own retries, checks and decompression are off."""
        users: Any = self._arguments["middlewares"]
        return {**self._arguments, "middlewares": (*users, AttemptWatch(attempt))}

    # -- bodies ----------------------------------------------------------------------------------------------------

    def _checked(self, body: bytes) -> bytes:
        if len(body) > self._limit:
            raise TooLarge(self._limit, body[: self._limit])
        return body

    async def _read(self, response: ClientResponse) -> bytes:
        chunks: list[bytes] = []
        if await _collect(response, chunks, self._limit):
            return b"".join(chunks)
        raise TooLarge(self._limit, b"".join(chunks))


async def _not_successful(response: ClientResponse, attempt: LiveAttempt) -> NotSuccessful:
    """Read as much of the body as possible: the status alone decides, also if the body is cut off or too large."""
    if response.status == 101:  # from here on no HTTP is spoken
        response.close()
        return NotSuccessful(response.reason, b"", cut=False)
    chunks: list[bytes] = []
    whole = False
    try:
        whole = await _collect(response, chunks, LARGEST_ERROR_BODY)
    except asyncio.CancelledError:
        if not attempt.take_time_out():
            raise
    except Exception:  # noqa: BLE001, S110 - the status was read before the body failed
        pass
    return NotSuccessful(response.reason, b"".join(chunks), cut=not whole)


async def _collect(response: ClientResponse, chunks: list[bytes], most: int) -> bool:
    """Read the body into ``chunks``; return False if it has more than ``most`` bytes, and close the response."""
    left = most
    try:
        async for chunk in response.content.iter_any():
            if len(chunk) > left:
                chunks.append(chunk[:left])
                response.close()
                return False
            left -= len(chunk)
            chunks.append(chunk)
    except BaseException:
        response.close()
        raise
    response.release()
    return True


def _payload(body: bytes) -> bytes | io.BytesIO:
    # aiohttp warns of large bodies given as bytes: it would write them in one call.
    return body if len(body) <= _LARGEST_WRITE else io.BytesIO(body)


def fixed_headers(settings: Settings, user_agent: str) -> CIMultiDict[str]:
    """Return the headers of every request, besides those of the user."""
    headers = CIMultiDict({hdrs.USER_AGENT: user_agent, hdrs.ACCEPT: "application/json"})
    if isinstance(settings.api_key, Secret):
        headers.update(_key_header(settings.auth, settings.api_key))
    proxy = settings.proxy
    if proxy is not None and proxy.authorization is not None and settings.base_url.startswith("http://"):
        # Without a tunnel the proxy reads the request itself.
        headers[hdrs.PROXY_AUTHORIZATION] = proxy.authorization
    return headers


def _key_header(auth: Auth, key: Secret) -> Mapping[istr, Secret]:
    return {hdrs.AUTHORIZATION: Secret("Bearer " + key)} if auth == "bearer" else {_API_KEY: key}


def _fixed_arguments(settings: Settings, *, own: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {"allow_redirects": False}
    if settings.ssl is not True:
        arguments["ssl"] = settings.ssl
    if settings.proxy is not None:
        arguments["proxy"] = URL(settings.proxy.url)
        if settings.proxy.authorization is not None and settings.base_url.startswith("https://"):
            arguments["proxy_headers"] = {"Proxy-Authorization": settings.proxy.authorization}
    if not own:
        arguments |= {"raise_for_status": False, "auto_decompress": True, "middlewares": ()}
    return arguments


def _redirect(url: URL, response: ClientResponse, request: Request) -> URL | None:
    """Return the redirect target, or ``None``: it must be within the origin, and a write must keep method and body."""
    followed = (307, 308) if request.is_write else (301, 302, 303, 307, 308)
    location = response.headers.get(hdrs.LOCATION)
    if response.status not in followed or location is None:
        return None
    try:
        given = URL(location)
        target = url.join(given)
    except ValueError:
        return None
    if given.scheme and not given.raw_host:
        return None
    here, there = (url.scheme, url.raw_host, url.port), (target.scheme, target.raw_host, target.port)
    return target if here == there and target.raw_user is None and target.raw_password is None else None

"""Sends the requests of all resources through the client's transport, with the options of one copy of the client."""

from __future__ import annotations

import functools
import os
import platform
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import attrs

from . import __version__
from ._arguments import idempotency_key, mapping, query, relative_path, text
from ._data.codec import encode
from ._data.converter import OmiumConverter, shared
from ._data.plain import plain
from ._outage import Outage
from ._request import Operation, Request
from ._settings.configure import checked_header
from ._settings.declared import Options, Settings
from ._transport.admission import Lane
from ._transport.answers import RawResponse
from ._transport.call import Transport

T = TypeVar("T")

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Shared:
    """What all copies of a client share: its settings and its transport."""

    def __init__(self, settings: Settings) -> None:
        agent = f"omium-async/{__version__} aiohttp/{aiohttp.__version__} python/{platform.python_version()}"
        self.settings = settings
        self._new_transport = functools.partial(Transport, settings, settings.session, agent)
        self.transport = self._new_transport()

    def check_open(self) -> None:
        """:raises RuntimeError: the client is closed."""
        self.transport.check_open()

    def replace_transport(self) -> None:
        """In a forked child: leave connections and locks to the parent."""
        self.transport = self._new_transport()


class Caller:
    """Makes the calls of one copy of a client.

    :param lane: the lane in which the calls wait; ``None``: that of all calls outside batches.
    """

    def __init__(self, shared: Shared, options: Options, lane: Lane | None = None) -> None:
        self.shared = shared
        self.options = options
        self._lane = lane
        self.telemetry = shared.settings.telemetry
        self._base_url = shared.settings.base_url

    @cached_property
    def converter(self) -> OmiumConverter:
        """The converter of the client, or the shared one of the process. Created at the first call."""
        return self.shared.settings.converter or shared()

    def with_options(self, options: Options) -> Caller:
        """The same connections, other options."""
        return Caller(self.shared, options, self._lane)

    def in_lane(self, lane: Lane, **changes: Any) -> Caller:
        """Return a copy whose calls wait in the lane of a batch, with these options changed."""
        return Caller(self.shared, attrs.evolve(self.options, **changes), lane)

    def within(self, seconds: float | None) -> Caller:
        """Return a copy whose calls have a timeout of at most ``seconds``."""
        timeout = self.options.timeout
        if seconds is None or (timeout is not None and timeout <= seconds):
            return self
        return self.with_options(attrs.evolve(self.options, timeout=seconds))

    def rate_limit_delay(self) -> float:
        """Seconds for which the client's ``rate_limit`` holds back the next request; 0: it does not."""
        return self.shared.transport.rate_limit_delay()

    def outage(self) -> Outage:
        """Return the outage that the client's operations on this loop share, after a request of one of them."""
        return self.shared.transport.outage()

    def read(self, path: str, decode: Callable[[bytes], T], operation: Operation) -> Coroutine[Any, Any, T]:
        """GET ``path``, which is escaped already."""
        return self.shared.transport.call(
            Request("GET", self._base_url + path, None, None, None, operation), decode, self.options, self._lane
        )

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        decode: Callable[[bytes], T],
        key: str | None,
        operation: Operation,
    ) -> Coroutine[Any, Any, T]:
        """Send a POST, PATCH or DELETE to ``path``, which is escaped already.

        :param body: plain JSON data; ``None``: no body.
        :param key: the idempotency key; ``None``: a new one.
        """
        key = _fresh_key() if key is None else idempotency_key(key)
        request = Request(method, self._base_url + path, None if body is None else encode(body), None, key, operation)
        return self.shared.transport.call(request, decode, self.options, self._lane)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        json: Any,
        headers: Mapping[str, str] | None,
    ) -> RawResponse:
        """Any request, checked before anything is sent."""
        if not re.fullmatch(r"[A-Za-z]+", text(method, "method")):
            raise ValueError(f"method must be the name of an HTTP method, not {method!r}")
        method = method.upper()
        if method == "CONNECT":
            raise ValueError("method must not be CONNECT, which clients send only to proxies")
        is_read = method in READS
        own, key = _own_headers(mapping(headers, "headers"), is_read=is_read)
        if key is None and not is_read:
            key = _fresh_key()
        target = relative_path(path, urlsplit(self._base_url).path)
        more = query(params)
        url = self._base_url + target + (more.replace("?", "&", 1) if "?" in target else more)
        body = None if json is None else encode(plain(json, "json", self.converter))
        return await self.shared.transport.call_raw(Request(method, url, body, own, key), self.options)


def _fresh_key() -> str:
    return os.urandom(16).hex()


def _own_headers(headers: Mapping[str, str], *, is_read: bool) -> tuple[dict[str, str], str | None]:
    """The headers of one request, and the idempotency key among those of a write."""
    own: dict[str, str] = {}
    key: str | None = None
    for name, value in headers.items():
        checked_header(name, value, "headers", allowed="idempotency-key")
        if name.lower() == "idempotency-key" and not is_read:
            key = idempotency_key(str(value))
        else:
            own[name] = value
    return own, key

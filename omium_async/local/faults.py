"""Faults that tests inject: what they match, and how the server carries them out."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import secrets
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, assert_never, get_args

import attrs
from aiohttp import web

from .._data.converter import shared
from . import wire
from .jsontext import encode_result

if TYPE_CHECKING:
    from multidict import CIMultiDict

FaultAction = Literal["drop", "stall", "status", "truncate", "garbage", "delay"]
_ACTIONS: Final = get_args(FaultAction)
_UNAVAILABLE: Final = 503
_POLL: Final = 0.02  # seconds between checks whether the client is still connected
_GARBAGE: Final = b'{"id": "exec_\xff\x00, <html>'
_TRUNCATED: Final = b'{"id": "exec_000000000000", "status": "running", "message": "cut off before its end"}'


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers = dict(given or {})
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"headers must map text to text, not {name!r} to {value!r}")
        if not (name + value).isprintable() or not name or not value.isascii():
            raise ValueError(f"headers must be printable ASCII, not {name!r}: {value!r}")
    return headers


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(given: object, name: str) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{name} must be text, not {given!r}")
    return given


def _upper(method: str) -> str:
    return _text(method, "method").upper()


def _body(given: object) -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    if isinstance(given, bytearray):
        return bytes(given)
    return given.encode() if isinstance(given, str) else encode_result(given, "the body of a Fault is", shared())


def _pattern(path: str) -> str:
    """Return the pattern for a path, which may be copied from the service's document with its base and `{names}`."""
    if _text(path, "path") != "*" and not path.startswith("/"):
        path = f"/{path}"
    path = path.removeprefix("/api/v1") if path.startswith("/api/v1/") else path
    return "/".join("*" if part[:1] == "{" and part[-1:] == "}" else part for part in path.split("/"))


def _usual_action(fault: Fault) -> FaultAction:
    return "drop" if fault.status is None and not fault.headers and fault.body is None else "status"


@attrs.frozen(kw_only=True)
class Fault:
    """A fault for the next requests that match it. It never applies to requests without an accepted API key.

    :ivar method: the method of the requests: `"GET"`, `"POST"`, ..., or `"*"`.
    :ivar path: the path of the requests, below `/api/v1`. Each segment is a shell pattern (`"/executions/*/replay"`)
        or a `{name}`, which matches any segment; `"*"` alone matches every path.
    :ivar when: `"before"` the request is handled (nothing is done), or `"after"` (it is done and committed).
    :ivar times: the number of requests that it applies to, 1 or more; None: all, until `clear_faults`.
    :ivar status: the status of the response of the action `"status"`, from 200 to 599; None: 503.
    :ivar headers: headers of the response; they replace headers of the same names.
    :ivar body: the body of the response: bytes and text unchanged, any other value as JSON; None: an error in the
        service's form.
    :ivar action: `"drop"` closes the connection without a response. `"stall"` never answers, until the client
        disconnects or the server stops. `"status"` answers with `status`, `headers` and `body`. `"truncate"` sends a
        head and the first half of the body, then closes (with `when="before"`, of a response with status 200).
        `"garbage"` answers 200 with a body that is not JSON. `"delay"` only waits. The default is `"status"` with a
        status, headers or a body, otherwise `"drop"`.
    :ivar delay: seconds to wait first, 0 or more.
    :raises ValueError: a value is out of range.
    :raises TypeError: a value has a wrong type.
    """

    method: str = attrs.field(default="*", converter=_upper)
    path: str = attrs.field(default="*", converter=_pattern)
    when: Literal["before", "after"] = "before"
    times: int | None = attrs.field(default=1)
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_headers)
    body: bytes | None = attrs.field(default=None, converter=_body)
    action: FaultAction = attrs.field(default=attrs.Factory(_usual_action, takes_self=True))
    delay: float = 0.0

    def __attrs_post_init__(self) -> None:
        if self.when not in {"before", "after"}:
            raise ValueError(f"when must be 'before' or 'after', not {self.when!r}")
        if self.action not in _ACTIONS:
            raise ValueError(f"action must be one of {', '.join(_ACTIONS)}, not {self.action!r}")
        if self.status is not None and (not _is_whole(self.status) or not 200 <= self.status <= 599):
            raise ValueError(f"status must be a whole number from 200 to 599, not {self.status!r}")
        if not _is_number(self.delay) or not 0 <= self.delay < float("inf"):
            raise ValueError(f"delay must be a number of seconds, 0 or more, not {self.delay!r}")
        if self.times is not None and (not _is_whole(self.times) or self.times < 1):
            raise ValueError(f"times must be a whole number of 1 or more, or None for always, not {self.times!r}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault applies to a request.

        :param method: the HTTP method.
        :param path: the path below `/api/v1`.
        """
        if self.method not in {"*", method}:
            return False
        if self.path == "*":
            return True
        patterns, segments = self.path.split("/"), path.split("/")
        return len(patterns) == len(segments) and all(map(fnmatch.fnmatchcase, segments, patterns))


@attrs.define(eq=False)
class _Pending:
    """An injected fault, the number of requests left for it (``None``: any number), and whether a request met it."""

    fault: Fault
    left: int | None
    met: bool = False


class Faults:
    """The injected faults, oldest first. Any thread may add faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(_Pending(fault, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()

    @property
    def unmet(self) -> tuple[Fault, ...]:
        """The faults that no request has met."""
        with self._lock:
            return tuple(pending.fault for pending in self._pending if not pending.met)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first fault for a request, and count it."""
        with self._lock:
            for index, pending in enumerate(self._pending):
                if pending.fault.matches(method, path):
                    pending.met = True
                    if pending.left is not None:
                        pending.left -= 1
                        if not pending.left:
                            del self._pending[index]
                    return pending.fault
        return None


class FaultInjector:
    """Carries out faults until the server stops."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End all stalled requests."""
        self._stopping.set()

    def start(self) -> None:
        """Allow requests to stall again."""
        self._stopping.clear()

    async def respond(
        self, request: web.BaseRequest, fault: Fault, answer: web.Response | None, headers: CIMultiDict[str]
    ) -> tuple[web.StreamResponse | None, int | None]:
        """Return the response to send instead, and the status that the client sees of it.

        No response means that the usual one is sent; no status means that the client sees none.

        :param answer: the response of the handler, if it has run.
        :param headers: the headers of every response; those of the fault replace them.
        """
        if fault.delay:
            await self._pause(request, fault.delay)
        for name, value in fault.headers.items():
            headers[name] = value
        match fault.action:
            case "delay":
                return None, None
            case "status":
                status = fault.status or _UNAVAILABLE
                text = wire.error("An injected fault", secrets.token_hex(16))
                body = text if fault.body is None else fault.body
                return web.Response(status=status, body=body, headers=headers), status
            case "garbage":
                body = _GARBAGE if fault.body is None else fault.body
                return web.Response(status=200, body=body, headers=headers), 200
            case "truncate":
                status = self._send_half(request, answer, headers)
                return self._closed(request), status
            case "stall":
                await self._pause(request, None)
            case "drop":
                pass
            case _:
                assert_never(fault.action)
        return self._closed(request), None

    async def _pause(self, request: web.BaseRequest, seconds: float | None) -> None:
        """Wait for some seconds, or for ever, but only while client and server are there."""
        loop = asyncio.get_running_loop()
        end = float("inf") if seconds is None else loop.time() + seconds
        while (left := end - loop.time()) > 0 and request.transport is not None and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(left, _POLL))

    def _send_half(self, request: web.BaseRequest, answer: web.Response | None, headers: CIMultiDict[str]) -> int:
        status = 200 if answer is None else answer.status
        body = _TRUNCATED if answer is None or not isinstance(answer.body, bytes) else answer.body
        headers.setdefault("Content-Length", str(len(body)))
        lines = [f"HTTP/1.1 {status} Cut"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if request.transport is not None:
            request.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body[: len(body) // 2])
        return status

    def _closed(self, request: web.BaseRequest) -> web.StreamResponse:
        """Close the connection, and return a response that aiohttp can no longer send."""
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)

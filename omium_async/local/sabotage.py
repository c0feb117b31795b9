"""Carries out a fault on one request."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Final, assert_never

from aiohttp import web

from . import wire

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from .faults import Fault

__all__ = ["Saboteur"]

_UNAVAILABLE: Final = 503
_LOOK_EVERY: Final = 0.02  # seconds between looks at whether the client is still there
_GARBAGE: Final = b'{"id": "exec_\xff\x00, <html>'
_HALF_SAID: Final = b'{"id": "exec_000000000000", "status": "running", "message": "cut off before its end"}'


class Saboteur:
    """Spoils answers, until the server stops."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Lets all stalled requests end."""
        self._stopping.set()

    def start(self) -> None:
        """Requests may be stalled again."""
        self._stopping.clear()

    async def spoil(
        self, request: web.BaseRequest, fault: Fault, answer: web.Response | None, headers: CIMultiDict[str]
    ) -> web.StreamResponse | None:
        """What to answer instead; None: what would be answered anyway. `answer`: what the handler made, if it ran.
        `headers`: those that every answer has, which the fault's own replace."""
        if fault.delay:
            await self._pause(request, fault.delay)
        for name, value in fault.headers.items():
            headers[name] = value
        match fault.action:
            case "delay":
                return None
            case "status":
                text = wire.trouble("A fault that was asked for", secrets.token_hex(16))
                body = text if fault.body is None else fault.body
                return web.Response(status=fault.status or _UNAVAILABLE, body=body, headers=headers)
            case "garbage":
                return web.Response(status=200, body=_GARBAGE if fault.body is None else fault.body, headers=headers)
            case "truncate":
                self._send_half(request, answer, headers)
            case "stall":
                await self._pause(request, None)
            case "drop":
                pass
            case _:
                assert_never(fault.action)
        return self._closed(request)

    async def _pause(self, request: web.BaseRequest, seconds: float | None) -> None:
        """Waits so long, or for ever; in any case no longer than the client or the server."""
        loop = asyncio.get_running_loop()
        end = float("inf") if seconds is None else loop.time() + seconds
        while (left := end - loop.time()) > 0 and request.transport is not None and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(left, _LOOK_EVERY))

    def _send_half(self, request: web.BaseRequest, answer: web.Response | None, headers: CIMultiDict[str]) -> None:
        status = 200 if answer is None else answer.status
        body = _HALF_SAID if answer is None or not isinstance(answer.body, bytes) else answer.body
        headers.setdefault("Content-Length", str(len(body)))
        lines = [f"HTTP/1.1 {status} Cut"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if request.transport is not None:
            request.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body[: len(body) // 2])

    def _closed(self, request: web.BaseRequest) -> web.StreamResponse:
        """Ends the connection, and gives aiohttp an answer that it finds it cannot send any more."""
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)

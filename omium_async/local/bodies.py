"""Bodies of requests, read whole: decompressed, and within a limit."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from .errors import Refusal

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["read_body"]

_MOST: Final = 16 * 2**20
_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_PLAIN: Final = frozenset({"", "identity"})


class _TooLargeError(Refusal):
    status = 413

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {_MOST} bytes")


class _UnknownCodingError(Refusal):
    status = 415


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body.

    :raises Refusal: it is too large, or not what its headers say.
    :raises aiohttp.web.RequestPayloadError: it did not come whole.
    """
    if (request.content_length or 0) > _MOST:
        raise _TooLargeError
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _WINDOWS and coding not in _PLAIN:
        raise _UnknownCodingError(f"Content-Encoding must be gzip or deflate, not {coding[:50]!r}")
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    reader = _Plain() if coding in _PLAIN else _Decompressed(_WINDOWS[coding])
    while chunk := await request.content.readany():
        reader.feed(chunk)
        if len(reader.whole) > _MOST:
            raise _TooLargeError
        if request.content.at_eof():
            break
    reader.end()
    return bytes(reader.whole)


class _Plain:
    def __init__(self) -> None:
        self.whole = bytearray()

    def feed(self, chunk: bytes) -> None:
        self.whole += chunk

    def end(self) -> None:
        pass


class _Decompressed(_Plain):
    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window
        self._inner = zlib.decompressobj(window)
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        if not self._begun and self._window == zlib.MAX_WBITS and chunk[0] & 0x0F != zlib.DEFLATED:
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)  # many send "deflate" without the head of zlib
        self._begun = True
        try:
            self.whole += self._inner.decompress(chunk, _MOST + 1 - len(self.whole))
        except zlib.error as error:
            raise Refusal(f"The body could not be decompressed: {error}") from None

    def end(self) -> None:
        """What ends before its check sum is not whole, whatever it holds so far."""
        if not self._inner.eof or self._inner.unused_data:
            raise Refusal("The body is not whole: its compressed data ends too early, or is followed by more")

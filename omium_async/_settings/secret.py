"""Secrets are struck out of what a server echoes."""

from __future__ import annotations

import base64

from .._data.masked import Secret
from .echoes import SHORTEST, Echo

__all__ = ["Redactor", "basic_auth"]


class Redactor:
    """Strikes secrets out of text and bytes, in each form in which an answer may echo them.

    Struck out before anything is cut, or half of a secret would stay. Where the other side may have cut, ``cut=True``
    strikes the beginning of a secret at the end too.
    """

    def __init__(self, *secrets: str) -> None:
        long = {Secret(secret) for secret in secrets if len(secret) >= SHORTEST}
        # The longest first: one may hold another.
        self._echoes = tuple(Echo(secret) for secret in sorted(long, key=len, reverse=True))

    def __repr__(self) -> str:
        return "Redactor()"

    def text(self, text: str, *, cut: bool = False) -> str:
        """``text`` without the secrets, as plain text."""
        text = str.__str__(text)
        for echo in self._echoes:
            text = echo.struck_from(text, cut=cut)
        return text

    def body(self, body: bytes, *, cut: bool = False) -> bytes:
        """``body`` without the secrets."""
        text = body.decode("utf-8", "surrogateescape")
        struck = self.text(text, cut=cut)
        return body if struck is text or struck == text else struck.encode("utf-8", "surrogateescape")


def basic_auth(user: bytes, password: bytes) -> Secret:
    """The value of a (proxy's) authorization header, after RFC 7617."""
    return Secret("Basic " + base64.b64encode(user + b":" + password).decode())

"""Secrets are removed from what a server echoes."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from .._data.masked import MASK, Secret

__all__ = ["Redactor", "basic_auth"]

_SHORTEST: Final = 8  # characters; replacing shorter text would garble messages


class Redactor:
    """Replaces secrets of 8 characters or more: verbatim, percent-encoded, JSON-escaped or HTML-escaped.

    Text must be redacted before it is cut, because half of a secret is not recognised. With ``cut=True``, for text that
    was cut by somebody else, the beginning of a secret at the end is replaced too.
    """

    def __init__(self, *secrets: str) -> None:
        forms = {Secret(form) for secret in secrets if len(secret) >= _SHORTEST for form in _forms_of(secret)}
        self._forms = sorted(forms, key=len, reverse=True)  # the longest first: one may contain another

    def __repr__(self) -> str:
        return "Redactor()"

    def text(self, text: str, *, cut: bool = False) -> str:
        """Return ``text`` without the secrets, as plain text."""
        text = str.__str__(text)
        for form in self._forms:
            text = text.replace(form, MASK)
        return self._without_beginning(text) if cut else text

    def _without_beginning(self, text: str) -> str:
        for form in self._forms:
            for length in range(min(len(form) - 1, len(text)), _SHORTEST - 1, -1):
                if text.endswith(str.__getitem__(form, slice(length))):
                    return text[:-length] + MASK
        return text

    def body(self, body: bytes, *, cut: bool = False) -> bytes:
        """Return ``body`` without the secrets."""
        text = body.decode("utf-8", "surrogateescape")
        redacted = self.text(text, cut=cut)
        return body if redacted == text else redacted.encode("utf-8", "surrogateescape")


def _forms_of(secret: str) -> Iterator[str]:
    secret = str.__str__(secret)
    yield secret
    for safe in ("", "/"):  # in a query, in a path
        percent = quote(secret, safe=safe)
        yield percent
        yield re.sub("%..", lambda found: found[0].lower(), percent)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield html.escape(secret)


def basic_auth(user: bytes, password: bytes) -> Secret:
    """Return the value of a (proxy) authorization header, as in RFC 7617."""
    return Secret("Basic " + base64.b64encode(user + b":" + password).decode())

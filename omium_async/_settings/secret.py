"""Secrets are removed from what a server echoes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from .._data.masked import MASK, Secret

#: As `html.escape`, whose module takes two milliseconds to import.
_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_SHORTEST: Final = 8  # characters; replacing shorter text would garble messages
_INCOMPLETE_CHARACTER: Final = re.compile("[\udc80-\udcff]{1,3}$")  # as decoded with surrogateescape


class Redactor:
    """Replaces secrets of 8 characters or more: verbatim, percent-encoded, JSON-escaped or HTML-escaped.

    Text must be redacted before it is cut, because a part of a secret is not recognised.
    """

    def __init__(self, *secrets: str) -> None:
        self._forms: list[Secret] = []
        self.add(*secrets)

    def __repr__(self) -> str:
        return "Redactor()"

    def add(self, *secrets: str) -> None:
        """Replace these secrets too from now on."""
        forms = {Secret(form) for secret in secrets if len(secret) >= _SHORTEST for form in _forms_of(secret)}
        # A new list, because other threads may go through the old one. The longest first: one may contain another.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return ``text`` without the secrets, as plain text."""
        text = str.__str__(text)
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return headers without the secrets."""
        whole = "\n".join([*headers, *headers.values()])  # one search finds out that there are none, as usual
        if self.text(whole) == whole:
            return headers
        return {self.text(name): self.text(text) for name, text in headers.items()}

    def body(self, body: bytes, *, cut: bool = False) -> bytes:
        """Return ``body`` without the secrets.

        :param cut: the end of the body is missing: any beginning of a secret at its end is removed too.
        """
        text = body.decode("utf-8", "surrogateescape")
        redacted = self.text(text)
        if cut:
            redacted = self._without_beginning(_INCOMPLETE_CHARACTER.sub("", redacted))
        return body if redacted == text else redacted.encode("utf-8", "surrogateescape")

    def _without_beginning(self, text: str) -> str:
        beginnings = (form[:length] for form in self._forms for length in range(1, len(form)))
        longest = max((len(beginning) for beginning in beginnings if text.endswith(beginning)), default=0)
        return text[: len(text) - longest]


def _forms_of(secret: str) -> Iterator[str]:
    secret = str.__str__(secret)
    yield secret
    for safe in ("", "/"):  # in a query, in a path
        percent = quote(secret, safe=safe)
        yield percent
        yield re.sub("%..", lambda found: found[0].lower(), percent)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield secret.translate(_HTML)


def basic_auth(user: bytes, password: bytes) -> Secret:
    """Return the value of a (proxy) authorization header, as in RFC 7617."""
    return Secret("Basic " + base64.b64encode(user + b":" + password).decode())

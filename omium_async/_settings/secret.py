"""Text that must not be seen: it masks itself in reprs, and is struck out of what a server echoes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NoReturn, Self
from urllib.parse import quote

__all__ = ["Redactor", "Secret", "basic_auth", "kind_of", "masked"]

_MASK = "***"
_SHORTEST = 8  # replacing anything shorter would garble messages that mean something else


class Secret(str):
    """Text whose repr and format are masked, so that tracebacks with local variables do not show it.

    ``str()`` and concatenation give the plain text: that is what goes on the wire.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{_MASK}'"

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not pickled: the other process reads its own settings")


class Unusable:
    """What was given where text belongs, of which only the type is of interest: it may be a key all the same."""

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def kind_of(value: object) -> str:
    """The name of a value's type, as messages give it."""
    if isinstance(value, Unusable):
        return value.kind
    return "str" if isinstance(value, Secret) else type(value).__name__


def masked(value: Any) -> Any:
    """Text, or a mapping to text, masked from here on, so that no traceback that shows local variables shows it."""
    if value is None or isinstance(value, (Secret, Unusable)):
        return value
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        entries: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {name: masked(text) for name, text in entries.items()}
    return Unusable(value)


class Redactor:
    """Strikes secrets out of text and bytes, in each form in which an answer may echo them."""

    def __init__(self, *secrets: str) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                plain = str.__str__(secret)
                forms |= {plain, quote(plain, safe=""), quote(plain), json.dumps(plain)[1:-1]}
                forms.add(json.dumps(plain, ensure_ascii=False)[1:-1])
        # The longest first: one form may hold another.
        self._texts = tuple(Secret(form) for form in sorted(forms, key=len, reverse=True))

    def __repr__(self) -> str:
        return "Redactor()"

    def text(self, text: str, *, cut: bool = False) -> str:
        """``text`` without the secrets, as plain text."""
        text = str.__str__(text)
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, _MASK)
            for length in range(len(secret) - 1, _SHORTEST - 1, -1) if cut else ():
                if text.endswith(str.__str__(secret)[:length]):
                    text = text[:-length] + _MASK
        return text

    def body(self, body: bytes, *, cut: bool = False) -> bytes:
        """``body`` without the secrets."""
        for secret in self._texts:
            if secret.encode() in body:
                body = body.replace(secret.encode(), _MASK.encode())
            for length in range(len(secret) - 1, _SHORTEST - 1, -1) if cut else ():
                if body.endswith(str.__str__(secret)[:length].encode()):
                    body = body[:-length] + _MASK.encode()
        return body


def basic_auth(user: str, password: str) -> Secret:
    """The value of a (proxy's) authorization header, after RFC 7617."""
    return Secret("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

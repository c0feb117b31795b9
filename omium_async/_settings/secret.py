"""Text that must not be seen: it masks itself in reprs, and is struck out of what a server echoes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NoReturn, Self, SupportsIndex

from .echoes import MASK, SHORTEST, Echo

__all__ = ["Redactor", "Secret", "basic_auth", "kind_of", "masked"]


class Secret(str):
    """Text whose repr and format are masked, so that tracebacks with local variables do not show it.

    ``str()`` and concatenation give the plain text: that is what goes on the wire.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __getitem__(self, place: SupportsIndex | slice) -> Secret:
        return Secret(str.__getitem__(self, place))  # what shows local variables cuts long ones short

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

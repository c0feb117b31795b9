"""Secret text, which is masked in every repr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, Self, SupportsIndex

MASK: Final = "***"


class Secret(str):
    """Text whose repr and format are masked, so that tracebacks with local variables do not show it.

    ``str()`` and concatenation return the plain text, which is sent.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __getitem__(self, place: SupportsIndex | slice) -> Secret:
        return Secret(str.__getitem__(self, place))  # tools that show local variables shorten long ones

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not pickled: the other process reads its own settings")


class Unusable:
    """A value in the place of text. Only its type is shown, because it may contain a key."""

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self.kind}>"


class SecretFunction(Unusable):
    """A function that may return a key. Its repr is masked, because that of a ``partial`` shows arguments."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(function)
        self.function = function


def kind_of(value: object) -> str:
    """Return the name of a value's type for messages."""
    if isinstance(value, Unusable):
        return value.kind
    return "str" if isinstance(value, Secret) else type(value).__name__


def masked(value: Any) -> Any:
    """Mask text, a mapping to text, or a function, so that tracebacks with local variables do not show a key."""
    if value is None or isinstance(value, (Secret, Unusable)):
        return value
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        entries: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {name: masked(text) for name, text in entries.items()}
    return SecretFunction(value) if callable(value) else Unusable(value)

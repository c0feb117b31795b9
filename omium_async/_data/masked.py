"""Text that must not be seen: it masks itself in reprs, wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, Self, SupportsIndex

__all__ = ["MASK", "Secret", "Unusable", "kind_of", "masked"]

MASK: Final = "***"


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

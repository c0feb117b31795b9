"""How models show in a terminal or a notebook: whole where that is little, else the beginning of each value."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["few", "short"]

_MOST_CHARACTERS: Final = 200
_MOST_ENTRIES: Final = 3


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = self.maxlong = _MOST_CHARACTERS // 2

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # beyond Python's own limit of digits
            return f"<an integer of {x.bit_length()} bits>"


_SHORT: Final = _Short()


def short(value: Any) -> str:
    """The value's ``repr``, cut where it gets long; what is cut off is not even written."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def few(entries: Sequence[Any]) -> str:
    """The first of a tuple of models, and how many there are more."""
    shown = [repr(entry) for entry in entries[:_MOST_ENTRIES]]
    if len(entries) > _MOST_ENTRIES:
        shown.append(f"... {len(entries) - _MOST_ENTRIES:,} more")
    return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"

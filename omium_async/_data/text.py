"""Text from outside for messages, logs and terminals: one line, clean and of limited length."""

from __future__ import annotations

import re
import reprlib
from typing import Any, Final

LONGEST_MESSAGE: Final = 2000  # characters of a whole message; quotations in it are shorter
LONGEST_ID: Final = 200
_LONGEST_REPR: Final = 200

# Characters that move a terminal's cursor, end a line, change the direction of writing or are invisible: C0 (with ESC,
# which begins colours and links), C1, soft hyphens, zero widths, marks and isolates of direction, tags.
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_READ: Final = 8  # times the wanted length are read, so that a text of megabytes costs no more


def one_line(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Return ``text`` as one line of at most ``most`` characters that any terminal shows and any encoder accepts.

    Invisible characters become a space, spaces in a row become one, a lone surrogate becomes U+FFFD. A second
    application changes nothing. Secrets must be replaced before, because half of one would not be found.
    """
    text = str.__str__(text)
    if len(text) <= most and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    beginning = text[: most * _READ]
    found = " ".join(_INVISIBLE.sub(" ", _SURROGATES.sub("\ufffd", beginning)).split())
    if len(found) > most or len(beginning) < len(text):
        found = found[: most - 3].rstrip() + "..."
    return found


def clean_id(text: str) -> str:
    """Return an id from outside, cleaned for messages. (An id that is sent to the service is rejected instead.)"""
    return one_line(text, LONGEST_ID)


def encodes(text: str) -> bool:
    """Whether ``text`` has no lone surrogate, which neither files nor sockets accept."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = self.maxlong = _LONGEST_REPR // 2

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # beyond Python's own limit of digits
            return f"<an integer of {x.bit_length()} bits>"


_SHORT: Final = _ShortRepr()


def short(value: Any) -> str:
    """Return the value's ``repr``, cut if it is long; what is cut off is not written first."""
    text = _SHORT.repr(value)
    return text if len(text) <= _LONGEST_REPR else f"{text[: _LONGEST_REPR - 3]}..."

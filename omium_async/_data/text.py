"""Text of others on its way into messages, logs and terminals: one line of it, clean and of bounded length."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LONGEST_ID", "LONGEST_MESSAGE", "clean_id", "encodes", "one_line"]

LONGEST_MESSAGE: Final = 2000  # characters of a whole message; what is quoted in it is cut to less
LONGEST_ID: Final = 200

# What moves a terminal's cursor, ends a line, turns the direction of writing or is not seen at all: C0 (with ESC, which
# begins colours and links), C1, soft hyphens, zero widths, marks and isolates of direction, tags.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_LOOKED_AT: Final = 8  # times the length that is wanted: the rest of a text of megabytes costs nothing


def one_line(text: str, most: int = LONGEST_MESSAGE) -> str:
    """``text`` as one line of at most ``most`` characters that any terminal shows and any encoder takes.

    What is not to be seen becomes a space, spaces in a row become one, a lone surrogate becomes U+FFFD. Applied again
    it changes nothing. Secrets are struck out before, for half of one would not be known any more.
    """
    text = str.__str__(text)
    if len(text) <= most and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    beginning = text[: most * _LOOKED_AT]
    found = " ".join(_UNSEEN.sub(" ", _SURROGATES.sub("\ufffd", beginning)).split())
    if len(found) > most or len(beginning) < len(text):
        found = found[: most - 3].rstrip() + "..."
    return found


def clean_id(text: str) -> str:
    """An id that others made, as `one_line`, for reading: what is sent to the service is not cleaned but refused."""
    return one_line(text, LONGEST_ID)


def encodes(text: str) -> bool:
    """Whether ``text`` is text: a lone surrogate is none, and no file and no socket takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

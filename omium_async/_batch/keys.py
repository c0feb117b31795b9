"""The keys of a batch's items: in the journal, in the metadata, and in the header."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import msgspec

from .._arguments import text as text_argument

__all__ = ["content_digest", "header_key", "item_key", "own_key"]

_LONGEST_IN_HEADER = 200
_canonical = msgspec.json.Encoder(order="deterministic").encode


def content_digest(body: Any) -> str:
    """A digest of plain JSON data, the same whatever the order of its keys."""
    return blake2b(_canonical(body), digest_size=16).hexdigest()


def item_key(batch: str, position: int, digest: str) -> str:
    """The key of an item without one of its own.

    It holds the batch's own id: the same requests sent on purpose as another batch are other items.
    """
    return blake2b(f"{batch}:{position}:{digest}".encode(), digest_size=16).hexdigest()


def own_key(key: object) -> str:
    """A key of the user's.

    :raises TypeError: it is no text. :raises ValueError: it is empty, or holds a NUL or a lone surrogate.
    """
    text = text_argument(key, "key")
    if "\0" in text:
        raise ValueError("key must not hold NUL characters")
    return text


def header_key(key: object) -> str:
    """A key as it travels in ``Idempotency-Key``: as it is where that fits, else a digest of it.

    :raises TypeError: it is no text. :raises ValueError: as `own_key`.
    """
    text = own_key(key)
    if len(text) <= _LONGEST_IN_HEADER and re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", text):
        return text
    return blake2b(text.encode(), digest_size=16).hexdigest()

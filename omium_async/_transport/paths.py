"""Paths of requests: an id is one escaped segment and never another route."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode

__all__ = ["execution_segment", "idempotency_key_argument", "query", "relative_path", "text_argument"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN_ID = re.compile(r"[0-9A-Za-z_-]+")  # nothing to escape, as in most ids
_ROUTES = frozenset({"", ".", "..", "live", "compare"})  # what the service would take for something else than an id
_PATH_SAFE = "/:@!$&'()*+,;=-._~%"
_QUERY_SAFE = _PATH_SAFE + "?"


def text_argument(value: object, name: str) -> str:
    """``value``, which must be text that is not empty.

    :raises TypeError: it is no text. :raises ValueError: it is empty, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds a lone surrogate, which is no text") from None
    return value


def execution_segment(execution_id: object) -> str:
    """An execution id as one path segment.

    :raises TypeError: it is no text.
    :raises ValueError: it is empty, ``.``, ``..``, a route of the service (``live``, ``compare``), or holds control
        characters.
    """
    if type(execution_id) is str and _PLAIN_ID.fullmatch(execution_id) and execution_id not in _ROUTES:
        return execution_id
    text = text_argument(execution_id, "execution_id")
    if text in _ROUTES:
        raise ValueError(f"execution_id {text!r} is a route of the service, not the id of an execution")
    if _CONTROL.search(text):
        raise ValueError("execution_id must not hold control characters")
    return quote(text, safe="")


def idempotency_key_argument(value: object) -> str:
    """A key of the user's own for a write: what fits a header.

    :raises TypeError: it is no text. :raises ValueError: it is empty, or holds more than visible ASCII.
    """
    text = text_argument(value, "idempotency_key")
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", text):
        raise ValueError("idempotency_key must be visible ASCII, for it travels in a header")
    return text


def relative_path(path: object) -> str:
    """The path of ``request``, escaped and with a leading slash; a query in it is kept.

    :raises TypeError: it is no text.
    :raises ValueError: it names a scheme or host, climbs by ``..``, or holds a fragment or control characters.
    """
    text, mark, its_query = text_argument(path, "path").partition("?")
    if _CONTROL.search(text + its_query) or "\\" in text:
        raise ValueError("path must not hold control characters or backslashes")
    if "://" in text or text.startswith("//"):
        raise ValueError("path must be relative to the base URL, without scheme or host")
    if "#" in text + its_query:
        raise ValueError("path must not hold a fragment")
    if any(segment in (".", "..") for segment in _fully_unquoted(text).replace("\\", "/").split("/")):
        raise ValueError("path must not hold '.' or '..'")
    return "/" + _escaped(text, _PATH_SAFE).lstrip("/") + mark + _escaped(its_query, _QUERY_SAFE)


def _escaped(text: str, safe: str) -> str:
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text), safe=safe)


def _fully_unquoted(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def query(params: Mapping[str, Any] | None) -> str:
    """``params`` as a query with its ``?``; ``None`` values are left out, a list gives its key once an entry."""
    pairs: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        entries = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
        pairs += [(name, _query_text(entry, name)) for entry in entries if entry is not None]
    return "?" + urlencode(pairs) if pairs else ""


def _query_text(value: object, name: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return text_argument(value, f"params[{name!r}]") if value else ""
    raise TypeError(f"params[{name!r}] must be text or a number, not {type(value).__name__}")

"""The arguments of batches, checked at the call and not at the first iteration."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from .._journal.settings import Journal
from .._transport.paths import execution_segment

__all__ = ["checked_concurrency", "checked_ids", "checked_journal", "checked_requests"]


def checked_requests(requests: Any) -> Any:
    """What ``create_many`` is to go through.

    :raises TypeError: it cannot be gone through, or is a single text, mapping or the like.
    """
    return _many(requests, "requests", "ExecutionRequest items")


def checked_ids(execution_ids: Any) -> Any:
    """The ids of ``wait_many``: a list, each id once, unless they come from an async iterable.

    :raises TypeError: they are no ids. :raises ValueError: one cannot be an id.
    """
    found = _many(execution_ids, "execution_ids", "ids")
    if isinstance(found, AsyncIterable):
        return found  # pyright: ignore[reportUnknownVariableType]
    ids: dict[str, None] = dict.fromkeys(found)
    for execution_id in ids:
        execution_segment(execution_id)
    return list(ids)


def _many(value: object, name: str, what: str) -> Any:
    kind = type(value).__name__
    single = isinstance(value, (str, bytes, bytearray, Mapping))
    if single or not isinstance(value, (Iterable, AsyncIterable)):
        raise TypeError(f"{name} must be an iterable or async iterable of {what}, not {kind}")
    return value  # pyright: ignore[reportUnknownVariableType]


def checked_concurrency(value: Any) -> int:
    """How many calls may be under way at once.

    :raises TypeError: it is no whole number. :raises ValueError: it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"concurrency must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"concurrency must be 1 or more, not {value}")
    return value


def checked_journal(value: Any) -> Journal | None:
    """A journal, from a path or a `Journal`.

    :raises TypeError: it is neither. :raises ValueError: the path is empty.
    """
    if value is None or isinstance(value, Journal):
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"journal must be a path or a Journal, not {type(value).__name__}")
    return Journal(value)  # pyright: ignore[reportUnknownArgumentType]

"""One write of a batch: patient where only a rate limit is in the way, and clear about what ends the whole batch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from .._data.codec import NotJSON, decode_json
from .._data.misfit import Misfit
from .._errors import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    OmiumError,
    PermissionDeniedError,
    RateLimitError,
)
from .._pool.limit import Limit

__all__ = ["key_is_refused", "send", "was_refused_for_good"]

T = TypeVar("T")

_MOST_REFUSALS: Final = 8  # calls that end in a 429, each after its own retries, before an item is given up
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0


def key_is_refused(error: Exception) -> bool:
    """Whether an answer is about the key: 401, or 403 in JSON. The edge refuses single requests in HTML."""
    if isinstance(error, AuthenticationError):
        return True
    if not isinstance(error, PermissionDeniedError):
        return False
    try:
        decode_json(error.body)
    except NotJSON:
        return False
    except Misfit:
        return True
    return True


def was_refused_for_good(error: Exception) -> bool:
    """Whether the service refused the item itself, and would again: a 4xx other than 401, 403 and 429."""
    if not isinstance(error, APIStatusError) or error.outcome_unknown:
        return False
    return 400 <= error.status < 500 and error.status not in (401, 403, 429)


def _was_held_back(error: OmiumError) -> bool:
    """Whether only the pace was in the way: refused with a 429, or held by the client's own gate past the deadline."""
    if error.outcome_unknown:
        return False
    if isinstance(error, RateLimitError):
        return True
    return isinstance(error, APITimeoutError) and (not error.attempts or error.attempts[-1].status == 429)


async def send(
    write: Callable[[], Awaitable[T]], limit: Limit, retries: int, mark: Callable[[], Awaitable[Any]] | None = None
) -> T:
    """Call ``write`` until more than a rate limit decides about it.

    :param retries: of each call; with 0 nothing is sent again after a 429.
    :param mark: awaited before each call.
    :raises OmiumError: as the last call ended.
    """
    refusals = 0
    pause = _FIRST_PAUSE
    while True:
        if mark is not None:
            await mark()
        started = time.monotonic()
        try:
            found = await write()
        except OmiumError as error:
            if not _was_held_back(error):
                raise
            limit.refused(started)
            refusals += bool(error.attempts)
            if refusals >= _MOST_REFUSALS or (refusals and not retries):
                raise
            last = error
            asked = error.retry_after if isinstance(error, RateLimitError) else None
        else:
            limit.answered(started)
            return found
        # Others wait as well: the jitter keeps them from coming back at once.
        await asyncio.sleep((asked or 0.0) + random.uniform(pause / 2, pause))  # noqa: S311
        pause = min(pause * 2, _LONGEST_PAUSE)
        if limit.closed:
            raise last

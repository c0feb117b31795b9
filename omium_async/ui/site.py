"""What all pages share: the reader, the writes, the templates, and how a read of a page ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Generic, TypeVar

import attrs
from aiohttp import web

from omium_async import AsyncOmium, OmiumError, RateLimitError

from .._errors.calls import ends_batch
from .bulk import Bulks
from .reading import Reader
from .rendering import Renderer
from .writes import Forms, Writes

T = TypeVar("T")

LOOK_EVERY: Final = 10.0  # seconds between two looks of a page at what changes
FIRST_WAIT: Final = 3.0  # seconds that a page waits for its data; then it is shown without them
_SOON: Final = 0.2  # seconds until the first look of a page that is shown without data
_AFTER_REFUSAL: Final = 30.0
_LONGEST_WAIT: Final = 3600.0

_log = logging.getLogger("omium_async.ui")


class Site:
    """One console.

    :param omium: the user's client; writes are sent through it with its own options.
    """

    def __init__(self, omium: AsyncOmium) -> None:
        self.omium = omium
        self.reader = Reader(omium)
        self.forms = Forms()
        self.writes = Writes()
        self.bulks = Bulks(omium, self.reader, self.writes)
        self.renderer = Renderer(repr(omium).strip("<>"))

    async def close(self) -> None:
        """Send nothing more, and wait a moment for writes in progress."""
        await asyncio.gather(self.bulks.close(), self.forms.close())


SITE: Final = web.AppKey("SITE", Site)


@attrs.frozen
class ReadResult(Generic[T]):
    """How a read ended: with a value, with an error, or with neither if the page did not wait for it."""

    value: T | None = None
    error: Exception | None = None
    began: datetime = attrs.field(factory=partial(datetime.now, UTC))

    def as_of(self, request: web.Request) -> datetime | None:
        """Return when the data was read that the page shows: now, or before, as the page's script says."""
        if self.value is not None:
            return self.began
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(request.query.get("as_of", ""))
        return None


async def attempt(read: Coroutine[Any, Any, T], seconds: float | None) -> ReadResult[T]:
    """Await a read.

    :param seconds: how long; ``None``: as long as the client takes.
    """
    began = datetime.now(UTC)
    try:
        async with asyncio.timeout(seconds):
            return ReadResult(await read, began=began)
    except (OmiumError, ValueError, TypeError) as error:
        return ReadResult(error=error)
    except TimeoutError as error:
        return ReadResult() if seconds is not None else ReadResult(error=error)
    except Exception as error:  # noqa: BLE001 - a defect must show on the page, not only in the log
        _log.exception("the console could not read what a page shows")
        return ReadResult(error=error)


def next_look(read: ReadResult[Any], every: float) -> float:
    """Return the seconds until a page looks again."""
    error = read.error
    if isinstance(error, RateLimitError) and error.retry_after is not None:
        return max(LOOK_EVERY, min(error.retry_after, _LONGEST_WAIT))
    if error is not None and ends_batch(error):
        return _AFTER_REFUSAL
    if error is not None:
        return LOOK_EVERY
    return _SOON if read.value is None else every

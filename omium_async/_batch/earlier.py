"""The order of a batch that continues: the items of earlier runs come before new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from typing import Any, Final

from .._models.types import ExecutionRequest

_SLOW: Final = 0.1  # seconds without a request


class EarlierFirst:
    """Holds new items back until the batch has met all items of earlier runs.

    It does not wait for items that may never come: not after the end of the requests, not for a source that is slow,
    and not when all items that may be taken ahead are held.

    :param count: items of earlier runs.
    :param ahead: items that may be taken ahead.
    """

    def __init__(self, count: int, ahead: int) -> None:
        self._left = count
        self._ahead = ahead
        self._held = 0
        self._open = asyncio.Event()
        if not count:
            self._open.set()

    def meet(self) -> None:
        """Count an item of an earlier run."""
        self._left -= 1
        if self._left <= 0:
            self._open.set()

    async def all_met(self) -> None:
        """Wait until all items of earlier runs have been met, or need not be waited for."""
        if self._open.is_set():
            return
        self._held += 1
        if self._held >= self._ahead:
            self._open.set()
        await self._open.wait()

    def watch(
        self, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]
    ) -> Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]:
        """Return the requests; their end, or a pause between them, ends the hold."""
        if self._open.is_set():
            return requests
        return self._watch_slow(requests) if isinstance(requests, AsyncIterable) else self._watch(requests)

    def _watch(self, requests: Iterable[ExecutionRequest]) -> Iterator[ExecutionRequest]:
        yield from requests
        self._open.set()

    async def _watch_slow(self, requests: AsyncIterable[ExecutionRequest]) -> AsyncGenerator[ExecutionRequest]:
        items: Any = aiter(requests)
        loop = asyncio.get_running_loop()
        try:
            while True:
                timer = loop.call_later(_SLOW, self._open.set)
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    timer.cancel()
                yield item
        finally:
            self._open.set()

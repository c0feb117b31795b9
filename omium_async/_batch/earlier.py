"""The order of a batch that continues: the items of earlier runs come before new ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from typing import Any, Final

from .._models.types import ExecutionRequest

_SLOW: Final = 0.1  # seconds without a request


class EarlierFirst:
    """Holds new items back until the batch has met all items of earlier runs.

    It does not wait for items that may never come: not after the end of the requests, once each of them has been looked
    up in the journal; not for a source that is slow; and not when all items that may be taken ahead are held.

    :param count: items of earlier runs.
    :param ahead: items that may be taken ahead.
    """

    def __init__(self, count: int, ahead: int) -> None:
        self._left = count
        self._ahead = ahead
        self._held = 0
        self._not_looked_up: set[int] = set()  # positions
        self._has_ended = False
        self._open = asyncio.Event()
        if not count:
            self._open.set()

    def meet(self) -> None:
        """Count an item of an earlier run."""
        self._left -= 1
        self._open_if_possible()

    def looked_up(self, position: int) -> None:
        """Record that it is known whether the item of this position is one of an earlier run."""
        self._not_looked_up.discard(position)
        self._open_if_possible()

    async def all_met(self) -> None:
        """Wait until all items of earlier runs have been met, or need not be waited for."""
        if self._open.is_set():
            return
        self._held += 1
        self._open_if_possible()
        await self._open.wait()

    def _open_if_possible(self) -> None:
        is_over = self._has_ended and not self._not_looked_up
        if is_over or self._left <= 0 or self._held >= self._ahead:
            self._open.set()

    def watch(
        self, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]
    ) -> Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]:
        """Return the requests; their end, or a pause between them, ends the hold."""
        if self._open.is_set():
            return requests
        return self._watch_slow(requests) if isinstance(requests, AsyncIterable) else self._watch(requests)

    def _watch(self, requests: Iterable[ExecutionRequest]) -> Iterator[ExecutionRequest]:
        for position, request in enumerate(requests):
            self._not_looked_up.add(position)
            yield request
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        self._open_if_possible()

    async def _watch_slow(self, requests: AsyncIterable[ExecutionRequest]) -> AsyncGenerator[ExecutionRequest]:
        items: Any = aiter(requests)
        positions = itertools.count()
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
                self._not_looked_up.add(next(positions))
                yield item
        finally:
            self._end()

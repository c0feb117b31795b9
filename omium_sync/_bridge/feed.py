"""Plain iterables for the loop, advanced in the thread that reads what is made of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Feed", "feed_of"]

T = TypeVar("T")


def feed_of(items: Any) -> Feed[Any] | None:
    """A feed of a plain iterable; of anything else ``None``: the core takes it, or says what is wrong with it."""
    if isinstance(items, (AsyncIterable, str, bytes, bytearray, Mapping)) or not isinstance(items, Iterable):
        return None
    return Feed(items)  # pyright: ignore[reportUnknownArgumentType]


def _nothing() -> None: ...


class Feed(Generic[T]):
    """A plain iterable for the loop, advanced in the thread that reads the results: it may belong to it, as a database
    cursor does, may block, and may call the client itself.

    :ivar ahead: how many items may be taken that have no result yet. :ivar given: results, to the reader.
    :ivar wanted: the loop waits for items. :ivar on_wanted: called when it begins to.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self.ahead = 0
        self.given = 0
        self.wanted = False
        self.on_wanted: Callable[[], None] = _nothing
        self._items: Iterator[T] = iter(items)
        self._taken = 0
        self._ready: deque[T] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._arrived = asyncio.Event()
        self._notified = False

    # -- on the loop -------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            self.wanted = True
            self.on_wanted()
            self._arrived.clear()
            await self._arrived.wait()
        return self._ready.popleft()

    def arrive(self) -> None:
        """There are items, or the end of them."""
        self._notified = False
        self._arrived.set()

    # -- in the reader's thread --------------------------------------------------------------------------------------

    @property
    def room(self) -> bool:
        """Whether items may be taken."""
        return not self._ended and self._taken - self.given < self.ahead

    def pull(self, notify: Callable[[Callable[[], object]], object], until: Callable[[], bool]) -> None:
        """Take items until there are results. Each goes over at once, for the next one may be long in coming."""
        while self.room and not until():
            self.wanted = False
            try:
                self._ready.append(next(self._items))
                self._taken += 1
            except StopIteration:
                self._ended = True
            except Exception as error:  # noqa: BLE001 - the batch ends with it, after the results known by then
                self._error, self._ended = error, True
            if not self._notified:
                self._notified = True
                notify(self.arrive)

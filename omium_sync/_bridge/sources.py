"""What the facade's iterators read, on the loop: async generators, a group of items at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Final, Generic, Protocol, TypeVar

__all__ = ["Gathered", "Groups", "Single", "Source", "feed_of"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_LARGEST: Final = 256  # items of one group


class Source(Protocol):
    """What one reader reads."""

    async def aclose(self) -> None:
        """On the loop: end what is under way."""


class Groups(Source, Protocol[T_co]):
    """Groups of items, each when it is asked for."""

    def prepare(self) -> None:
        """In the reader's thread, before it asks for the next group."""

    async def next(self) -> Sequence[T_co]:
        """On the loop: the next group as soon as it is there. ``StopAsyncIteration``: there is none."""
        ...


class Single(Generic[T]):
    """One item at a time, and nothing is asked for before it is wanted."""

    def __init__(self, items: AsyncGenerator[T]) -> None:
        self._items = items

    def prepare(self) -> None: ...

    async def next(self) -> Sequence[T]:
        return (await anext(self._items),)

    async def aclose(self) -> None:
        await self._items.aclose()


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

    def pull(self, notify: Callable[[Callable[[], None]], None], results: Callable[[], bool]) -> None:
        """Take items until there are results. Each goes over at once, for the next one may be long in coming."""
        while self.room and not results():
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


class Gathered(Generic[T]):
    """Whatever is there by the time the loop would wait. At most one item is awaited that nobody asked for.

    :param notify: runs a function on the loop soon, from any thread.
    """

    def __init__(
        self, items: AsyncGenerator[T], notify: Callable[[Callable[[], None]], None], feed: Feed[Any] | None = None
    ) -> None:
        self._items = items
        self._notify = notify
        self._feed = feed
        self._ready: list[T] = []
        self._news = asyncio.Event()
        self._demand = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        if feed is not None:
            feed.on_wanted = self._news.set

    def prepare(self) -> None:
        feed = self._feed
        if feed is not None and feed.wanted:
            feed.pull(self._notify, self._has_results)

    async def next(self) -> Sequence[T]:
        if self._pump is None:
            self._pump = asyncio.create_task(self._gather())
        self._demand.set()
        try:
            while not self._ready and not self._pump.done() and not self._is_hungry():
                self._news.clear()
                await self._news.wait()
        finally:
            self._demand.clear()
        if not self._ready and self._pump.done():
            self._pump.result()
            raise StopAsyncIteration
        group, self._ready = self._ready, []
        if self._feed is not None:
            self._feed.given += len(group)
        return group

    async def aclose(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            with contextlib.suppress(BaseException):
                self._pump.result()  # nobody needs it; asked for so that asyncio does not report it
        await self._items.aclose()

    def _has_results(self) -> bool:
        return bool(self._ready)

    def _is_hungry(self) -> bool:
        return self._feed is not None and self._feed.wanted and self._feed.room

    async def _gather(self) -> None:
        try:
            async for item in self._items:
                self._ready.append(item)
                self._news.set()
                while not self._demand.is_set() or len(self._ready) >= _LARGEST:
                    if self._demand.is_set():
                        self._demand.clear()
                    await self._demand.wait()
        finally:
            self._news.set()

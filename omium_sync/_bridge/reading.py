"""What the facade's iterators read: async generators, run on the loop ahead of their readers as far as each may be.

A group of items crosses at a time: a hand-over an item would cost a hundred times the item.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from omium_async import Execution

from .feed import Feed

if TYPE_CHECKING:
    from omium_async._lists.streams import Batch

__all__ = ["NAP", "Gathered", "OneByOne", "Reading", "Rows"]

T = TypeVar("T")
U = TypeVar("U")

#: Seconds that a thread sleeps at a time. A signal that comes just before it falls asleep does not wake it, and what
#: the handler raises, such as a `KeyboardInterrupt`, has to wait until it wakes.
NAP: Final = 0.5


class Reading(ABC, Generic[U, T]):
    """Read by one reader at a time, in any thread.

    :ivar waiting: the reader waits for a group. :ivar error: what ended it, if not the end of the items.
    """

    def __init__(self, items: AsyncGenerator[U]) -> None:
        self.waiting = False
        self.error: BaseException | None = None
        self._items = items
        self._ready: SimpleQueue[Sequence[T] | None] = SimpleQueue()
        self._asked = 0
        self._given = 0
        self._room = 0  # groups that may be given before they are asked for
        self._paused = False
        self._wanted = asyncio.Event()

    # -- in the reader's thread --------------------------------------------------------------------------------------

    def take(self, notify: Callable[[Callable[[], object]], object]) -> Sequence[T] | None:
        """The next group as soon as it is there, perhaps an empty one; ``None``: `pump` has ended.

        :param notify: runs a function on the loop soon.
        """
        self._asked += 1
        self.waiting = True
        try:
            if self._paused:
                self._paused = False
                notify(self._wanted.set)
            while True:
                try:
                    return self._ready.get(timeout=NAP)
                except Empty:
                    continue
        finally:
            self.waiting = False

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Read until the items end, or this is cancelled."""
        try:
            async for item in self._items:
                self._give(item)
                del item  # the reader's from here on
                while self._is_far_ahead():
                    self._wanted.clear()
                    self._paused = True
                    if self._is_far_ahead():  # the reader has not come by since
                        await self._wanted.wait()
        except BaseException as error:  # noqa: BLE001 - the reader's, also the SystemExit of a hook
            trace = error.__traceback__
            self.error = error.with_traceback(trace and trace.tb_next)
        finally:
            await self._items.aclose()  # whole: a call is cancelled once

    def end(self, error: BaseException | None) -> None:
        """`pump` has ended: tell the reader, now or when it comes."""
        self.error = self.error or error
        self._ready.put(None)

    @abstractmethod
    def _give(self, item: U) -> None:
        """Put what the reader is to have next into `_ready`, and count it in `_given`."""

    def _put(self, group: Sequence[T]) -> None:
        self._given += 1
        self._ready.put(group)

    def _is_far_ahead(self) -> bool:
        return self._given >= self._asked + self._room


class OneByOne(Reading[T, T]):
    """One item at a time, and nothing is asked for before it is wanted."""

    def _give(self, item: T) -> None:
        self._put((item,))


class Rows(Reading["Batch", Execution]):
    """The rows of a list: batches come over by themselves, and the reader seldom has to ask for one.

    Only a reader who has gone some way is sure to go on; until then nothing is read that was not asked for. And never
    more than the list's ``prefetch`` allows for, of which the windows in flight are a part.

    :param read: opens the list, given what tells how many batches wait for the reader, and the ``arguments``.
    """

    _MOST: Final = 4  # batches over there that nobody asked for
    _SURE: Final = 4  # batches

    def __init__(self, read: Callable[..., AsyncGenerator[Batch]], **arguments: Any) -> None:
        super().__init__(read(self._held, **arguments))
        self._bound = 0

    def _give(self, item: Batch) -> None:
        self._bound = min(self._MOST, item.bound)
        self._put(item.rows)

    def _is_far_ahead(self) -> bool:
        self._room = self._bound if self._asked > self._SURE else 0
        return super()._is_far_ahead()

    def _held(self) -> int:
        return max(0, self._given + 1 - self._asked)  # with the one that is about to be given


class Gathered(Reading[T, T]):
    """Whatever is there by the time the loop would wait. At most one item is awaited that nobody asked for.

    :param feed: what the items are made from, taken in the reader's thread.
    """

    _LARGEST: Final = 256  # items of one group

    def __init__(self, items: AsyncGenerator[T], feed: Feed[Any] | None = None) -> None:
        super().__init__(items)
        self._room = 1
        self._group: list[T] = []
        self._feed = feed
        if feed is not None:
            feed.on_wanted = self._call_reader

    def take(self, notify: Callable[[Callable[[], object]], object]) -> Sequence[T] | None:
        feed = self._feed
        if feed is None:
            return super().take(notify)
        self.waiting = True  # before the look, for the loop looks in the other order
        if feed.wanted:
            feed.pull(notify, until=lambda: not self._ready.empty())
        group = super().take(notify)
        feed.given += len(group or ())
        return group

    def end(self, error: BaseException | None) -> None:
        self._flush()
        super().end(error)

    def _give(self, item: T) -> None:
        if not self._group:
            self._given += 1
            asyncio.get_running_loop().call_soon(self._flush)
        self._group.append(item)
        if len(self._group) == self._LARGEST:
            self._flush()

    def _flush(self) -> None:
        if self._group:
            group, self._group = self._group, []
            self._ready.put(group)

    def _call_reader(self) -> None:
        """The loop waits for what the reader takes from the feed."""
        self._flush()
        if self.waiting:
            self._put(())

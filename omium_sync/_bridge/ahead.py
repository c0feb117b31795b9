"""Reading a list ahead of its reader, across the threads: a hand-over a page would cost a quarter of its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from queue import SimpleQueue
from typing import Any, Final

from omium_async import Execution
from omium_async._streaming import Batch

__all__ = ["Ahead"]


class Ahead:
    """The rows of a list: batches come over by themselves, and the reader seldom has to ask for one.

    Only a reader who has gone some way is sure to go on; until then nothing is read that was not asked for. And never
    more than the list's ``prefetch`` allows for, of which the windows in flight are a part.

    :param read: opens the list, given what tells how many batches wait for the reader.
    :param notify: runs a function on the loop soon, from any thread. :ivar waiting: the reader waits for a batch.
    """

    _MOST: Final = 4  # batches over there that nobody asked for
    _SURE: Final = 4  # batches

    def __init__(
        self, read: Callable[[Callable[[], int]], AsyncGenerator[Batch]], notify: Callable[[Callable[[], None]], None]
    ) -> None:
        self.waiting = False
        self._batches = read(self._held)
        self._notify = notify
        self._ready: SimpleQueue[Sequence[Execution] | None] = SimpleQueue()
        self._asked = 0
        self._given = 0
        self._room = 0
        self._paused = False
        self._wanted = asyncio.Event()
        self._pump: asyncio.Task[Any] | None = None

    # -- in the reader's thread --------------------------------------------------------------------------------------

    def take(self) -> Sequence[Execution] | None:
        """The next batch as soon as it is there; ``None``: `pump` has ended."""
        self._asked += 1
        self.waiting = True
        try:
            if self._paused:
                self._paused = False
                self._notify(self._wanted.set)
            return self._ready.get()
        finally:
            self.waiting = False

    # -- on the loop -------------------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Read until the list ends, or this is closed: at once, if it was before it began."""
        self._pump = asyncio.current_task()
        async with contextlib.aclosing(self._batches):
            async for batch in self._batches:
                self._given += 1
                self._room = min(self._MOST, batch.bound)
                self._ready.put(batch.rows)
                del batch  # the reader's from here on
                while self._is_far_ahead():
                    self._wanted.clear()
                    self._paused = True
                    if self._is_far_ahead():  # the reader has not come by since
                        await self._wanted.wait()

    def _held(self) -> int:
        return max(0, self._given + 1 - self._asked)  # with the one that is about to be given

    def _is_far_ahead(self) -> bool:
        return self._given >= self._asked + (self._room if self._asked > self._SURE else 0)

    def pump_ended(self) -> None:
        """Tell the reader, now or when it comes."""
        self._ready.put(None)

    async def aclose(self) -> None:
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            await asyncio.wait([self._pump])
        await self._batches.aclose()

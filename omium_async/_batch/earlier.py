"""The order of a batch that continues: the items of earlier runs come before new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["EarlierFirst"]

_QUIET: Final = 0.1  # seconds


class EarlierFirst:
    """Holds other items back until the batch has met all items of earlier runs.

    Items may have been removed from the requests, and a source may wait for outcomes. So the hold also ends when none
    was met for a tenth of a second, although none is being looked up and no outcome waits for the consumer.

    :param count: items of earlier runs.
    :param has_outcomes: whether outcomes wait for the consumer.
    :param on_end: called when the hold ends.
    """

    def __init__(self, count: int, has_outcomes: Callable[[], bool], on_end: Callable[[], object]) -> None:
        self._left = count
        self._has_outcomes = has_outcomes
        self._on_end = on_end
        self._looking_up = 0
        self._seen = -1  # items left at the last look
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._check()

    @contextmanager
    def looking_up(self) -> Generator[Callable[[], None]]:
        """A context in which an item is looked up; the function that it yields ends the look-up before its end."""
        self._looking_up += 1
        is_looking_up = True

        def end() -> None:
            nonlocal is_looking_up
            self._looking_up -= is_looking_up
            is_looking_up = False

        try:
            yield end
        finally:
            end()

    def meet(self) -> None:
        """Count an item of an earlier run."""
        self._left -= 1
        if self._left <= 0:
            self.end()

    async def all_met(self) -> None:
        """Wait for the end of the hold."""
        await self._ended.wait()

    def end(self) -> None:
        """End the hold."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._ended.is_set():
            self._ended.set()
            self._on_end()

    def _check(self) -> None:
        is_quiet = self._left == self._seen and not self._looking_up and not self._has_outcomes()
        if self._left <= 0 or is_quiet:
            self.end()
        else:
            self._seen = self._left
            self._timer = asyncio.get_running_loop().call_later(_QUIET, self._check)

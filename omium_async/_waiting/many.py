"""Waiting for many executions on one shared poller, whose cost is that of pages of the list and not of executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, NoReturn, TypeVar

import attrs

from .. import _endpoints as endpoints
from .. import _lists as lists
from .._arguments import execution_segment
from .._caller import Caller
from .._errors import MissingExecutionsError, NotFoundError, OmiumError, UnstableListError, WaitTimeoutError
from .._models.types import ExecutionDetail
from .._pool.limit import Limit
from .._pool.pool import Pool
from .._streaming.filters import Filters
from .._transport.retry import could_mend
from .polling import Pace, Polling

__all__ = ["wait_for_each"]

T = TypeVar("T")

_FEW: Final = 8  # executions that are looked at one by one
_AT_ONCE: Final = 16  # single reads under way
_PAGE_SIZES: Final = (100, 1000)


@attrs.frozen
class _Seen:
    """What a single read brought: the execution, or that there is none, or nothing for this time."""

    id: str
    detail: ExecutionDetail | None = None
    missing: bool = False


async def wait_for_each(
    caller: Caller, execution_ids: Iterable[str] | AsyncIterable[str], polling: Polling
) -> AsyncGenerator[ExecutionDetail]:
    """Each execution once its status is one that was asked for.

    :raises WaitTimeoutError: it was not so with all in time. :raises MissingExecutionsError: some do not exist.
    """
    crowd = _Crowd(caller, polling.begin())
    await crowd.gather(execution_ids)
    while crowd.pending:
        moved = False
        pool = Pool(await crowd.look(), crowd.read, Limit(_AT_ONCE))
        try:
            while await crowd.in_time(pool.more):
                while (seen := pool.pop()) is not None:
                    if crowd.take(seen) and seen.detail is not None:
                        moved = True
                        yield seen.detail
        finally:
            await pool.close()
        if crowd.pending:
            await crowd.pause(moved=moved)
    if crowd.missing:
        raise MissingExecutionsError(
            f"the service knows no executions {_some(crowd.missing)}",
            missing=tuple(crowd.missing),
            outcome="not_applied",
        )


class _Crowd:
    """The executions that are waited for."""

    def __init__(self, caller: Caller, polling: Polling) -> None:
        self.pending: dict[str, None] = {}
        self.missing: list[str] = []
        self._caller = caller
        self._polling = polling
        self._pace = Pace(polling)
        self._alone: set[str] = set()  # those that the list does not show, or not cheaply
        self._pages = 0  # that the last look at the list took
        self._requests = 0
        self._last: OmiumError | None = None

    async def gather(self, execution_ids: Iterable[str] | AsyncIterable[str]) -> None:
        """Take the ids, each once."""
        if not isinstance(execution_ids, AsyncIterable):
            self.pending = dict.fromkeys(execution_ids)
            return

        async def collect() -> bool:
            async for execution_id in execution_ids:
                execution_segment(execution_id)
                self.pending[execution_id] = None
            return True

        await self.in_time(collect)

    async def in_time(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run one step, but not past the deadline.

        :raises WaitTimeoutError: it would go on longer.
        """
        scope = asyncio.timeout(self._polling.left())
        try:
            async with scope:
                return await step()
        except TimeoutError:
            if not scope.expired():
                raise
            self._raise_late()

    async def pause(self, *, moved: bool) -> None:
        """Sleep until the next look."""
        if not await self._polling.sleep(self._pace.next(moved=moved, requests=self._requests)):
            self._raise_late()

    def _raise_late(self) -> NoReturn:
        count = len(self.pending)
        missing = f"; the service does not know {_some(self.missing)}" if self.missing else ""
        raise WaitTimeoutError(
            f"{count} {'execution' if count == 1 else 'executions'} did not come to {self._polling.in_words()} within "
            f"{self._polling.timeout:g} s{missing}",
            pending=tuple(self.pending),
            outcome="not_applied",
        ) from self._last

    # -- looking -------------------------------------------------------------------------------------------------

    async def look(self) -> list[str]:
        """The executions to read one by one now: those that the list shows to be ready, and those it cannot show."""
        self._requests = 0
        listed = [execution_id for execution_id in self.pending if execution_id not in self._alone]
        if len(listed) <= max(_FEW, self._pages):
            self._alone.update(listed)
            return list(self.pending)
        ready: list[str] = []

        async def look_at_list() -> None:
            try:
                ready.extend(await self._look_at_list(listed))
            except OmiumError as error:
                self._mind(error)

        await self.in_time(look_at_list)
        self._requests += self._pages
        return ready + [execution_id for execution_id in self.pending if execution_id in self._alone]

    async def _look_at_list(self, listed: list[str]) -> list[str]:
        """Those that the list shows to be ready; it is read from its newest to the last one of these."""
        unseen = set(listed)
        ready: list[str] = []
        pages_read = 0
        size = min(max(len(listed), _PAGE_SIZES[0]), _PAGE_SIZES[1])
        async with aclosing(lists.pages(self._caller, Filters(), page_size=size, prefetch=0)) as pages:
            async for page in pages:
                pages_read += 1
                for row in page.items:
                    if row.id in unseen:
                        unseen.discard(row.id)
                        if row.status in self._polling.until:
                            ready.append(row.id)
                if not unseen or pages_read > len(unseen) // 2:
                    break
        self._pages = pages_read
        self._alone |= unseen
        return ready

    async def read(self, _: int, execution_id: str) -> _Seen:
        """One execution in full."""
        try:
            return _Seen(execution_id, await endpoints.get(self._caller, execution_id))
        except NotFoundError:
            return _Seen(execution_id, missing=True)
        except OmiumError as error:
            self._mind(error)
            return _Seen(execution_id)

    def _mind(self, error: OmiumError) -> None:
        """Raise what no later look could mend."""
        if not could_mend(error) and not isinstance(error, UnstableListError):
            raise error
        self._last = error

    def take(self, seen: _Seen) -> bool:
        """Whether this is the end of waiting for an execution that exists."""
        if seen.missing:
            self.missing.append(seen.id)
        elif seen.detail is None or seen.detail.status not in self._polling.until:
            self._requests += 1
            return False
        del self.pending[seen.id]
        self._alone.discard(seen.id)
        return not seen.missing


def _some(ids: list[str]) -> str:
    """Ids in words, not too many."""
    shown = ", ".join(repr(found) for found in ids[:5])
    return shown if len(ids) <= 5 else f"{shown} and {len(ids) - 5} more"

"""The executions that a batch replays, cancels or deletes: named one by one, or all that pass filters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._filters import Filters, ids_alone
from .._lists import streams as lists
from .._models.types import Execution, ExecutionDetail
from .calls import Calls

T = TypeVar("T")
R = TypeVar("R")


@attrs.frozen
class Selection:
    """Executions to change, and the calls of the batch that changes them.

    :ivar execution_ids: ``None``: all that pass ``filters``.
    """

    caller: Caller
    operation: str
    concurrency: int
    execution_ids: Iterable[str] | AsyncIterable[str] | None
    filters: Filters
    calls: Calls

    @classmethod
    def of(
        cls,
        caller: Caller,
        operation: str,
        execution_ids: Iterable[str] | AsyncIterable[str] | None,
        filters: Filters,
        concurrency: int,
        default_statuses: tuple[str, ...],
    ) -> Selection:
        """Check the arguments.

        :param default_statuses: the filter that is allowed together with ids.
        :raises ValueError: another filter is given together with ids.
        """
        ids = None if execution_ids is None else ids_alone(execution_ids, filters, default_statuses)
        check.at_least(1, concurrency, "concurrency")
        return cls(caller, operation, concurrency, ids, filters, Calls(caller, concurrency, operation))

    @property
    def by_id(self) -> bool:
        """Whether only the ids of the executions are known."""
        return self.execution_ids is not None

    def rows(self, limit: int | None) -> AsyncGenerator[Execution]:
        """Yield the executions, each once, also while the list changes."""
        if self.execution_ids is not None:
            return lists.named(self.execution_ids, limit)
        fetch = lists.windows(self.caller, self.filters, page=self.calls.page)
        return lists.stream_rows(fetch, prefetch=0, limit=limit, filters=self.filters)

    async def detail(self, execution_id: str) -> ExecutionDetail:
        """Read the current state of an execution."""
        return await self.calls.read(lambda caller: endpoints.get(caller, execution_id))

    def shown(self, row: Execution, detail: ExecutionDetail) -> Execution:
        """Return the execution for an outcome: the row of the list, or the first details of an id."""
        return detail if self.by_id else row

    async def each(self, items: AsyncGenerator[T], work: Callable[[int, T], Awaitable[R]]) -> AsyncGenerator[R]:
        """Yield the outcome of ``work`` for each item."""
        async with aclosing(items), aclosing(self.calls.each(items, work)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    def again(self) -> Selection:
        """Return the same for another pool."""
        return attrs.evolve(self, calls=Calls(self.caller, self.concurrency, self.operation))

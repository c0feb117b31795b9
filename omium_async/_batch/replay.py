"""Replaying many executions, each once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import attrs

from .. import _endpoints as endpoints
from .. import _lists as lists
from .._caller import Caller
from .._errors import NotFoundError, OmiumError
from .._models.outcomes import ReplayOutcome
from .._models.types import Execution, ExecutionDetail, ExecutionPage, ReplayResult
from .._pool.limit import Limit
from .._pool.pool import Pool
from .._streaming.filters import Filters
from .._waiting.outage import Outage
from .sending import Marking, Sending, key_is_refused
from .verdict import judged

__all__ = ["Replaying", "plan_each", "replay_each"]

BATCH: Final = "replay_many"  # what waits, in warnings


@attrs.frozen
class Replaying:
    """How one execution of a batch is replayed.

    :ivar by_id: whether the executions were named by the caller, and nothing else of them is known before a look.
    """

    sending: Sending
    limit: Limit
    checkpoint_name: str | None
    by_id: bool

    @classmethod
    def of(cls, caller: Caller, concurrency: int, checkpoint_name: str | None, *, by_id: bool) -> Replaying:
        """So many at once, with this client."""
        limit = Limit(concurrency)
        return cls(Sending(caller, limit, BATCH), limit, checkpoint_name, by_id)

    @property
    def caller(self) -> Caller:
        """What it is replayed with."""
        return self.sending.caller

    def rows(self, filters: Filters, limit: int | None) -> AsyncGenerator[Execution]:
        """The executions that pass; asking for them is a call of the batch like the others."""
        sending = self.sending

        async def page(_: Caller, page: int, page_size: int, filters: Filters) -> ExecutionPage:
            return await sending.call(lambda: endpoints.page(sending.reader(), page, page_size, filters))

        caller = sending.caller
        outage = Outage(BATCH, caller.options.patience, caller.options.poll_interval[0], telemetry=caller.telemetry)
        return lists.rows(caller, filters, prefetch=0, limit=limit, outage=outage, page=page)

    async def look(self, execution_id: str) -> ExecutionDetail:
        """The execution as it is now."""
        sending = self.sending
        return await sending.call(lambda: endpoints.get(sending.reader(), execution_id))

    async def replay(
        self, execution_id: str, checkpoint_id: str, key: str, marking: Marking | None = None
    ) -> ReplayResult:
        """Replay it from there."""
        sending = self.sending
        return await sending.call(lambda: endpoints.replay(sending.caller, execution_id, checkpoint_id, key), marking)

    def checkpoint_of(self, detail: ExecutionDetail) -> str:
        """The checkpoint to replay from.

        :raises ValueError: there is none.
        """
        return endpoints.checkpoint_of(detail, self.checkpoint_name)

    def shown(self, row: Execution, detail: ExecutionDetail) -> Execution:
        """What an outcome tells of the execution: the row, or what was seen first of one that was named."""
        return detail if self.by_id else row


async def plan_each(replaying: Replaying, rows: AsyncGenerator[Execution]) -> AsyncGenerator[ReplayOutcome]:
    """What a replay of these would be about; nothing is sent. Those that were named are looked up."""
    if not replaying.by_id:
        async with aclosing(rows):
            async for row in rows:
                yield ReplayOutcome(row, "planned")
        return

    async def plan(_: int, row: Execution) -> ReplayOutcome:
        try:
            return ReplayOutcome(await replaying.look(row.id), "planned")
        except NotFoundError as error:
            return ReplayOutcome(row, "rejected", None, error)

    pool = Pool(rows, plan, replaying.limit)
    replaying.sending.serve(pool)
    async with aclosing(rows), aclosing(judged(pool.results())) as outcomes:
        async for outcome in outcomes:
            yield outcome


async def replay_each(replaying: Replaying, rows: AsyncGenerator[Execution]) -> AsyncGenerator[ReplayOutcome]:
    """Replay each of these; outcomes come as they end.

    The list shrinks while it is read, for what is replayed leaves it, and may come back to it. The stream of rows
    gives none twice and leaves none out all the same.
    """

    async def replay(_: int, row: Execution) -> ReplayOutcome:
        shown = row
        try:
            detail = await replaying.look(row.id)
            shown = replaying.shown(row, detail)
            checkpoint_id = replaying.checkpoint_of(detail)
            result = await replaying.replay(row.id, checkpoint_id, os.urandom(16).hex())
        except ValueError as error:
            return ReplayOutcome(shown, "rejected", None, error)
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return ReplayOutcome(shown, "unknown" if error.outcome_unknown else "rejected", None, error)
        return ReplayOutcome(shown, "replayed", result)

    pool = Pool(rows, replay, replaying.limit)
    replaying.sending.serve(pool)
    async with aclosing(rows), aclosing(judged(pool.results())) as outcomes:
        async for outcome in outcomes:
            yield outcome

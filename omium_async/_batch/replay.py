"""Replaying many executions, each once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import OmiumError
from .._models.outcomes import ReplayOutcome
from .._models.types import Execution, ExecutionDetail, ReplayResult
from .._pool.limit import Limit
from .._pool.pool import Pool, Stopped
from .sending import key_is_refused, send

__all__ = ["Replaying", "plan_each", "replay_each"]


@attrs.frozen
class Replaying:
    """How one execution of a batch is replayed."""

    caller: Caller
    checkpoint_name: str | None
    limit: Limit

    async def look(self, execution_id: str) -> ExecutionDetail:
        """The execution as it is now."""

        async def read() -> ExecutionDetail:
            return await endpoints.get(self.caller, execution_id)

        return await send(read, self.limit, self.caller.options.max_retries)

    async def replay(
        self, execution_id: str, checkpoint_id: str, key: str | None = None, mark: Any = None
    ) -> ReplayResult:
        """Replay it from there."""

        async def write() -> ReplayResult:
            if self.limit.closed:
                raise Stopped
            return await endpoints.replay(self.caller, execution_id, checkpoint_id, key)

        return await send(write, self.limit, self.caller.options.max_retries, mark)


async def plan_each(rows: AsyncGenerator[Execution]) -> AsyncGenerator[ReplayOutcome]:
    """What a replay of these would be about; nothing is sent."""
    async with aclosing(rows):
        async for row in rows:
            yield ReplayOutcome(row, "planned")


async def replay_each(replaying: Replaying, rows: AsyncGenerator[Execution]) -> AsyncGenerator[ReplayOutcome]:
    """Replay each of these; outcomes come as they end.

    The list shrinks while it is read, for what is replayed leaves it, and may come back to it. The stream of rows
    gives none twice and leaves none out all the same.
    """

    async def replay(_: int, row: Execution) -> ReplayOutcome:
        try:
            checkpoint_id = endpoints.checkpoint_of(await replaying.look(row.id), replaying.checkpoint_name)
            return ReplayOutcome(row, "replayed", await replaying.replay(row.id, checkpoint_id))
        except ValueError as error:
            return ReplayOutcome(row, "rejected", None, error)
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return ReplayOutcome(row, "unknown" if error.outcome_unknown else "rejected", None, error)

    async with aclosing(rows), aclosing(Pool(rows, replay, replaying.limit).results()) as outcomes:
        async for outcome in outcomes:
            yield outcome

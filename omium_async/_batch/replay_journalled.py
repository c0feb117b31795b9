"""Replaying many executions with a journal: each at most once, also over the deaths of the batch.

A replay cannot be found again by a key. What was in flight when a run died is compared with what it was before: if it
has changed since, it was replayed (or moved on by itself, which needs no replay either); if not, nobody knows, and it
is not sent again.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from .._caller import Caller
from .._data.codec import encode
from .._errors import JournalError, NotFoundError, OmiumError
from .._journal.file import Entry, JournalFile, Mark
from .._journal.schema import NAMED, Identity
from .._journal.settings import Journal
from .._models.outcomes import ReplayOutcome
from .._models.types import Execution, ExecutionDetail, ReplayResult
from .._pool.pool import Pool, Stopped
from .._streaming.filters import Filters
from .keys import item_key
from .replay import Replaying, plan_each
from .sending import is_silence, key_is_refused, was_refused_for_good
from .stored import execution_from, refusal_from, result_from, snapshot_of, stored_refusal
from .verdict import judged

__all__ = ["plan_journalled", "replay_journalled", "scope_of"]

_ENTRIES_AT_ONCE: Final = 256


def scope_of(filters: Filters | None, checkpoint_name: str | None) -> str:
    """What a journal of replays is about; another scope is another batch.

    :param filters: ``None``: executions that are named one by one.
    """
    wanted = "executions named one by one" if filters is None else filters.in_words()
    point = "the latest checkpoint" if checkpoint_name is None else f"checkpoint {checkpoint_name}"
    return f"{wanted}, from {point}"


async def plan_journalled(
    replaying: Replaying,
    rows: AsyncGenerator[Execution],
    scope: str,
    journal: Journal,
    limit: int | None,
) -> AsyncGenerator[ReplayOutcome]:
    """What a replay of these would be about: not what the journal holds. Nothing is sent."""
    file = await _open(replaying, scope, journal)
    try:
        remaining = _Remaining(file, limit)
        async with aclosing(remaining.recorded()) as recorded:
            async for entry in recorded:
                if entry.state in ("replayed", "refused"):
                    yield _from_journal(entry, file, replaying.caller)
        async with aclosing(plan_each(replaying, remaining.among(rows))) as planned:
            async for outcome in planned:
                yield outcome
    finally:
        await file.close()


async def replay_journalled(
    replaying: Replaying,
    rows: AsyncGenerator[Execution],
    scope: str,
    journal: Journal,
    limit: int | None,
) -> AsyncGenerator[ReplayOutcome]:
    """Replay each of these; outcomes come as they end, each recorded before; first those of earlier runs."""
    file = await _open(replaying, scope, journal)
    try:
        async with aclosing(judged(_go_on(replaying, file, rows, limit), file.states)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        await file.close()


async def _go_on(
    replaying: Replaying, file: JournalFile, rows: AsyncGenerator[Execution], limit: int | None
) -> AsyncGenerator[ReplayOutcome]:
    remaining = _Remaining(file, limit)
    async with aclosing(remaining.recorded()) as recorded:
        async for entry in recorded:
            if entry.state != "rejected":
                yield await _outcome_of(entry, file, replaying)
    new = remaining.among(rows)
    journalled = _JournalledReplay(replaying, file)
    pool = journalled.pool = Pool(new, journalled.replay, replaying.limit)
    replaying.sending.serve(pool)
    async with aclosing(new), aclosing(pool.results()) as outcomes:
        async for outcome in outcomes:
            yield outcome


async def _open(replaying: Replaying, scope: str, journal: Journal) -> JournalFile:
    base_url = replaying.caller.shared.settings.base_url
    identity = Identity("replay", base_url, journal.key_field, scope)
    return await JournalFile.open(journal.path, identity, wait=journal.wait)


class _Remaining:
    """What a journal says of which executions are still to be replayed."""

    def __init__(self, file: JournalFile, limit: int | None) -> None:
        self._file = file
        self._left = limit
        self._counted = 0

    async def recorded(self) -> AsyncGenerator[Entry]:
        """All that earlier runs recorded."""
        after = NAMED - 1
        while entries := await self._file.entries(after, _ENTRIES_AT_ONCE):
            for entry in entries:
                if entry.state != "rejected":
                    self._counted += 1
                yield entry
            after = entries[-1].id

    async def among(self, rows: AsyncGenerator[Execution]) -> AsyncGenerator[Execution]:
        """Those of the rows that no earlier run is done with; with the recorded ones no more than the limit."""
        left = None if self._left is None else self._left - self._counted
        if left is not None and left <= 0:
            return
        async with aclosing(rows):
            async for row in rows:
                entry = await self._file.find_named(row.id)
                if entry is None or entry.state == "rejected":
                    yield row
                    left = None if left is None else left - 1
                    if left == 0:
                        return


async def _outcome_of(entry: Entry, file: JournalFile, replaying: Replaying) -> ReplayOutcome:
    """The outcome of what an earlier run sent."""
    if entry.state in ("replayed", "refused"):
        return _from_journal(entry, file, replaying.caller)
    execution = file.reading(execution_from(replaying.caller.converter), entry.before)
    error = OmiumError(
        f"execution {entry.key} was in flight when the batch ended without an outcome, and shows no change since; it "
        "is not sent again",
        outcome="unknown",
    )
    try:
        now = await replaying.look(entry.key)
    except NotFoundError as missing:
        error.__cause__ = missing
        return ReplayOutcome(execution, "unknown", None, error, resumed=True)
    except OmiumError as failure:
        if key_is_refused(failure) or is_silence(failure):
            raise
        error.__cause__ = failure
        return ReplayOutcome(execution, "unknown", None, error, resumed=True)
    if not _has_changed(execution, now):
        return ReplayOutcome(execution, "unknown", None, error, resumed=True)
    result = ReplayResult(now.id, now.status, None)
    await file.record(entry.id, "replayed", now.id, encode(result.to_dict()).decode())
    return ReplayOutcome(execution, "replayed", result, None, resumed=True)


def _has_changed(before: Execution, now: ExecutionDetail) -> bool:
    if now.status != before.status:
        return True
    return now.updated_at is not None and before.updated_at is not None and now.updated_at != before.updated_at


def _from_journal(entry: Entry, file: JournalFile, caller: Caller) -> ReplayOutcome:
    execution = file.reading(execution_from(caller.converter), entry.before)
    if entry.state == "refused":
        return ReplayOutcome(execution, "rejected", None, file.reading(refusal_from, entry.answer), resumed=True)
    result = file.reading(result_from(caller.converter), entry.answer)
    return ReplayOutcome(execution, "replayed", result, None, resumed=True)


class _JournalledReplay:
    """Replays single executions, and records what becomes of them."""

    pool: Pool[Execution, ReplayOutcome]

    def __init__(self, replaying: Replaying, file: JournalFile) -> None:
        self._replaying = replaying
        self._file = file

    async def replay(self, position: int, row: Execution) -> ReplayOutcome:
        replaying = self._replaying
        shown = row
        try:
            now = await replaying.look(row.id)
            shown = replaying.shown(row, now)
            checkpoint_id = replaying.checkpoint_of(now)
        except ValueError as error:
            return ReplayOutcome(shown, "rejected", None, error)
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return ReplayOutcome(shown, "rejected", None, error)
        entry = await self._file.find_named(row.id)
        mark = self._mark_of(position, now, self._file.new_id() if entry is None else entry.id)
        return await self._send(shown, checkpoint_id, _Marking(self._file, mark, again=entry is not None))

    def _mark_of(self, position: int, now: ExecutionDetail, item_id: int) -> Mark:
        digest = ""  # it has no content that could change
        return Mark(item_id, now.id, position, self._file.run, digest, time.time(), None, None, snapshot_of(now))

    async def _send(self, row: Execution, checkpoint_id: str, marking: _Marking) -> ReplayOutcome:
        mark = marking.mark
        key = item_key(self._file.batch, 0, f"{row.id}:{checkpoint_id}")
        try:
            result = await self._replaying.replay(row.id, checkpoint_id, key, marking)
        except JournalError:
            raise
        except OmiumError as error:
            return await self._take_failure(row, mark, error)
        except Stopped:
            if marking.again:  # recorded as about to be sent, and it was not
                await self._record(mark, "rejected", None, None)
            raise
        await self._record(mark, "replayed", result.execution_id, encode(result.to_dict()).decode())
        return ReplayOutcome(row, "replayed", result)

    async def _take_failure(self, row: Execution, mark: Mark, error: OmiumError) -> ReplayOutcome:
        if error.outcome_unknown:
            await self._record(mark, "unknown", None, None)
            return ReplayOutcome(row, "unknown", None, error)
        refused = was_refused_for_good(error)
        await self._record(mark, "refused" if refused else "rejected", None, stored_refusal(error) if refused else None)
        if key_is_refused(error):
            raise error
        return ReplayOutcome(row, "rejected", None, error)

    async def _record(self, mark: Mark, state: str, execution_id: str | None, answer: str | None) -> None:
        try:
            await self._file.record(mark.id, state, execution_id, answer)
        except JournalError as error:
            self.pool.fail(error)  # the outcome is told all the same


class _Marking:
    """The mark of an execution, written before each of its requests.

    :ivar again: whether the journal holds the execution already.
    """

    fresh = True

    def __init__(self, file: JournalFile, mark: Mark, *, again: bool) -> None:
        self._file = file
        self.mark = mark
        self.again = again

    async def write(self) -> None:
        await self._file.mark(self.mark, again=self.again)
        self.again = True

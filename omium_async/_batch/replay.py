"""Replaying many executions, each at most once; with a journal also over several runs.

A replay cannot be found again by a key. An execution that was in flight when a run ended is compared with its state
before: if it has changed since, it was replayed, or has moved on and needs no replay. Otherwise its outcome is unknown,
and it is not sent again.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Final

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._data.codec import encode
from .._errors.base import OmiumError
from .._errors.calls import is_final_refusal
from .._filters import Filters
from .._journal.file import Entry, JournalFile, Mark
from .._journal.schema import FIRST_NAMED, Identity
from .._journal.settings import Journal, journal_of
from .._models.outcomes import ReplayOutcome
from .._models.types import Execution, ExecutionDetail, ReplayResult
from .._transport.admission import LaneClosed
from .items import item_key
from .recording import model_from, record, refusal_from, snapshot_of, stored_refusal
from .selection import Selection
from .verdict import with_verdict

_OPERATION: Final = "replay_many"  # in log messages
_ENTRIES_AT_ONCE: Final = 256


def replay_many(
    caller: Caller,
    execution_ids: Iterable[str] | AsyncIterable[str] | None,
    filters: Filters,
    *,
    checkpoint_name: str | None,
    limit: int | None,
    concurrency: int,
    dry_run: bool,
    journal: str | os.PathLike[str] | Journal | None,
) -> AsyncGenerator[ReplayOutcome]:
    """Check the arguments, and replay these executions, or all that pass the filters."""
    selection = Selection.of(caller, _OPERATION, execution_ids, filters, concurrency, ("failed",))
    given = journal_of(journal)
    check.checkpoint_choice(None, checkpoint_name)
    check.reading(limit=limit)
    if given is None or (dry_run and not given.path.exists()):  # a dry run does not create a journal
        replay = _Replay(selection, checkpoint_name, None)
        return with_verdict(selection.each(selection.rows(limit), replay.plan if dry_run else replay.replay))
    return _with_journal(selection, checkpoint_name, limit, given, dry_run=dry_run)


async def _with_journal(
    selection: Selection, checkpoint_name: str | None, limit: int | None, journal: Journal, *, dry_run: bool
) -> AsyncGenerator[ReplayOutcome]:
    """Replay with a journal: first yield the outcomes of earlier runs, which count towards the limit."""
    wanted = "executions named one by one" if selection.by_id else selection.filters.in_words()
    point = "the latest checkpoint" if checkpoint_name is None else f"checkpoint {checkpoint_name}"
    base_url = selection.caller.shared.settings.base_url
    identity = Identity(_OPERATION, base_url, journal.key_field, f"{wanted}, from {point}")
    file = await JournalFile.open(journal.path, identity, wait=journal.wait)
    try:
        replay = _Replay(selection, checkpoint_name, file)
        outcomes = with_verdict(replay.continue_journal(limit, dry_run=dry_run), file.earlier_states)
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield outcome
    finally:
        await file.close()


@attrs.frozen
class _Replay:
    """Replays the executions of one batch.

    :ivar checkpoint_name: ``None``: from the latest checkpoint.
    """

    selection: Selection
    checkpoint_name: str | None
    file: JournalFile | None

    # -- one execution -------------------------------------------------------------------------------------------

    async def plan(self, _: int, row: Execution) -> ReplayOutcome:
        """Report an execution without replaying it; one that was named is read."""
        if not self.selection.by_id:
            return ReplayOutcome(row, "planned")
        try:
            return ReplayOutcome(await self.selection.detail(row.id), "planned")
        except OmiumError as error:
            return ReplayOutcome(row, "rejected", None, error)

    async def replay(self, position: int, row: Execution) -> ReplayOutcome:
        """Replay an execution, and record it."""
        shown = row
        try:
            detail = await self.selection.detail(row.id)
            shown = self.selection.shown(row, detail)
            checkpoint_id = endpoints.checkpoint_of(detail, self.checkpoint_name)
        except (ValueError, OmiumError) as error:
            return ReplayOutcome(shown, "rejected", None, error)
        if self.file is None:
            return await self._send(shown, checkpoint_id, os.urandom(16).hex())
        return await self._send_recorded(self.file, position, shown, detail, checkpoint_id)

    async def _send(self, row: Execution, checkpoint_id: str, key: str) -> ReplayOutcome:
        try:
            result = await self.selection.calls.write(
                lambda caller: endpoints.replay(caller, row.id, checkpoint_id, key)
            )
        except OmiumError as error:
            return ReplayOutcome(row, "unknown" if error.outcome_unknown else "rejected", None, error)
        return ReplayOutcome(row, "replayed", result)

    async def _send_recorded(
        self,
        file: JournalFile,
        position: int,
        row: Execution,
        detail: ExecutionDetail,
        checkpoint_id: str,
    ) -> ReplayOutcome:
        entry = await file.find_named(row.id)
        item_id = file.new_id() if entry is None else entry.id
        mark = Mark(item_id, row.id, position, file.run, "", time.time(), snapshot_of(detail))
        await file.mark(mark)
        key = item_key(file.batch, 0, f"{row.id}:{checkpoint_id}")
        try:
            outcome = await self._send(row, checkpoint_id, key)
        except LaneClosed:  # it was not sent
            await record(file, self.selection.calls, item_id, "rejected", None, None)
            raise
        calls, result, error = self.selection.calls, outcome.result, outcome.error
        if result is not None:
            answer = encode(result.to_dict()).decode()
            await record(file, calls, item_id, "replayed", result.execution_id, answer)
        elif isinstance(error, OmiumError) and is_final_refusal(error):
            await record(file, calls, item_id, "refused", None, stored_refusal(error))
        else:
            await record(file, calls, item_id, outcome.state, None, None)
        return outcome

    # -- with a journal ------------------------------------------------------------------------------------------

    async def continue_journal(self, limit: int | None, *, dry_run: bool) -> AsyncGenerator[ReplayOutcome]:
        """Yield the outcomes of earlier runs, then those of the other executions."""
        assert self.file is not None  # noqa: S101 - for the type checkers
        file, done = self.file, 0

        async def entries() -> AsyncGenerator[Entry]:
            nonlocal done
            after = FIRST_NAMED - 1
            while found := await file.entries(after, _ENTRIES_AT_ONCE):
                for entry in found:
                    done += entry.state != "rejected"
                    if entry.state in ("replayed", "refused") or not (dry_run or entry.state == "rejected"):
                        yield entry
                after = found[-1].id

        earlier = attrs.evolve(self, selection=self.selection.again())
        async with aclosing(earlier.selection.each(entries(), earlier.resume)) as outcomes:
            async for outcome in outcomes:
                yield outcome
        if limit is not None and done >= limit:
            return
        rows = _without_done(file, self.selection.rows(None), None if limit is None else limit - done)
        async with aclosing(self.selection.each(rows, self.plan if dry_run else self.replay)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def resume(self, _: int, entry: Entry) -> ReplayOutcome:
        """Return the outcome of an execution that an earlier run sent."""
        assert self.file is not None  # noqa: S101 - for the type checkers
        if entry.state in ("replayed", "refused"):
            return self._recorded(entry, self.file)
        return await self._compared(entry, self.file)

    def _recorded(self, entry: Entry, file: JournalFile) -> ReplayOutcome:
        converter = self.selection.caller.converter
        execution = file.reading(model_from(converter, Execution), entry.before)
        if entry.state == "refused":
            return ReplayOutcome(execution, "rejected", None, file.reading(refusal_from, entry.answer), resumed=True)
        result = file.reading(model_from(converter, ReplayResult), entry.answer)
        return ReplayOutcome(execution, "replayed", result, None, resumed=True)

    async def _compared(self, entry: Entry, file: JournalFile) -> ReplayOutcome:
        """Compare an execution that was in flight when a run ended with its state before."""
        execution = file.reading(model_from(self.selection.caller.converter, Execution), entry.before)
        error = OmiumError(
            f"execution {entry.key} was in flight when the batch ended, and has not changed since; its outcome is "
            "unknown, and it is not sent again",
            outcome="unknown",
        )
        try:
            now = await self.selection.detail(entry.key)
        except OmiumError as failure:
            error.__cause__ = failure
            return ReplayOutcome(execution, "unknown", None, error, resumed=True)
        if not _has_changed(execution, now):
            return ReplayOutcome(execution, "unknown", None, error, resumed=True)
        result = ReplayResult(now.id, now.status, None)
        await file.record(entry.id, "replayed", now.id, encode(result.to_dict()).decode())
        return ReplayOutcome(execution, "replayed", result, None, resumed=True)


async def _without_done(
    file: JournalFile, rows: AsyncGenerator[Execution], limit: int | None
) -> AsyncGenerator[Execution]:
    """Yield the rows that the journal does not hold as done, at most ``limit``."""
    left = limit
    async with aclosing(rows):
        async for row in rows:
            entry = await file.find_named(row.id)
            if entry is None or entry.state == "rejected":
                yield row
                left = None if left is None else left - 1
                if left == 0:
                    return


def _has_changed(before: Execution, now: ExecutionDetail) -> bool:
    if now.status != before.status:
        return True
    return now.updated_at is not None and before.updated_at is not None and now.updated_at != before.updated_at

"""Running many executions: each is created as by ``create_many``, then waited for as by ``wait_many``.

A place is held by each item from before its create until its execution has ended, so at most ``max_running`` of the
batch run at once. With a journal, ``created`` is followed by the state ``ended``, which is recorded with the details.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._data.codec import encode
from .._errors.attempts import WriteOutcome
from .._errors.base import OmiumError
from .._errors.others import WaitTimeoutError
from .._journal.file import Entry, JournalFile
from .._journal.settings import Journal
from .._models.outcomes import CreateOutcome, RunOutcome
from .._models.types import Execution, ExecutionDetail, ExecutionFailedError, ExecutionRequest, ended_as
from .._pool import most_ahead
from .._statuses import SETTLED, ExecutionStatus
from .._waiting.exit import cancel_created, create_or_cancel
from .._waiting.polling import Polling
from .._waiting.shared import SharedWait
from .calls import Calls
from .create import Create, journal_and_settle
from .create_journalled import JournalledCreate, opened
from .earlier import EarlierFirst
from .items import Item
from .recording import record
from .verdict import with_verdict

_OPERATION: Final = "run_many"  # in log messages and journals
_MOST_CALLS: Final = 32  # in flight at once
_LAST_LOOK: Final = 5.0  # seconds for the read of an execution that is late
_NAMED: Final = 5  # the most executions in a note


def run_many(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    *,
    max_running: int,
    timeout: float | None,
    poll_interval: float | None,
    journal: str | os.PathLike[str] | Journal | None,
    settle: float | None,
    cancel_on_exit: bool,
) -> AsyncGenerator[RunOutcome[Any]]:
    """Check the other arguments, and create and await an execution for each request."""
    check.at_least(1, max_running, "max_running")
    limit = check.seconds(timeout, "timeout", zero=False)
    given, seconds = journal_and_settle(caller, journal, settle)
    calls = Calls(caller, min(max_running, _MOST_CALLS), _OPERATION)
    polling = Polling.of(None, poll_interval, SETTLED, caller.options.poll_interval)
    run = _Run(caller, calls, polling, max_running, limit, cancels=cancel_on_exit)
    outcomes = run.each(requests) if given is None else run.each_journalled(requests, given, seconds)
    return _with_note(outcomes, run)


async def _with_note(outcomes: AsyncGenerator[RunOutcome[Any]], run: _Run) -> AsyncGenerator[RunOutcome[Any]]:
    """Yield the outcomes; an exception that ends them early gets a note about the executions that have not ended."""
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield outcome
    except BaseException as error:
        for note in run.notes():
            error.add_note(note)
        raise


class _Run:
    """Runs the executions of one batch.

    :ivar places: how many executions may still be created.
    :param limit: seconds for each, from its create; ``None``: no limit.
    :param cancels: whether executions that have not ended are cancelled when the batch ends early.
    """

    def __init__(
        self,
        caller: Caller,
        calls: Calls,
        polling: Polling,
        max_running: int,
        limit: float | None,
        *,
        cancels: bool,
    ) -> None:
        self.caller = caller
        self.calls = calls
        self._ahead = most_ahead(max_running)
        self._limit = limit
        self._cancels = cancels
        self.places = asyncio.Semaphore(max_running)  # in order
        self._waits = SharedWait(caller, polling, calls.add_helper, calls.fail)
        self._running: set[str] = set()  # created, and not known to have ended
        self._has_journal = False
        self._cancelled = 0  # executions, because the batch ended
        self._problems: list[str] = []  # notes of cancels that failed, and of creates that were interrupted

    # -- the batch ---------------------------------------------------------------------------------------------------

    async def each(
        self, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]
    ) -> AsyncGenerator[RunOutcome[Any]]:
        """Yield an outcome for each request."""
        create = Create(self.caller, self.calls, self._send)

        async def run(position: int, request: ExecutionRequest) -> RunOutcome[Any]:
            async with self.places:
                return await self.until_ended(await create.create(position, request), _forget)

        outcomes = self.calls.each(requests, run, workers=self._ahead, ahead=self._ahead)
        async with aclosing(with_verdict(outcomes, self._states)) as found:
            async for outcome in found:
                yield outcome

    async def each_journalled(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        journal: Journal,
        settle: float,
    ) -> AsyncGenerator[RunOutcome[Any]]:
        """Yield an outcome for each request, first those that earlier runs recorded."""
        self._has_journal = True
        async with opened(self.caller, self.calls, journal, _OPERATION) as file:
            create = JournalledCreate(self.caller, self.calls, file, journal.key_field, settle, self._send)
            run = _JournalledRun(self, create, file, EarlierFirst(await file.count(), self._ahead))

            async def states() -> set[str | None]:
                return await file.earlier_states() | await self._states()

            outcomes = self.calls.each(run.earlier.watch(requests), run.run, workers=self._ahead, ahead=self._ahead)
            async with aclosing(with_verdict(outcomes, states)) as found:
                async for outcome in found:
                    yield outcome

    async def _send(self, caller: Caller, body: Mapping[str, Any], key: str) -> tuple[Execution, bytes]:
        create = endpoints.create_keeping_answer(caller, body, key)
        if not self._cancels:
            return await create
        try:
            return await create_or_cancel(self.caller, create)
        except asyncio.CancelledError as interrupt:
            self._problems.extend(getattr(interrupt, "__notes__", ()))
            raise

    async def _states(self) -> set[str | None]:
        """Return the states of items in work."""
        return {"created"} if self._running or self._cancelled else set()

    # -- one execution -----------------------------------------------------------------------------------------------

    async def until_ended(
        self, created: CreateOutcome, record_end: Callable[[ExecutionDetail], Awaitable[None]]
    ) -> RunOutcome[Any]:
        """Wait until the execution of an item has ended.

        :param record_end: records the details of an execution that has ended.
        """
        execution = created.execution
        if execution is None:
            is_unknown = created.state == "unknown"
            return RunOutcome(
                created.request, "unknown" if is_unknown else "rejected", None, created.error, created.resumed
            )
        if isinstance(execution, ExecutionDetail):  # it had ended in an earlier run
            return _ended(created, execution)
        self._running.add(execution.id)
        try:
            detail = await self._settled(execution)
        except OmiumError as error:
            self._running.discard(execution.id)
            error.execution_id, error.outcome = execution.id, WriteOutcome.APPLIED
            return RunOutcome(created.request, "unknown", _as_detail(execution), error, created.resumed)
        except BaseException as error:
            if self._cancels:
                await self._cancel(execution.id, error)
            raise
        if detail.status not in SETTLED:
            return await self._late(created, detail)
        self._running.discard(execution.id)
        await record_end(detail)
        return _ended(created, detail)

    async def _settled(self, execution: Execution) -> ExecutionDetail:
        """Return the details of an execution when it has settled, or when it is late.

        :raises OmiumError: it cannot be read.
        """
        endpoints.check_created(self.caller, execution.id, b"")
        scope = asyncio.timeout(self._limit)
        try:
            async with scope:
                return await self._waits.settled(execution.id)
        except TimeoutError:
            if not scope.expired():
                raise
        try:
            return await endpoints.get(self.caller.within(_LAST_LOOK), execution.id)
        except OmiumError:
            return _as_detail(execution)

    async def _late(self, created: CreateOutcome, detail: ExecutionDetail) -> RunOutcome[Any]:
        """Return the outcome of an execution that has not settled in time."""
        error = WaitTimeoutError(
            f"execution {detail.id} has not settled {self._limit:g} s after its create; its last status was "
            f"{detail.status}",
            pending=(detail.id,),
            execution_id=detail.id,
            outcome="applied",
        )
        if self._cancels:
            await self._cancel(detail.id, error)
        self._running.discard(detail.id)
        return RunOutcome(created.request, "timed_out", detail, error, created.resumed)

    async def _cancel(self, execution_id: str, reason: BaseException) -> None:
        if await cancel_created(self.caller, execution_id, reason):
            self._running.discard(execution_id)
            self._cancelled += 1
        else:
            self._problems.append(reason.__notes__[-1])

    # -- the end -----------------------------------------------------------------------------------------------------

    def notes(self) -> list[str]:
        """Return notes about executions that were created and have no outcome."""
        notes = self._problems[:_NAMED]
        if self._cancelled:
            notes.append(f"{_executions(self._cancelled)} of run_many had not ended, and no longer run")
        if self._running:
            count, names = len(self._running), ", ".join(sorted(self._running)[:_NAMED])
            more = f" and {count - _NAMED} more" if count > _NAMED else ""
            advice = "; start it again with the same journal to wait for them" if self._has_journal else ""
            notes.append(f"{_executions(count)} of run_many had not ended, and continue: {names}{more}{advice}")
        return notes


@attrs.frozen
class _JournalledRun:
    """Runs the items of a batch with a journal."""

    batch: _Run
    create: JournalledCreate
    file: JournalFile
    earlier: EarlierFirst

    async def run(self, position: int, request: ExecutionRequest) -> RunOutcome[Any]:
        """Create and await the execution of one request, or continue where an earlier run ended."""
        try:
            found = await self.create.handle(position, request, self._run)
        finally:
            self.earlier.looked_up(position)  # also an item that is rejected without a look
        return found if isinstance(found, RunOutcome) else await self.batch.until_ended(found, _forget)

    async def _run(self, item: Item, entry: Entry | None) -> RunOutcome[Any]:
        is_sent_again = entry is None or entry.state == "rejected"
        if not is_sent_again:
            self.earlier.meet()
        self.earlier.looked_up(item.position)
        if entry is not None and entry.state in ("ended", "refused"):
            if entry.digest == item.digest:
                return await self.batch.until_ended(await self.create.proceed(item, entry), _forget)
            is_sent_again = True  # it was refused and has been corrected since, or cannot be continued
        if is_sent_again:
            await self.earlier.all_met()

        async def record_end(detail: ExecutionDetail) -> None:
            answer = encode(self.batch.caller.converter.unstructure(detail)).decode()
            await record(self.file, self.batch.calls, item.id, "ended", detail.id, answer)

        async with self.batch.places:
            created = await self.create.proceed(item, entry)
            await self.earlier.all_met()
            return await self.batch.until_ended(created, record_end)


async def _forget(_: ExecutionDetail) -> None:
    """Record nothing."""


def _ended(created: CreateOutcome, detail: ExecutionDetail) -> RunOutcome[Any]:
    if detail.status == ExecutionStatus.COMPLETED:
        return RunOutcome(created.request, "completed", detail, None, created.resumed, detail.output_data)
    error = ExecutionFailedError(ended_as(detail), execution=detail)
    return RunOutcome(created.request, "failed", detail, error, created.resumed)


def _as_detail(execution: Execution) -> ExecutionDetail:
    """Return a created execution as details, where these cannot be read."""
    return ExecutionDetail(**{field.name: getattr(execution, field.name) for field in attrs.fields(Execution)})


def _executions(count: int) -> str:
    return "1 execution" if count == 1 else f"{count} executions"

"""Running many executions: each is created as by ``create_many``, then waited for as by ``wait_many``.

Each item holds a place from before its create until its execution has ended or is late, so at most ``max_running`` of
the batch run at once. With a journal, the state ``created`` is followed by ``ended``, recorded with the details.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, Literal

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
from .._tasks import wait_until_done
from .._transport.admission import LaneClosed
from .._transport.retry import is_retryable
from .._waiting.exit import SECONDS, cancel_by, cancel_created, create_or_cancel
from .._waiting.polling import Polling
from .._waiting.shared import SharedWait
from .calls import Calls
from .create import Create, journal_and_settle
from .create_journalled import JournalledCreate, opened
from .earlier import EarlierFirst
from .items import Item
from .places import Places
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
    outcomes = _run_each(run, requests) if given is None else _run_journalled(run, requests, given, seconds)
    return _with_end(outcomes, run)


async def _with_end(outcomes: AsyncGenerator[RunOutcome[Any]], run: _Run) -> AsyncGenerator[RunOutcome[Any]]:
    """Yield the outcomes; an exception that ends them early gets notes about the executions that have not ended."""
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield outcome
    except BaseException as error:
        try:
            await run.wait_for_cancels()
        except asyncio.CancelledError as interrupt:
            _add_notes(interrupt, run)
            raise
        _add_notes(error, run)
        raise


def _add_notes(error: BaseException, run: _Run) -> None:
    for note in run.notes():
        error.add_note(note)


class _Run:
    """Runs the executions of one batch.

    :ivar places: how many executions may still be created.
    :ivar running: executions that are not known to have ended.
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
        self.places = Places(max_running)
        self.running: set[str] = set()
        self.has_journal = False
        self._ahead = most_ahead(max_running)
        self._limit = limit
        self._cancels = cancels
        self._waits = SharedWait(caller, polling, calls.add_helper, calls.fail)
        self._cancelling: list[asyncio.Future[None]] = []
        self._has_created = False
        self._cancelled = 0  # executions, because the batch ended
        self._problems: list[str] = []  # notes of cancels that failed, and of creates that were interrupted
        calls.at_stop(self._end)

    def each(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        work: Callable[[int, ExecutionRequest], Awaitable[RunOutcome[Any]]],
        states: Callable[[], Awaitable[set[str | None]]],
    ) -> AsyncGenerator[RunOutcome[Any]]:
        """Yield the outcome of ``work`` for each request.

        :param states: as in `with_verdict`.
        """
        return with_verdict(self.calls.each(requests, work, workers=self._ahead, ahead=self._ahead), states)

    def continue_with(self, created: list[str], in_doubt: int) -> None:
        """Count the executions of earlier runs, and items that may be some."""
        self.running.update(created)
        self._has_created = bool(created)
        self.places.take(len(created) + in_doubt)

    async def send(self, caller: Caller, body: Mapping[str, Any], key: str) -> tuple[Execution, bytes]:
        """Send one create."""
        create = endpoints.create_keeping_answer(caller, body, key)
        try:
            execution, answer = await (create_or_cancel(self.caller, create) if self._cancels else create)
        except asyncio.CancelledError as interrupt:
            self._problems.extend(getattr(interrupt, "__notes__", ()))
            raise
        self._has_created = True
        self.running.add(execution.id)
        if self.calls.is_ending:
            self._cancel_running()
        return execution, answer

    async def states(self) -> set[str | None]:
        """Return the states of items in work."""
        return {"created"} if self._has_created else set()

    # -- one execution -----------------------------------------------------------------------------------------------

    async def until_ended(
        self, created: CreateOutcome, record_end: Callable[[ExecutionDetail], Awaitable[None]]
    ) -> RunOutcome[Any]:
        """Wait until the execution of an item has ended.

        :param record_end: records the details of an execution that has ended.
        """
        execution = created.execution
        if execution is None:
            return _not_created(created)
        if isinstance(execution, ExecutionDetail):  # it had ended in an earlier run
            return _ended(created, execution)
        try:
            endpoints.check_created(self.caller, execution.id, b"")
            detail = await self.settled(execution.id) or await self._last_look(execution)
        except OmiumError as error:
            self.running.discard(execution.id)
            error.execution_id, error.outcome = execution.id, WriteOutcome.APPLIED
            return RunOutcome(created.request, "unknown", _as_detail(execution), error, created.resumed)
        if detail.status not in SETTLED:
            return await self._late(created, detail)
        self.running.discard(execution.id)
        await record_end(detail)
        return _ended(created, detail)

    async def settled(self, execution_id: str) -> ExecutionDetail | None:
        """Return the details of an execution when it has settled; ``None``: it has not in time.

        :raises OmiumError: it cannot be read.
        :raises LaneClosed: the batch ends.
        """
        scope = asyncio.timeout(self._limit)
        try:
            async with scope:
                return await self._waits.settled(execution_id)
        except TimeoutError:
            if not scope.expired():
                raise
            return None

    async def _last_look(self, execution: Execution) -> ExecutionDetail:
        """Read an execution that is late: the polls may have missed its end."""
        try:
            async with asyncio.timeout(_LAST_LOOK):
                return await self.calls.read(lambda caller: endpoints.get(caller, execution.id))
        except OmiumError as error:
            if not is_retryable(error):
                raise
        except TimeoutError:
            pass
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
            await cancel_created(self.caller, detail.id, error)
        self.running.discard(detail.id)
        return RunOutcome(created.request, "timed_out", detail, error, created.resumed)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """The batch begins to end."""
        self._waits.close()
        self.places.close()
        self._cancel_running()

    def _cancel_running(self) -> None:
        """Begin to cancel what runs, with ``cancel_on_exit``."""
        if self._cancels and self.running:
            self._cancelling += [asyncio.ensure_future(self._cancel(each)) for each in self.running]
            self.running.clear()

    async def _cancel(self, execution_id: str) -> None:
        deadline = asyncio.get_running_loop().time() + SECONDS
        result = await cancel_by(self.caller, execution_id, deadline)
        if result.has_ended:
            self._cancelled += 1
        else:
            self.running.add(execution_id)
            self._problems.append(result.note)

    async def wait_for_cancels(self) -> None:
        """Wait for the cancels; they end in time.

        :raises asyncio.CancelledError: the caller was cancelled meanwhile.
        """
        await wait_until_done(self._cancelling)

    def notes(self) -> list[str]:
        """Return notes about executions that were created and have no outcome."""
        notes = self._problems[:_NAMED]
        if self._cancelled:
            notes.append(f"{_executions(self._cancelled)} of run_many had not ended, and no longer run")
        if self.running:
            count, names = len(self.running), ", ".join(sorted(self.running)[:_NAMED])
            more = f" and {count - _NAMED} more" if count > _NAMED else ""
            advice = "; start it again with the same journal to wait for them" if self.has_journal else ""
            notes.append(f"{_executions(count)} of run_many had not ended, and continue: {names}{more}{advice}")
        return notes


async def _run_each(
    run: _Run, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest]
) -> AsyncGenerator[RunOutcome[Any]]:
    """Run an execution for each request, without a journal."""
    create = Create(run.caller, run.calls, run.send)

    async def work(position: int, request: ExecutionRequest) -> RunOutcome[Any]:
        await run.places.wait()
        try:
            return await run.until_ended(await create.create(position, request), _forget)
        finally:
            run.places.release()

    async with aclosing(run.each(requests, work, run.states)) as outcomes:
        async for outcome in outcomes:
            yield outcome


async def _run_journalled(
    run: _Run, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest], journal: Journal, settle: float
) -> AsyncGenerator[RunOutcome[Any]]:
    """Run an execution for each request, and record its end; what earlier runs have recorded comes first."""
    run.has_journal = True
    async with opened(run.caller, run.calls, journal, _OPERATION) as file:
        create = JournalledCreate(run.caller, run.calls, file, journal.key_field, settle, run.send)
        work = _JournalledRun(run, create, file, await file.count_states(), await file.created())

        async def states() -> set[str | None]:
            return await file.earlier_states() | await run.states()

        async with aclosing(run.each(requests, work.run, states)) as outcomes:
            work.begin()
            try:
                async for outcome in outcomes:
                    yield outcome
            finally:
                work.earlier.end()


class _JournalledRun:
    """Runs the items of a batch with a journal.

    Executions of earlier runs keep their places: those that were created until they have ended, items in doubt until
    the batch has met them.

    :param states: items of earlier runs in each state.
    :param created: their executions that have not ended.
    """

    def __init__(
        self,
        run: _Run,
        create: JournalledCreate,
        file: JournalFile,
        states: dict[str | None, int],
        created: list[str],
    ) -> None:
        self._run = run
        self._create = create
        self._file = file
        self._created = created
        self._in_doubt = states.get(None, 0) + states.get("unknown", 0)
        count = sum(states.values()) - states.get("rejected", 0)
        self.earlier = EarlierFirst(count, lambda: run.calls.has_outcomes, self._give_up_doubts)
        run.continue_with(created, self._in_doubt)

    def begin(self) -> None:
        """Wait for the executions of earlier runs."""
        for execution_id in self._created:
            self._run.calls.add_helper(self._keep_place(execution_id))

    async def run(self, position: int, request: ExecutionRequest) -> RunOutcome[Any]:
        """Run the execution of one request, or continue where an earlier run ended."""
        with self.earlier.looking_up() as found:

            async def work(item: Item, entry: Entry | None) -> RunOutcome[Any]:
                if entry is not None and entry.state != "rejected":
                    self.earlier.meet()
                found()
                return await self._continue(item, entry)

            outcome = await self._create.handle(position, request, work)
        return outcome if isinstance(outcome, RunOutcome) else _not_created(outcome)

    async def _continue(self, item: Item, entry: Entry | None) -> RunOutcome[Any]:
        is_same = entry is not None and entry.digest == item.digest
        if entry is not None and entry.state in ("ended", "refused") and is_same:
            return await self._run.until_ended(await self._create.proceed(item, entry), _forget)

        async def record_end(detail: ExecutionDetail) -> None:
            answer = encode(self._run.caller.converter.unstructure(detail)).decode()
            await record(self._file, self._run.calls, item.id, "ended", detail.id, answer)

        async with self._place(entry):
            created = await self._create.proceed(item, entry)
            await self.earlier.all_met()
            return await self._run.until_ended(created, record_end)

    @asynccontextmanager
    async def _place(self, entry: Entry | None) -> AsyncGenerator[None]:
        """Hold the place of an item; that of an execution that was created before is held by `_keep_place`."""
        if entry is not None and entry.state == "created":
            yield
            return
        if entry is not None and entry.state in (None, "unknown") and self._in_doubt:
            self._in_doubt -= 1
        else:
            await self.earlier.all_met()
            await self._run.places.wait()
        try:
            yield
        finally:
            self._run.places.release()

    async def _keep_place(self, execution_id: str) -> None:
        """Hold the place of an execution until it has ended, also if its request does not come again."""
        try:
            with suppress(OmiumError, LaneClosed):
                if await self._run.settled(execution_id) is not None:
                    self._run.running.discard(execution_id)
        finally:
            self._run.places.release()

    def _give_up_doubts(self) -> None:
        """Give back the places of items in doubt that do not come again."""
        doubts, self._in_doubt = self._in_doubt, 0
        self._run.places.release(doubts)


async def _forget(_: ExecutionDetail) -> None:
    """Record nothing."""


def _not_created(created: CreateOutcome) -> RunOutcome[Any]:
    state: Literal["unknown", "rejected"] = "unknown" if created.state == "unknown" else "rejected"
    return RunOutcome(created.request, state, None, created.error, created.resumed)


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

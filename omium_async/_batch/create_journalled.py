"""Creating many executions with a journal: killed at any moment and started again, it sends nothing twice.

An item goes through these states, and each is durable before the next step:

    new -> sent -> created | refused | rejected | unknown
                   created -> ended (only by ``run_many``, see `run`)

``created`` and ``refused`` (by the service, which would refuse it again) are final and come back when the batch is
started again. A ``rejected`` item is sent again by the next run. An item that was sent and has no outcome, because the
batch died, or is ``unknown``, because no response arrived, is in doubt: see `reconcile`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.base import OmiumError
from .._errors.calls import is_final_refusal
from .._errors.others import JournalError
from .._journal.file import Entry, JournalFile, Mark
from .._journal.schema import Identity
from .._journal.settings import Journal
from .._models.outcomes import CreateOutcome
from .._models.types import Execution, ExecutionDetail, ExecutionRequest
from .._pool import most_ahead
from .._transport.admission import LaneClosed
from .calls import Calls
from .items import BATCH, Item, Send, body_of, check_item, make_item, rejected
from .lookup import Lookup
from .reconcile import Doubt, Reconciler
from .recording import model_from, record, refusal_from, stored_answer, stored_refusal
from .verdict import with_verdict

R = TypeVar("R")

_INTERVAL_PER_CALL: Final = 0.0001  # seconds between commits, for each concurrent call
_LONGEST_INTERVAL: Final = 0.005
_LATEST: Final = 2.0**32  # seconds since 1970, in messages: a file may contain any number
_MOST_SENDINGS: Final = 8  # of one item in one run, each after it was found to be absent


async def create_journalled(
    caller: Caller,
    calls: Calls,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    journal: Journal,
    settle: float,
) -> AsyncGenerator[CreateOutcome]:
    """Create an execution for each request, and record its outcome.

    :param settle: seconds after which a request that was sent can no longer be applied.
    """
    async with opened(caller, calls, journal, BATCH) as file:
        create = JournalledCreate(caller, calls, file, journal.key_field, settle)
        # While some items are in flight, others are recorded, so that no call waits for the disk, or are in doubt.
        outcomes = calls.each(requests, create.create, workers=most_ahead(calls.concurrency))
        async with aclosing(with_verdict(outcomes, file.earlier_states)) as found:
            async for outcome in found:
                yield outcome


@asynccontextmanager
async def opened(caller: Caller, calls: Calls, journal: Journal, call: str) -> AsyncGenerator[JournalFile]:
    """Open the journal for a run of the call that it belongs to."""
    identity = Identity(call, caller.shared.settings.base_url, journal.key_field)
    interval = min(_INTERVAL_PER_CALL * calls.concurrency, _LONGEST_INTERVAL)
    file = await JournalFile.open(journal.path, identity, interval, journal.wait)
    try:
        yield file
    finally:
        await file.close()


class JournalledCreate:
    """Creates the executions of one run.

    :param settle: seconds after which a request that was sent can no longer be applied.
    :param send: sends the create of one item.
    """

    def __init__(
        self,
        caller: Caller,
        calls: Calls,
        file: JournalFile,
        key_field: str,
        settle: float,
        send: Send = endpoints.create_keeping_answer,
    ) -> None:
        self._caller = caller
        self._calls = calls
        self._send_create = send
        self._file = file
        self._key_field = key_field
        self._settle = settle
        self._started = time.monotonic()
        self._named: dict[str, int] = {}  # positions of items in work, by their keys
        self._reconciler = Reconciler(calls, Lookup(caller, calls, key_field, file), settle)

    async def create(self, position: int, request: ExecutionRequest) -> CreateOutcome:
        """Create the execution of one request, or continue with it where an earlier run ended."""
        return await self.handle(position, request, self.proceed)

    async def handle(
        self, position: int, request: ExecutionRequest, work: Callable[[Item, Entry | None], Awaitable[R]]
    ) -> CreateOutcome | R:
        """Call ``work`` with the item of a request and its entry in the journal, unless it cannot be sent.

        ``work`` calls `proceed` for it.
        """
        check_item(request)
        try:
            body = body_of(self._caller, request)
            item = make_item(request, position, body, self._file.batch, self._key_field)
        except Exception as error:  # noqa: BLE001 - an exception of a user's class concerns this item alone
            return rejected(request, error)
        if not item.is_named:
            entry = await self._file.find(position) if position <= self._file.highest else None
            return await work(item, entry)
        if item.key in self._named:
            return _duplicate(item, self._named[item.key])
        self._named[item.key] = position
        try:
            entry = await self._file.find_named(item.key)
            if entry is not None and entry.run == self._file.run:
                return _duplicate(item, entry.position)
            return await work(attrs.evolve(item, id=self._file.new_id() if entry is None else entry.id), entry)
        finally:
            del self._named[item.key]

    async def proceed(self, item: Item, entry: Entry | None) -> CreateOutcome:
        """Continue with an item from its entry in the journal. The execution of one that has ended has its details."""
        if entry is None:
            return await self._send(item)
        if entry.key != item.key or entry.digest != item.digest:
            if entry.state in ("refused", "rejected"):  # it was not applied, and has been corrected since
                return await self._send(item)
            raise self._changed(item, entry)
        if item.is_named:
            await self._file.touch(entry.id, item.position)
        if entry.state in ("created", "ended"):
            model = Execution if entry.state == "created" else ExecutionDetail
            execution = self._file.reading(model_from(self._caller.converter, model), entry.answer)
            return CreateOutcome(item.request, "created", execution, None, resumed=True)
        if entry.state == "refused":
            refusal = self._file.reading(refusal_from, entry.answer)
            return CreateOutcome(item.request, "rejected", None, refusal, resumed=True)
        if entry.state == "rejected":
            return await self._send(item)
        return await self._settle_doubt(self._left_by_an_earlier_run(item, entry))

    # -- sending -------------------------------------------------------------------------------------------------

    async def _send(self, item: Item) -> CreateOutcome:
        found = await self._send_once(item)
        return await self._settle_doubt(found) if isinstance(found, Doubt) else found

    async def _settle_doubt(self, doubt: Doubt) -> CreateOutcome:
        """Look up an item in doubt; if it is absent, send it again."""
        for _ in range(_MOST_SENDINGS):
            decision = await self._reconciler.decide(doubt)
            if decision.execution is not None:
                answer = stored_answer(decision.execution)
                return await self._created(doubt.item, decision.execution, answer, is_resumed=doubt.is_resumed)
            if decision.reason is not None:
                return _unknown(doubt, decision.reason, decision.cause)
            found = await self._send_once(doubt.item)
            if isinstance(found, CreateOutcome):
                return found
            doubt = found
        return _unknown(doubt, f"it was sent {_MOST_SENDINGS} times and was absent each time")

    async def _send_once(self, item: Item) -> CreateOutcome | Doubt:
        mark = Mark(item.id, item.key, item.position, self._file.run, item.digest, time.time(), None)
        await self._file.mark(mark)
        try:
            execution, body = await self._calls.write(lambda caller: self._send_create(caller, item.body, item.header))
        except OmiumError as error:
            return await self._take_failure(item, error)
        except LaneClosed:  # it was not sent, so the next run need not look it up
            await self._record(item, "rejected")
            raise
        return await self._created(item, execution, stored_answer(execution, body))

    async def _take_failure(self, item: Item, error: OmiumError) -> CreateOutcome | Doubt:
        if error.outcome_unknown:
            await self._record(item, "unknown")
            return Doubt(item, time.monotonic() + self._settle, error, is_resumed=False)
        is_final = is_final_refusal(error)
        await self._record(
            item, "refused" if is_final else "rejected", None, stored_refusal(error) if is_final else None
        )
        return CreateOutcome(item.request, "rejected", None, error)

    async def _created(
        self, item: Item, execution: Execution, answer: str, *, is_resumed: bool = False
    ) -> CreateOutcome:
        await self._record(item, "created", execution.id, answer)
        return CreateOutcome(item.request, "created", execution, None, is_resumed)

    # -- the journal ---------------------------------------------------------------------------------------------

    async def _record(self, item: Item, state: str, execution_id: str | None = None, answer: str | None = None) -> None:
        await record(self._file, self._calls, item.id, state, execution_id, answer)

    def _left_by_an_earlier_run(self, item: Item, entry: Entry) -> Doubt:
        """The earlier run had ended before this one got the lock of the journal."""
        sent_at = min(max(entry.sent_at, 0), _LATEST)
        when = datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds")
        error = OmiumError(
            f"{item} was sent or about to be sent at {when}, when the batch ended without its outcome",
            idempotency_key=item.header,
            outcome="unknown",
        )
        return Doubt(item, self._started + self._settle, error, is_resumed=True)

    def _changed(self, item: Item, entry: Entry) -> JournalError:
        return JournalError(
            f"the journal {self._file.path} belongs to another batch, or the requests have changed: {item} was "
            f"recorded with other content ({entry.state or 'sent'}), and is not sent. Give each request a key "
            "(ExecutionRequest.key) if their order may change or others may come between them; use another journal "
            "for changed requests",
            outcome="not_applied",
        )


def _duplicate(item: Item, other: int) -> CreateOutcome:
    error = ValueError(
        f"key {item.key!r}: items {min(other, item.position)} and {max(other, item.position)} have the same key; the "
        "second one is not sent, because a journal holds each key once"
    )
    return CreateOutcome(item.request, "rejected", None, error)


def _unknown(doubt: Doubt, reason: str, cause: Exception | None = None) -> CreateOutcome:
    item = doubt.item
    error = OmiumError(f"{item}: {reason}. {doubt.error}", idempotency_key=item.header, outcome="unknown")
    error.__cause__ = cause or doubt.error
    return CreateOutcome(item.request, "unknown", None, error, doubt.is_resumed)

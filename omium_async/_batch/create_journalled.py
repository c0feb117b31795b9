"""Creating many executions with a journal: killed at any instant and started again, it sends nothing twice.

Every item goes through these states, each durable before what follows it:

    new -> sent -> created | refused | rejected | in doubt

``created`` and ``refused`` (by the service, which would do so again) are final and come back when the batch is started
again. ``rejected`` ones are sent again by the next run. An item whose outcome is not recorded (the batch died), or was
recorded as lost (no answer came), is in doubt: see `doubts`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import JournalError, OmiumError
from .._journal.file import Entry, JournalFile, Mark
from .._journal.schema import Identity
from .._journal.settings import Journal
from .._models.outcomes import CreateOutcome
from .._models.types import Execution, ExecutionRequest
from .._pool.limit import Gate, Limit
from .._pool.pool import Pool, Stopped
from .clock import Clocks
from .create import BATCH, body_of, unfit
from .doubts import Doubt, Doubts
from .items import Item, make_item
from .lookup import Lookup
from .sending import Sending, key_is_refused, was_refused_for_good
from .stored import execution_from, refusal_from, stored_answer, stored_refusal
from .verdict import judged

__all__ = ["create_journalled"]

#: While calls are under way the next items are prepared and marked, so that no call waits for the disk.
_TASKS_PER_CALL: Final = 2
_FRESH: Final = 1.0  # seconds for which a mark holds: the recorded time is to be that of the sending
_INTERVAL_PER_CALL: Final = 0.0001  # seconds between commits, for each call at once
_LONGEST_INTERVAL: Final = 0.005
_LATEST: Final = 2.0**32  # seconds since 1970, in messages: a file may hold anything
_MOST_SENDINGS: Final = 8  # of one item in one run, each after it was found not to be there


async def create_journalled(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    concurrency: int,
    journal: Journal,
    settle: float,
) -> AsyncGenerator[CreateOutcome]:
    """Create an execution for each request; outcomes come as they end, each recorded before."""
    identity = Identity("create", caller.shared.settings.base_url, journal.key_field)
    interval = min(_INTERVAL_PER_CALL * concurrency, _LONGEST_INTERVAL)
    file = await JournalFile.open(journal.path, identity, interval, journal.wait)
    try:
        creation = _Creation(caller, file, journal.key_field, Limit(concurrency), settle)
        async with aclosing(judged(creation.start(requests).results(), file.states)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        await file.close()


class _Creation:
    """One run of a journalled batch."""

    pool: Pool[Any, CreateOutcome]
    doubts: Doubts

    def __init__(self, caller: Caller, file: JournalFile, key_field: str, limit: Limit, settle: float) -> None:
        self._caller = caller
        self._file = file
        self._key_field = key_field
        self._limit = limit
        self._settle = settle
        self._sending = Sending(caller, limit, BATCH, gate=Gate(limit))
        self._clocks = Clocks(self._sending)
        self._started = time.monotonic()
        self._names: dict[str, int] = {}  # keys of items under way, and their positions
        self._sendings: dict[int, int] = {}  # of items that were sent more than once

    def start(self, requests: Any) -> Pool[Any, CreateOutcome]:
        """Put the parts together."""
        self.pool = Pool(requests, self._work, self._limit, _TASKS_PER_CALL)
        self._sending.serve(self.pool)
        self.doubts = Doubts(
            Lookup(self._sending.reader, self._key_field, self._file.known),
            self._sending,
            self,
            is_quiet=self.pool.is_quiet,
            is_failed=lambda: self.pool.failed,
            fail=self.pool.fail,
        )
        self.pool.on_change = self.doubts.wake
        self.pool.add_helper(self.doubts.settle_all())
        return self.pool

    # -- one item ------------------------------------------------------------------------------------------------

    async def _work(self, position: int, given: Any) -> CreateOutcome | None:
        if isinstance(given, Item):  # sent before, looked for, and not there
            return await self._send(given, again=True)
        try:
            body = body_of(self._caller, given)
            item = make_item(given, position, body, self._file.batch, self._key_field)
        except Exception as error:  # noqa: BLE001 - what a user's own classes raise is about this item, whatever it is
            return unfit(given, error)
        if not item.named:
            entry = await self._file.find(position) if position <= self._file.highest else None
            return await self._go_on(item, entry)
        if item.key in self._names:
            return _duplicate(item, self._names[item.key])
        self._names[item.key] = position
        try:
            return await self._go_on(item, await self._file.find_named(item.key))
        finally:
            self._names.pop(item.key, None)

    async def _go_on(self, item: Item, entry: Entry | None) -> CreateOutcome | None:
        """What is to be done with an item of which the journal holds this."""
        if entry is None:
            return await self._send(item if item.named is False else attrs.evolve(item, id=self._file.new_id()))
        if item.named and entry.run == self._file.run:
            return _duplicate(item, entry.position)
        item = attrs.evolve(item, id=entry.id)
        if entry.key != item.key or entry.digest != item.digest:
            if entry.state in ("refused", "rejected"):  # it was not applied; what was wrong with it was mended
                return await self._send(item, again=True)
            raise JournalError(
                f"the journal {self._file.path} belongs to another batch, or the requests have changed: {item} was "
                f"recorded with other content ({entry.state or 'sent'}); nothing of it is sent. Requests that may come "
                "in another order or with others between them need a key each (ExecutionRequest.key); give changed "
                "ones another journal",
                outcome="not_applied",
            )
        if item.named:
            await self._file.touch(entry.id, item.position)
        if entry.state == "created":
            execution = self._file.reading(execution_from(self._caller.converter), entry.answer)
            return CreateOutcome(item.request, "created", execution, None, resumed=True)
        if entry.state == "refused":
            return CreateOutcome(
                item.request, "rejected", None, self._file.reading(refusal_from, entry.answer), resumed=True
            )
        if entry.state == "rejected":
            return await self._send(item, again=True)
        await self._clocks.read()
        self.doubts.add(self._left_by_an_earlier_run(item, entry))
        return None

    async def _send(self, item: Item, *, again: bool = False) -> CreateOutcome | None:
        sending = self._sending
        await self._clocks.read()
        marking = _Marking(self, item, again=again)
        try:
            execution, body = await sending.call(
                lambda: endpoints.create_keeping_answer(sending.caller, item.body, item.header), marking
            )
        except JournalError:
            raise
        except OmiumError as error:
            return await self._take_failure(item, error)
        except Stopped:
            if marking.again:  # recorded as about to be sent, and it was not: nobody needs to look for it
                await self._record(item, "rejected", None, None)
            raise
        answer = stored_answer(execution, body)
        self._recorded(item, CreateOutcome(item.request, "created", execution), answer)
        return None

    async def _take_failure(self, item: Item, error: OmiumError) -> CreateOutcome | None:
        if error.outcome_unknown:
            await self._record(item, "unknown", None, None)
            self.doubts.add(Doubt(item, time.monotonic() + self._settle, error, resumed=False))
            return None
        if key_is_refused(error):
            await self._record(item, "rejected", None, None)
            raise error
        refused = was_refused_for_good(error)
        outcome = CreateOutcome(item.request, "rejected", None, error)
        self._recorded(item, outcome, stored_refusal(error) if refused else None, "refused" if refused else "rejected")
        return None

    # -- the journal ---------------------------------------------------------------------------------------------

    async def mark(self, item: Item, *, again: bool) -> None:
        """Record that the item is about to be sent."""
        timeout = self._caller.options.timeout
        within = None if timeout is None else _FRESH + timeout
        run, ahead = self._file.run, self._clocks.ahead
        mark = Mark(_id(item), item.key, item.position, run, item.digest, time.time(), within, ahead, None)
        await self._file.mark(mark, again=again)

    def _recorded(self, item: Item, outcome: CreateOutcome, answer: str | None, state: str = "created") -> None:
        """Give the outcome once it is recorded; the task goes on with the next item meanwhile, whose mark is written
        together with this. What is known is told also when it cannot be recorded any more.
        """
        execution = outcome.execution

        def done(error: JournalError | None) -> None:
            if error is not None:
                self.pool.fail(error)
            self.pool.deliver(outcome)

        self.pool.expect()
        self._file.record_soon(_id(item), state, None if execution is None else execution.id, answer, done)

    async def _record(self, item: Item, state: str, execution_id: str | None, answer: str | None) -> None:
        try:
            await self._file.record(_id(item), state, execution_id, answer)
        except JournalError as error:
            self.pool.fail(error)

    # -- items in doubt ------------------------------------------------------------------------------------------

    def _left_by_an_earlier_run(self, item: Item, entry: Entry) -> Doubt:
        """It was sent before that run died, which was before this one had the journal's lock."""
        now = time.monotonic()
        due = min(self._started, now - self._clocks.gone(entry)) + self._settle
        sent_at = min(max(entry.sent_at, 0), _LATEST)
        when = datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds")
        error = OmiumError(
            f"{item} was sent at {when} or was about to be, when the batch ended without its outcome",
            idempotency_key=item.header,
            outcome="unknown",
        )
        return Doubt(item, due, error, resumed=True)

    async def adopt(self, doubt: Doubt, execution: Execution) -> None:
        outcome = CreateOutcome(doubt.item.request, "created", execution, None, doubt.resumed)
        self._recorded(doubt.item, outcome, stored_answer(execution))

    def send_again(self, doubt: Doubt) -> None:
        item = doubt.item
        sendings = self._sendings[_id(item)] = self._sendings.get(_id(item), 1) + 1
        if sendings > _MOST_SENDINGS:
            self.leave(doubt, f"it was sent {_MOST_SENDINGS} times and was never there", None)
        else:
            self.pool.again(item.position, item)

    def leave(self, doubt: Doubt, reason: str, cause: Exception | None) -> None:
        error = OmiumError(
            f"{doubt.item}: {reason}. {doubt.error}", idempotency_key=doubt.item.header, outcome="unknown"
        )
        error.__cause__ = cause or doubt.error
        self.pool.settle(CreateOutcome(doubt.item.request, "unknown", None, error, doubt.resumed))


class _Marking:
    """The mark of an item, written before each of its requests.

    :ivar again: whether the journal holds the item already.
    """

    def __init__(self, creation: _Creation, item: Item, *, again: bool) -> None:
        self._creation = creation
        self._item = item
        self._written = 0.0
        self.again = again

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self._written <= _FRESH

    async def write(self) -> None:
        self._written = time.monotonic()
        await self._creation.mark(self._item, again=self.again)
        self.again = True


def _id(item: Item) -> int:
    if item.id is None:
        raise AssertionError("an item has its id before it is sent")
    return item.id


def _duplicate(item: Item, other: int) -> CreateOutcome:
    error = ValueError(
        f"key {item.key!r}: items {min(other, item.position)} and {max(other, item.position)} have the same key, and "
        "a journal holds each once; the second one is not sent"
    )
    return CreateOutcome(item.request, "rejected", None, error)

"""Creating many executions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.base import OmiumError
from .._journal.settings import DEFAULT_SETTLE, Journal, journal_of
from .._models.outcomes import CreateOutcome
from .._models.types import ExecutionRequest
from .calls import Calls
from .create_journalled import create_journalled
from .items import BATCH, Send, body_of, check_item, header_key, rejected
from .verdict import with_verdict


def create_many(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    concurrency: int,
    journal: str | os.PathLike[str] | Journal | None,
    settle: float | None,
) -> AsyncGenerator[CreateOutcome]:
    """Check the other arguments, and create an execution for each request."""
    check.at_least(1, concurrency, "concurrency")
    given, seconds = journal_and_settle(caller, journal, settle)
    calls = Calls(caller, concurrency, BATCH)
    if given is not None:
        return create_journalled(caller, calls, requests, given, seconds)
    return with_verdict(calls.each(requests, Create(caller, calls).create))


def journal_and_settle(
    caller: Caller, journal: str | os.PathLike[str] | Journal | None, settle: float | None
) -> tuple[Journal | None, float]:
    """Check the arguments of a batch with a journal, and return them with their defaults."""
    given = journal_of(journal)
    seconds = check.seconds(settle, "settle", zero=True)
    return given, (caller.options.attempt_timeout or DEFAULT_SETTLE) if seconds is None else seconds


@attrs.frozen
class Create:
    """Creates the executions of a batch without a journal.

    :ivar send: sends the create of one item.
    """

    caller: Caller
    calls: Calls
    send: Send = endpoints.create_keeping_answer

    async def create(self, _: int, request: ExecutionRequest) -> CreateOutcome:
        """Create the execution of one request."""
        check_item(request)
        try:
            body = body_of(self.caller, request)
            key = os.urandom(16).hex() if request.key is None else header_key(request.key)
        except Exception as error:  # noqa: BLE001 - an exception of a user's class concerns this item alone
            return rejected(request, error)
        try:
            created = await self.calls.write(lambda caller: self.send(caller, body, key))
        except OmiumError as error:
            return CreateOutcome(request, "unknown" if error.outcome_unknown else "rejected", None, error)
        return CreateOutcome(request, "created", created[0])

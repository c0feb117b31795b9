"""Creating many executions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import attrs

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import OmiumError
from .._journal.settings import DEFAULT_SETTLE, Journal, journal_of
from .._models.outcomes import CreateOutcome
from .._models.types import ExecutionRequest
from .calls import Calls
from .create_journalled import create_journalled
from .items import BATCH, body_of, check_item, header_key, rejected
from .verdict import with_verdict

__all__ = ["create_many"]


def create_many(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    concurrency: int,
    journal: str | os.PathLike[str] | Journal | None,
    settle: float | None,
) -> AsyncGenerator[CreateOutcome]:
    """Check the other arguments, and create an execution for each request."""
    check.at_least(1, concurrency, "concurrency")
    given = journal_of(journal)
    seconds = check.seconds(settle, "settle", zero=True)
    calls = Calls(caller, concurrency, BATCH)
    if given is not None:
        if seconds is None:
            seconds = caller.options.attempt_timeout or DEFAULT_SETTLE
        return create_journalled(caller, calls, requests, given, seconds)
    return with_verdict(calls.each(requests, _Create(caller, calls).create))


@attrs.frozen
class _Create:
    """Creates the executions of a batch without a journal."""

    caller: Caller
    calls: Calls

    async def create(self, _: int, request: ExecutionRequest) -> CreateOutcome:
        """Create the execution of one request."""
        check_item(request)
        try:
            body = body_of(self.caller, request)
            key = os.urandom(16).hex() if request.key is None else header_key(request.key)
        except Exception as error:  # noqa: BLE001 - an exception of a user's class concerns this item alone
            return rejected(request, error)
        try:
            execution = await self.calls.write(lambda caller: endpoints.create(caller, body, key))
        except OmiumError as error:
            return CreateOutcome(request, "unknown" if error.outcome_unknown else "rejected", None, error)
        return CreateOutcome(request, "created", execution)

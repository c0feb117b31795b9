"""Creating many executions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from .. import _arguments as check
from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import OmiumError
from .._journal.settings import DEFAULT_SETTLE, Journal, journal_of
from .._models.outcomes import CreateOutcome
from .._models.types import ExecutionRequest
from .._pool import Pool
from .calls import Calls
from .create_journalled import create_journalled
from .items import BATCH, body_of, check_item, header_key, rejected
from .refusals import key_is_refused
from .verdict import with_verdict

__all__ = ["create_many"]


def create_many(
    caller: Caller,
    requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
    concurrency: int,
    journal: str | os.PathLike[str] | Journal | None,
    settle: float | None,
) -> AsyncGenerator[CreateOutcome]:
    """Check the arguments, and create an execution for each request."""
    check.at_least(1, concurrency, "concurrency")
    given = journal_of(journal)
    seconds = check.seconds(settle, "settle", zero=True)
    check.many(requests, "requests", "ExecutionRequest items")
    if given is None:
        return _create_each(caller, requests, concurrency)
    if seconds is None:
        seconds = caller.options.attempt_timeout or DEFAULT_SETTLE
    return create_journalled(caller, requests, concurrency, given, seconds)


def _create_each(
    caller: Caller, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest], concurrency: int
) -> AsyncGenerator[CreateOutcome]:
    calls = Calls(caller, concurrency, BATCH)

    async def create(_: int, request: ExecutionRequest) -> CreateOutcome:
        check_item(request)
        try:
            body = body_of(caller, request)
            key = os.urandom(16).hex() if request.key is None else header_key(request.key)
        except Exception as error:  # noqa: BLE001 - an exception of a user's class concerns this item alone
            return rejected(request, error)
        try:
            execution = await calls.write(lambda caller: endpoints.create(caller, body, key))
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return CreateOutcome(request, "unknown" if error.outcome_unknown else "rejected", None, error)
        return CreateOutcome(request, "created", execution)

    pool = Pool(requests, create, concurrency)
    calls.serve(pool)
    return with_verdict(pool.results())

"""Creating many executions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Any

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors import OmiumError
from .._models.outcomes import CreateOutcome
from .._models.types import ExecutionRequest, InvalidRequest
from .._pool.limit import Limit
from .._pool.pool import Pool
from .keys import header_key
from .sending import Sending, key_is_refused
from .verdict import judged

__all__ = ["BATCH", "body_of", "create_each", "unfit"]

BATCH = "create_many"  # what waits, in warnings


def create_each(
    caller: Caller, requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest], concurrency: int
) -> AsyncGenerator[CreateOutcome]:
    """Create an execution for each request; outcomes come as they end."""
    limit = Limit(concurrency)
    sending = Sending(caller, limit, BATCH)

    async def create(_: int, request: ExecutionRequest) -> CreateOutcome:
        try:
            body = body_of(caller, request)
            key = _fresh_key() if request.key is None else header_key(request.key)
        except Exception as error:  # noqa: BLE001 - what a user's own classes raise is about this item, whatever it is
            return unfit(request, error)
        try:
            execution = await sending.call(lambda: endpoints.create(sending.caller, body, key))
        except OmiumError as error:
            if key_is_refused(error):
                raise
            return CreateOutcome(request, "unknown" if error.outcome_unknown else "rejected", None, error)
        return CreateOutcome(request, "created", execution)

    pool = Pool(requests, create, limit)
    sending.serve(pool)
    return judged(pool.results())


def body_of(caller: Caller, request: Any) -> dict[str, Any]:
    """The body that creates what an item of the user's asks for.

    :raises TypeError: the item is none, or holds what JSON has no form for. :raises ValueError: JSON would change it.
    """
    if isinstance(request, InvalidRequest):
        raise request.error
    if not isinstance(request, ExecutionRequest):
        raise TypeError(f"an item of create_many must be an ExecutionRequest, not {type(request).__name__}")
    return endpoints.create_body(caller, request.workflow_id, request.input_data, request.metadata, request.agent_id)


def unfit(request: Any, error: Exception) -> CreateOutcome:
    """The outcome of an item that cannot be sent."""
    given = request.request if isinstance(request, InvalidRequest) else request
    return CreateOutcome(given, "rejected", None, error)


def _fresh_key() -> str:
    """The idempotency key of an item without one of its own: the same whenever it is sent."""
    return os.urandom(16).hex()

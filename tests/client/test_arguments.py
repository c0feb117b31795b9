"""Arguments that cannot be used are rejected before a request; the message has the value and what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from omium_async import AsyncOmium, ExecutionStatus

Call = Callable[[AsyncOmium], Any]

REJECTED: list[tuple[Call, type[Exception], str]] = [
    (lambda omium: omium.executions.wait("e", timeout=-1), ValueError, "timeout: -1 is below 0; give"),
    (lambda omium: omium.executions.wait("e", timeout="1"), TypeError, "timeout: .* is not a number; give"),
    (lambda omium: omium.executions.wait("e", timeout=10**400), ValueError, "timeout: .* is too large; give"),
    (lambda omium: omium.executions.page(0), ValueError, "page: 0 is below 1; give"),
    (lambda omium: omium.executions.list(limit=True), TypeError, "limit: True is not a whole number; give"),
    (lambda omium: omium.executions.wait_many("exec_1"), TypeError, "'exec_1' is a single value; give a list"),
    (lambda omium: omium.executions.wait_many({"e": 1}), TypeError, "dict is a single value; give a list"),
    (lambda omium: omium.executions.wait_many(3), TypeError, "3 is not iterable; give a list"),
    (lambda omium: omium.executions.wait_many(["e"], details=1), TypeError, "details: 1 is neither True nor False"),
    (lambda omium: omium.request("GET", "https://x/y"), ValueError, "path: 'https://x/y' has a scheme or a host; give"),
    (lambda omium: omium.request("GET", "/a/../b"), ValueError, "contains '.' or '..'"),
    (lambda omium: omium.executions.get(None), TypeError, "execution_id: None is not text"),
    (lambda omium: omium.executions.delete(None), TypeError, "execution_id: .* is not text"),
    (lambda omium: omium.checkpoints.get(None), TypeError, "checkpoint_id: None is not text"),
    (lambda omium: omium.workflows.get(None), TypeError, "workflow_id: None is not text"),
    (lambda omium: omium.executions.get("a\nb"), ValueError, "control characters; give the id"),
    (lambda omium: omium.executions.get("live"), ValueError, "'live' is a route of the service"),
    (lambda omium: omium.executions.create("w", idempotency_key="é"), ValueError, "does not fit a header"),
    (lambda omium: omium.executions.list(since=datetime(2025, 1, 1)), ValueError, "no time zone; give"),  # noqa: DTZ001
    (lambda omium: omium.executions.list(before=timedelta(-1)), ValueError, "is negative; give an age"),
    (lambda omium: omium.executions.count(status=["failed"]), TypeError, "give one status"),
    (lambda omium: omium.executions.page(status=3), TypeError, "status: 3 is not text"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REJECTED, ids=[message for _, _, message in REJECTED])
async def test_an_unusable_argument_is_rejected(call: Call, kind: type[Exception], message: str) -> None:
    omium = AsyncOmium("key", base_url="http://127.0.0.1:9")
    with pytest.raises(kind, match=message):
        await call(omium)


@pytest.mark.parametrize("method", ["list", "pages", "page", "count", "replay_many", "cancel_many"])
async def test_an_unknown_status_is_rejected_and_an_explicit_one_passes(raw, method: str) -> None:
    async with raw.pair(None) as (omium, server, _):
        call: Any = getattr(omium.executions, method)
        with pytest.raises(ValueError, match="status: 'faild' is not a known status; use one of 'pending'"):
            await call(status="faild")
        assert server.requests == []
        asked = call(status=ExecutionStatus("weird"))
        if not hasattr(asked, "aclose"):
            asked.close()


async def test_an_age_counts_back_from_now(raw) -> None:
    now = datetime.now(UTC)
    rows = b", ".join(
        b'{"id": "e%d", "created_at": "%s"}' % (hours, (now - timedelta(hours=hours)).isoformat().encode())
        for hours in range(5)
    )
    body = b'{"items": [' + rows + b'], "total": 5, "page": 1, "page_size": 100}'
    async with raw.pair(lambda request: request.send(raw.answer(200, body))) as (omium, _, _):
        found = omium.executions.list(since=timedelta(hours=3.5), before=timedelta(hours=0.5))
        assert [execution.id async for execution in found] == ["e1", "e2", "e3"]

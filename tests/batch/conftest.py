"""Servers for batches, clients of them, and counts of the outcomes."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from omium_async import AsyncOmium, ExecutionRequest, OmiumError
from omium_async.local import LocalOmium, WorkflowRun


@pytest.fixture
async def local() -> AsyncIterator[LocalOmium]:
    """A server that does not honour idempotency keys, so that a request sent twice is applied twice."""
    server = LocalOmium(strict=False)
    server.honor_idempotency = False
    async with server:
        yield server


@pytest.fixture
async def omium(local, patient) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(local.api_key, base_url=local.url) as client:
        yield client


@pytest.fixture
def limit_files() -> Iterator[Callable[[int], None]]:
    """Returns a function that limits the size of files, so that a write fails as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def numbered(count: int, start: int = 0) -> Iterator[ExecutionRequest]:
    for number in range(start, start + count):
        yield ExecutionRequest("work", {"number": number})


async def applied(omium: AsyncOmium, workflow_id: str = "work") -> Counter[int]:
    """Count how often the server applied each of the numbered requests."""
    rows = omium.executions.list(workflow_id=workflow_id, page_size=1000)
    return Counter([row.input_data["number"] async for row in rows])


async def failed_executions(omium: AsyncOmium, local: LocalOmium, count: int) -> list[str]:
    """Ids of executions of the workflow "fails", which fails after a step named "first"."""

    @local.workflow("fails")
    async def fails(run: WorkflowRun) -> None:
        await run.step("first", lambda: 1)
        raise ValueError

    outcomes = await collect(omium.executions.create_many(ExecutionRequest("fails") for _ in range(count)))
    ids = [outcome.execution.id for outcome in outcomes]
    await collect(omium.executions.wait_many(ids, poll_interval=0.01))
    return ids


async def collect(outcomes: Any) -> list[Any]:
    return [outcome async for outcome in outcomes]


async def ended(outcomes: Any) -> tuple[list[Any], OmiumError]:
    """Return the outcomes of a batch that ends with an error, and that error."""
    found: list[Any] = []

    async def note() -> None:
        async for outcome in outcomes:
            found.append(outcome)  # noqa: PERF401 - kept also when an error ends it

    with pytest.raises(OmiumError) as caught:
        await note()
    return found, caught.value


def states(outcomes: Any) -> Counter[Any]:
    """Count the outcomes by state and ``resumed``."""
    return Counter((outcome.state, getattr(outcome, "resumed", False)) for outcome in outcomes)

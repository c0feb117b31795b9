"""`cancel_many`: filters or ids, a dry run, and an outcome for each execution."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from aiohttp import web

from omium_async import AsyncOmium, AuthenticationError, ConflictError, NotFoundError

from .conftest import collect, ended

ENDED = ("completed", "failed", "cancelled", "rolled_back", "error")


class Service:
    """Executions with a status each; a PATCH overwrites it.

    :ivar answers: statuses with which the next PATCHes are answered instead; 0: the connection is closed.
    :ivar ends: executions that complete just before their PATCH.
    """

    def __init__(self, *statuses: str) -> None:
        self.status = {f"exec_{number}": status for number, status in enumerate(statuses)}
        self.patched: list[str] = []
        self.answers: list[int] = []
        self.ends: set[str] = set()

    async def list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("status")
        rows = [{"id": id, "status": status} for id, status in self.status.items() if wanted in (None, status)]
        size, page = int(request.query["page_size"]), int(request.query["page"])
        return web.json_response({"items": rows[(page - 1) * size : page * size], "total": len(rows)})

    async def get(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if id not in self.status:
            return web.json_response({"detail": f"there is no execution {id}"}, status=404)
        return web.json_response({"id": id, "status": self.status[id]})

    async def patch(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        self.patched.append(id)
        if id in self.ends:
            self.status[id] = "completed"
            return web.json_response({"detail": "it has ended"}, status=409)
        answer = self.answers.pop() if self.answers else 200
        if not answer:
            assert request.transport is not None
            request.transport.abort()
        if answer == 200:
            self.status[id] = request.query["status"]
        return web.json_response(None, status=answer or 200)


@pytest.fixture
async def connect():
    runners: list[web.AppRunner] = []

    async def start(service: Service, **options: Any) -> AsyncOmium:
        app = web.Application()
        app.router.add_get("/api/v1/executions", service.list)
        app.router.add_get("/api/v1/executions/{id}", service.get)
        app.router.add_patch("/api/v1/executions/{id}/status", service.patch)
        runners.append(runner := web.AppRunner(app))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return AsyncOmium("omium_test_key", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", **options)

    yield start
    for runner in runners:
        await runner.cleanup()


def by_id(outcomes: list[Any]) -> dict[str, str]:
    assert set(Counter(outcome.execution.id for outcome in outcomes).values()) <= {1}
    return {outcome.execution.id: outcome.state for outcome in outcomes}


async def test_pending_and_running_executions_are_cancelled_by_default(connect):
    service = Service("pending", "running", "paused", *ENDED)
    async with await connect(service) as omium:
        outcomes = await collect(omium.executions.cancel_many())
    assert by_id(outcomes) == {"exec_0": "cancelled", "exec_1": "cancelled"}
    assert all(outcome.result.cancelled and outcome.error is None for outcome in outcomes)
    assert sorted(service.patched) == ["exec_0", "exec_1"]


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_execution_that_has_ended_is_settled_and_nothing_is_sent(connect, dry_run):
    service = Service(*ENDED, "paused", "weird")
    async with await connect(service) as omium:
        outcomes = await collect(omium.executions.cancel_many(status=None, dry_run=dry_run))
    sent = "planned" if dry_run else "cancelled"
    assert by_id(outcomes) == {**{f"exec_{n}": "settled" for n in range(5)}, "exec_5": sent, "exec_6": sent}
    assert service.patched == ([] if dry_run else service.patched)
    assert [outcome.result.cancelled for outcome in outcomes if outcome.state == "settled"] == [False] * 5


@pytest.mark.parametrize("dry_run", [False, True])
async def test_ids_are_read_first_and_an_unknown_one_is_rejected(connect, dry_run):
    service = Service("running", "completed")
    async with await connect(service) as omium:
        ids = ["exec_0", "exec_1", "exec_9", "exec_0"]
        outcomes = await collect(omium.executions.cancel_many(ids, dry_run=dry_run))
    sent = "planned" if dry_run else "cancelled"
    assert by_id(outcomes) == {"exec_0": sent, "exec_1": "settled", "exec_9": "rejected"}
    assert isinstance(next(o.error for o in outcomes if o.state == "rejected"), NotFoundError)
    assert service.patched == ([] if dry_run else ["exec_0"])


async def test_an_execution_that_ends_between_the_read_and_the_write_is_settled(connect):
    service = Service("running", "running")
    service.ends.add("exec_1")
    async with await connect(service) as omium:
        outcomes = await collect(omium.executions.cancel_many(["exec_0", "exec_1"]))
    assert by_id(outcomes) == {"exec_0": "cancelled", "exec_1": "settled"}


async def test_refused_and_unknown_writes_do_not_end_the_batch(connect):
    service = Service(*["running"] * 5)
    service.answers = [422, 0, 409]
    async with await connect(service) as omium:
        outcomes = await collect(omium.executions.cancel_many(concurrency=1))
    assert Counter(outcome.state for outcome in outcomes) == {"cancelled": 2, "rejected": 2, "unknown": 1}
    assert isinstance(outcomes[0].error, ConflictError)
    assert outcomes[1].error.outcome_unknown


async def test_a_refused_key_ends_the_batch_with_the_outcome_of_all_its_writes(connect):
    service = Service(*["running"] * 9)
    service.answers = [401, 200]
    async with await connect(service) as omium:
        found, error = await ended(omium.executions.cancel_many(concurrency=1))
    assert [outcome.state for outcome in found] == ["cancelled"]
    assert (type(error), error.outcome) == (AuthenticationError, "applied")


async def test_a_limit_counts_executions(connect):
    service = Service(*["running"] * 9)
    async with await connect(service) as omium:
        assert len(await collect(omium.executions.cancel_many(limit=4))) == 4
    assert len(service.patched) == 4


async def test_ids_and_filters_exclude_each_other_at_the_call(connect):
    async with await connect(Service()) as omium:
        for filters in ({"status": "running"}, {"status": None}, {"workflow_id": "w"}, {"metadata": {"a": 1}}):
            with pytest.raises(ValueError, match="execution_ids"):
                omium.executions.cancel_many(["exec_1"], **filters)
        with pytest.raises(ValueError, match="concurrency"):
            omium.executions.cancel_many(concurrency=0)

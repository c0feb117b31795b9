"""`wait_many` costs requests by pages, and yields each execution once, as soon as it is seen."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from omium_async import (
    APIConnectionError,
    AuthenticationError,
    ExecutionRequest,
    MissingExecutionsError,
    ServerError,
    WaitTimeoutError,
)
from omium_async.local import Fault

from .fake import Fleet


async def collect(found):
    return [execution async for execution in found]


@pytest.mark.usefixtures("virtual_time")
class TestCost:
    async def test_eight_hundred_cost_a_fraction_of_a_get_per_run_and_second(self):
        ends = {f"exec-{number}": number * 37 % 800 * 60 / 800 for number in range(800)}
        fleet = Fleet(ends)
        rows = await collect(fleet.executions.wait_many([*ends]))
        assert {row.id for row in rows} == set(ends)
        assert all(row.status == "completed" for row in rows)
        assert fleet.requests <= 0.1 * sum(ends.values())
        assert fleet.now < 60 + 1.2 * 10 + 5  # the longest pause, jittered, and one poll

    async def test_two_thousand_that_have_ended_are_a_few_requests(self):
        fleet = Fleet({f"exec-{number}": 0.0 for number in range(2000)})
        assert len(await collect(fleet.executions.wait_many([*fleet.ends]))) == 2000
        assert fleet.requests <= 4
        fleet = Fleet(fleet.ends)
        assert len(await collect(fleet.executions.wait_many([*fleet.ends], details=True))) == 2000
        assert fleet.requests <= 2004

    @pytest.mark.parametrize(("count", "details"), [(2, False), (5, True)])
    async def test_few_are_read_one_by_one(self, count, details):
        fleet = Fleet({f"exec-{number}": 5.0 for number in range(count)}, others=5000)
        assert len(await collect(fleet.executions.wait_many([*fleet.ends], details=details))) == count
        assert fleet.pages == 0

    async def test_those_far_from_the_start_of_the_list_are_read_one_by_one(self):
        fleet = Fleet({f"exec-{number}": 5.0 for number in range(50)}, others=20_000)
        assert len(await collect(fleet.executions.wait_many([*fleet.ends]))) == 50
        assert fleet.pages <= 30


@pytest.mark.usefixtures("virtual_time")
class TestResults:
    async def test_those_that_the_list_hides_are_found(self):
        ends = {f"exec-{number}": number / 10 for number in range(100)}
        fleet = Fleet(ends, hidden=[f"exec-{number}" for number in range(0, 100, 7)])
        assert len(await collect(fleet.executions.wait_many([*ends]))) == 100

    async def test_each_comes_once_and_as_soon_as_it_is_seen(self):
        fleet = Fleet({"slow": 40.0, "quick": 0.0, "middle": 5.0})
        seen = []
        async for row in fleet.executions.wait_many(["slow", "quick", "middle", "quick"]):
            seen.append((row.id, fleet.now))  # noqa: PERF401 - the time is part of it
        assert [name for name, _ in seen] == ["quick", "middle", "slow"]
        assert seen[0][1] < 1
        assert seen[1][1] < 12

    async def test_unknown_ids_are_raised_after_all_others(self):
        fleet = Fleet({f"exec-{number}": 5.0 for number in range(30)})
        seen = []
        with pytest.raises(MissingExecutionsError, match="'nope'") as raised:
            async for row in fleet.executions.wait_many(["nope", *fleet.ends, "neither"]):
                seen.append(row.id)  # noqa: PERF401 - what came before the error counts
        assert sorted(seen) == sorted(fleet.ends)
        assert set(raised.value.missing) == {"nope", "neither"}

    async def test_at_the_time_out_the_error_names_the_pending_ones(self):
        fleet = Fleet({"a": 1.0, "b": 100.0, "c": 200.0})
        seen = []
        with pytest.raises(WaitTimeoutError, match="2 executions have not settled after 20 s") as raised:
            async for row in fleet.executions.wait_many(["a", "b", "c", "nope"], timeout=20):
                seen.append(row.id)  # noqa: PERF401 - what came before the error counts
        assert seen == ["a"]
        assert set(raised.value.pending) == {"b", "c"}
        assert "'nope'" in str(raised.value)

    async def test_failures_that_a_retry_may_help_are_repeated_and_others_end_it(self):
        fleet = Fleet({"a": 1.0, "b": 2.0})
        fleet.failures = [APIConnectionError("reset"), APIConnectionError("reset")]
        assert len(await collect(fleet.executions.wait_many(["a", "b"]))) == 2
        fleet.failures = [AuthenticationError("revoked", status=401)]
        with pytest.raises(AuthenticationError):
            await collect(fleet.executions.wait_many(["a", "b"]))

    async def test_an_execution_that_the_service_names_by_another_id_is_found(self):
        class Renaming(Fleet):
            async def read(self, path, *options):
                return attrs.evolve(await super().read(path, *options), id="exec_0001")

        rows = await collect(Renaming({"1": 5.0}).executions.wait_many(["1"], timeout=60))
        assert [row.id for row in rows] == ["exec_0001"]

    async def test_ids_from_an_async_iterable(self):
        async def ids():
            for name in ("a", "b", "a"):
                await asyncio.sleep(0)
                yield name

        fleet = Fleet({"a": 0.0, "b": 0.0})
        assert sorted([row.id for row in await collect(fleet.executions.wait_many(ids()))]) == ["a", "b"]


async def test_executions_of_a_server_are_yielded_as_they_end(omium, local):
    @local.workflow("sleep")
    async def sleep(run):
        await asyncio.sleep(run.input_data)

    requests = [ExecutionRequest("sleep", number / 100) for number in range(30)]
    ids = [outcome.execution.id async for outcome in omium.executions.create_many(requests)]
    rows = await collect(omium.executions.wait_many(ids, poll_interval=0.1))
    assert {row.id: row.status for row in rows} == dict.fromkeys(ids, "completed")
    assert local.counts["GET /executions"] < 30
    assert await collect(omium.executions.wait_many([])) == []


@pytest.mark.parametrize("count", [2, 20])
async def test_the_time_out_ends_a_request_in_flight_and_names_the_last_failure(omium, local, count):
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    with pytest.raises(WaitTimeoutError, match=r"\(pending\).*are their workflows served\?"):
        await collect(omium.executions.wait_many(ids, timeout=0.2))
    local.inject(Fault(method="GET", action="stall", times=None))
    start = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeoutError) as raised:
        await collect(omium.executions.wait_many(ids, timeout=0.3))
    assert 0.3 <= asyncio.get_running_loop().time() - start < 2
    assert set(raised.value.pending) == set(ids)
    local.clear_faults()
    local.inject(Fault(method="GET", action="status", status=503, times=None))
    with pytest.raises(WaitTimeoutError, match=r"not seen.*; last failure: GET ") as raised:
        await collect(omium.executions.wait_many(ids, timeout=0.3))
    assert raised.value.__cause__.attempts[0].status == 503


@pytest.mark.parametrize("count", [2, 20])
async def test_a_time_out_of_0_polls_once(omium, local, count):
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    with pytest.raises(WaitTimeoutError, match=r"the only poll"):
        await collect(omium.executions.wait_many(ids, timeout=0))
    found = await collect(omium.executions.wait_many(ids, timeout=0, until="pending"))
    assert {row.id for row in found} == set(ids)
    assert sum(times for name, times in local.counts.items() if name.startswith("GET ")) <= 4
    local.inject(Fault(method="GET", action="status", status=503, times=None))
    with pytest.raises(ServerError):
        await collect(omium.with_options(max_retries=0).executions.wait_many(ids, timeout=0))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (TypeError, {"execution_ids": "exec_1"}),
        (TypeError, {"execution_ids": [1]}),
        (ValueError, {"execution_ids": ["exec_1", "live"]}),
        (ValueError, {"until": "complete"}),
    ],
)
async def test_bad_arguments_are_rejected_at_the_call(omium, local, kind, arguments):
    with pytest.raises(kind):
        omium.executions.wait_many(**({"execution_ids": ["exec_1"]} | arguments))
    assert local.counts == {}

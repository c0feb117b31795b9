"""wait_many: one shared poller, whose cost is that of pages."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from omium_async import (
    APIConnectionError,
    AuthenticationError,
    Execution,
    ExecutionDetail,
    ExecutionRequest,
    MissingExecutionsError,
    NotFoundError,
    ServerError,
    WaitTimeoutError,
)
from omium_async._models.types import SETTLED
from omium_async._waiting.many import wait_for_each
from omium_async._waiting.polling import Polling
from omium_async.local import Fault

from .fake import FakeCaller


class Fleet(FakeCaller):
    """Executions that settle at given times of a clock that sleeping moves."""

    def __init__(
        self, ends: dict[str, float], *, hidden: frozenset[str] = frozenset(), others: int = 0, **options
    ) -> None:
        super().__init__(**options)
        self.ends = ends
        self.hidden = hidden
        self.others = others  # newer executions, before these in the list
        self.now = 0.0
        self.pages_read = 0
        self.gets: Counter[str] = Counter()
        self.fail_next: list[Exception] = []

    def status(self, execution_id: str) -> str:
        return "completed" if self.ends[execution_id] <= self.now else "running"

    async def get(self, execution_id: str) -> ExecutionDetail:
        await asyncio.sleep(0)
        self.gets[execution_id] += 1
        if self.fail_next:
            raise self.fail_next.pop()
        if execution_id not in self.ends:
            raise NotFoundError("no such execution", status=404)
        return ExecutionDetail(execution_id, status=self.status(execution_id))

    async def page(self, number, size, query):
        self.pages_read += 1
        await asyncio.sleep(0)
        return await super().page(number, size, query)

    async def rows(self, query):
        ids = [f"other-{number}" for number in range(self.others)]
        ids += [execution_id for execution_id in self.ends if execution_id not in self.hidden]
        return [Execution(one, status=self.status(one) if one in self.ends else "running") for one in ids]

    @property
    def requests(self) -> int:
        return self.pages_read + self.gets.total()


@pytest.fixture
def clock(monkeypatch):
    """Lets the sleeps of the poller move a fleet's clock, and nothing else."""

    def move(fleet: Fleet) -> Fleet:
        async def sleep(polling: Polling, seconds: float) -> bool:
            fleet.now += seconds
            await asyncio.sleep(0)
            return polling.timeout is None or fleet.now < polling.timeout

        monkeypatch.setattr(Polling, "sleep", sleep)
        return fleet

    return move


def wait(fleet, ids, timeout=None, poll_interval=None, until=SETTLED, details=False):
    polling = Polling.of(timeout, poll_interval, until, fleet.options.poll_interval)
    return wait_for_each(fleet, ids, polling, details=details)


async def collect(details):
    return [detail async for detail in details]


async def test_two_thousand_cost_a_fraction_of_a_get_per_run_and_second(clock):
    ends = {f"exec-{number}": random.uniform(0, 60) for number in range(2000)}
    fleet = clock(Fleet(ends))
    details = await collect(wait(fleet, ends))
    assert {detail.id for detail in details} == set(ends)
    assert all(detail.status == "completed" for detail in details)
    assert fleet.requests <= 0.1 * sum(ends.values())
    assert max(fleet.gets.values()) <= 20  # the last few, one by one, at a pace of their own
    assert fleet.now < 60 + 1.2 * 10 + 5  # the longest pause, jittered, and a look at the list


async def test_two_thousand_that_have_ended_are_a_few_requests(clock):
    ends = {f"exec-{number}": 0.0 for number in range(2000)}
    fleet = clock(Fleet(ends))
    assert len(await collect(wait(fleet, ends))) == 2000
    assert fleet.requests <= 4
    detailed = clock(Fleet(ends))
    assert len(await collect(wait(detailed, ends, details=True))) == 2000
    assert detailed.requests <= 2004


async def test_few_are_read_one_by_one(clock):
    fleet = clock(Fleet({f"exec-{number}": 5.0 for number in range(5)}, others=5000))
    assert len(await collect(wait(fleet, fleet.ends, details=True))) == 5
    assert fleet.pages_read == 0
    again = clock(Fleet({"one": 5.0, "two": 5.0}, others=5000))
    assert len(await collect(wait(again, again.ends))) == 2
    assert again.pages_read == 0


async def test_those_deep_in_the_list_are_read_one_by_one(clock):
    """Reading a hundred pages for fifty runs would be the dearer way."""
    fleet = clock(Fleet({f"exec-{number}": 5.0 for number in range(50)}, others=20_000))
    assert len(await collect(wait(fleet, fleet.ends))) == 50
    assert fleet.pages_read <= 30


async def test_those_that_the_list_hides_are_found_all_the_same(clock):
    ends = {f"exec-{number}": number / 10 for number in range(100)}
    fleet = clock(Fleet(ends, hidden=frozenset(f"exec-{number}" for number in range(0, 100, 7))))
    assert len(await collect(wait(fleet, ends))) == 100


async def test_each_comes_as_soon_as_it_is_seen(clock):
    fleet = clock(Fleet({"slow": 40.0, "quick": 0.0, "middle": 5.0}))
    seen = []
    async for detail in wait(fleet, ["slow", "quick", "middle", "quick"]):
        seen.append((detail.id, fleet.now))  # noqa: PERF401 - the time is part of it
    assert [name for name, _ in seen] == ["quick", "middle", "slow"]
    assert seen[0][1] == 0
    assert seen[1][1] < 12


async def test_unknown_ids_are_told_after_all_others(clock):
    fleet = clock(Fleet({f"exec-{number}": 5.0 for number in range(30)}))
    seen = []
    with pytest.raises(MissingExecutionsError, match="'nope'") as raised:
        async for detail in wait(fleet, ["nope", *fleet.ends, "neither"]):
            seen.append(detail.id)  # noqa: PERF401 - what came before the error counts
    assert sorted(seen) == sorted(fleet.ends)
    assert set(raised.value.missing) == {"nope", "neither"}
    assert fleet.gets["nope"] == 1


async def test_in_time(clock):
    fleet = clock(Fleet({"a": 1.0, "b": 100.0, "c": 200.0}))
    seen = []
    with pytest.raises(WaitTimeoutError, match="2 executions did not come to") as raised:
        async for detail in wait(fleet, ["a", "b", "c", "nope"], timeout=20):
            seen.append(detail.id)  # noqa: PERF401 - what came before the error counts
    assert seen == ["a"]
    assert set(raised.value.pending) == {"b", "c"}
    assert "'nope'" in str(raised.value)


async def test_what_is_retryable_is_looked_at_again_and_what_could_not_ends_it(clock):
    fleet = clock(Fleet({"a": 1.0, "b": 2.0}))
    fleet.fail_next = [APIConnectionError("reset"), APIConnectionError("reset")]
    assert len(await collect(wait(fleet, ["a", "b"]))) == 2
    fleet.fail_next = [AuthenticationError("revoked", status=401)]
    with pytest.raises(AuthenticationError):
        await collect(wait(fleet, ["a", "b"]))


async def test_the_status_asked_for(clock):
    fleet = clock(Fleet({f"exec-{number}": 5.0 for number in range(30)}))
    details = await collect(wait(fleet, fleet.ends, until=["running"]))
    assert {detail.status for detail in details} == {"running"}
    assert fleet.now == 0


async def test_one_that_moved_on_between_list_and_read_is_waited_for_further(clock):
    class Recovering(Fleet):
        async def get(self, execution_id):
            detail = await super().get(execution_id)
            return ExecutionDetail(detail.id, status="running") if self.now < 5 else detail

    fleet = clock(Recovering({f"exec-{number}": 0.0 for number in range(20)}))
    details = await collect(wait(fleet, fleet.ends, details=True))
    assert {detail.status for detail in details} == {"completed"}
    assert fleet.now >= 5


async def test_ids_from_an_async_iterable(clock):
    async def ids():
        for name in ("a", "b", "a"):
            await asyncio.sleep(0)
            yield name

    fleet = clock(Fleet({"a": 0.0, "b": 0.0}))
    assert sorted([detail.id async for detail in wait(fleet, ids())]) == ["a", "b"]


async def test_no_ids(omium):
    assert await collect(omium.executions.wait_many([])) == []


async def test_on_a_server(omium, local):
    @local.workflow("sleep")
    async def sleep(run):
        await asyncio.sleep(run.input_data)

    requests = [ExecutionRequest("sleep", number / 100) for number in range(60)]
    ids = [outcome.execution.id async for outcome in omium.executions.create_many(requests)]
    details = await collect(omium.executions.wait_many(ids, poll_interval=0.1))
    assert {detail.id for detail in details} == set(ids)
    assert {detail.status for detail in details} == {"completed"}
    assert local.counts["GET /executions"] < 30


async def test_in_time_also_while_a_request_is_under_way(omium, local):
    ids = [(await omium.executions.create("nobody")).id for _ in range(20)]
    local.inject(Fault(method="GET", action="stall", times=None))
    start = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeoutError) as raised:
        await collect(omium.executions.wait_many(ids, timeout=0.3))
    assert 0.3 <= asyncio.get_running_loop().time() - start < 2
    assert set(raised.value.pending) == set(ids)
    start = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeoutError):
        await collect(omium.executions.wait_many(ids[:2], timeout=0.3))
    assert asyncio.get_running_loop().time() - start < 2


@pytest.mark.parametrize("count", [2, 20])
async def test_the_message_says_what_was_last_seen_and_the_last_failure(omium, local, count):
    """Also when the only look is still being repeated when time is over."""
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    with pytest.raises(WaitTimeoutError, match=r"\(pending\)"):
        await collect(omium.executions.wait_many(ids, timeout=0.2))
    local.inject(Fault(method="GET", action="status", status=503, times=None))
    slow = omium.with_options(backoff=(2, 8), max_retries=9)
    with pytest.raises(WaitTimeoutError, match=r"never seen.*; the last failure: GET ") as raised:
        await collect(slow.executions.wait_many(ids, timeout=0.3))
    assert set(raised.value.pending) == set(ids)
    assert raised.value.__cause__.attempts[0].status == 503


@pytest.mark.parametrize("count", [2, 20])
async def test_without_any_time_it_looks_once(omium, local, count):
    ids = [(await omium.executions.create("nobody")).id for _ in range(count)]
    with pytest.raises(WaitTimeoutError, match=r"one look that timeout=0 asks for; last seen: .* \(pending\)"):
        await collect(omium.executions.wait_many(ids, timeout=0))
    found = await collect(omium.executions.wait_many(ids, timeout=0, until="pending"))
    assert {row.id for row in found} == set(ids)
    assert sum(times for name, times in local.counts.items() if name.startswith("GET ")) <= 4
    local.inject(Fault(method="GET", action="status", status=503, times=None))
    with pytest.raises(ServerError):
        await collect(omium.with_options(max_retries=0).executions.wait_many(ids, timeout=0))


async def test_leaving_early_leaves_nothing_behind(omium, local):
    ids = [(await omium.executions.create("nobody")).id for _ in range(3)]
    before = asyncio.all_tasks()
    details = omium.executions.wait_many(ids, until=["pending"])
    await anext(details)
    await details.aclose()
    assert not [task for task in asyncio.all_tasks() - before if "Pool" in task.get_coro().__qualname__]


async def test_bad_arguments_are_refused_at_the_call(omium, local):
    for kind, arguments in (
        (TypeError, {"execution_ids": "exec_1"}),
        (TypeError, {"execution_ids": 1}),
        (TypeError, {"execution_ids": [1]}),
        (ValueError, {"execution_ids": ["exec_1", "live"]}),
        (ValueError, {"timeout": -1}),
        (ValueError, {"poll_interval": 0}),
        (ValueError, {"until": []}),
    ):
        with pytest.raises(kind):
            omium.executions.wait_many(**({"execution_ids": ["exec_1"]} | arguments))
    assert local.counts == {}

"""Whoever repeats what is `not_applied`, and nothing else, never does a thing twice: under any schedule of faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import omium_async as om
from omium_async.local import Fault as LocalFault
from omium_async.local import LocalOmium

from .test_truth import AFTER_STATUSES, STATUSES, Fault, Service, faults

WRITES: dict[str, Callable[[om.AsyncOmium], Awaitable[object]]] = {
    "create": lambda omium: omium.executions.create("wf", {"a": 1}),
    "replay": lambda omium: omium.executions.replay("exec_1", "c1"),
    "replay the latest": lambda omium: omium.executions.replay("exec_1"),
    "rollback": lambda omium: omium.executions.rollback("exec_1", "c1"),
    "request": lambda omium: omium.request("POST", "/elsewhere", json={}),
}
MOST = 5  # times that the wrapper calls


@attrs.frozen
class Schedule:
    """One intent, and what meets it."""

    write: str
    faults: tuple[Fault, ...]
    retries: int
    cancelled_after: tuple[int | None, ...]  # turns of the loop, of each call; None: it is not


SCHEDULES = st.builds(
    Schedule,
    st.sampled_from(sorted(WRITES)),
    st.lists(faults(), max_size=6).map(tuple),
    st.integers(0, 2),
    st.lists(st.none() | st.integers(0, 60), min_size=MOST, max_size=MOST).map(tuple),
)


async def once(write: Awaitable[object], attempts: list[om.Attempt], turns: int | None) -> str:
    """Call once, cancelled after so many turns of the loop; what became of the write, as its owner is told."""
    task = asyncio.ensure_future(write)
    if turns is not None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    try:
        await task
    except om.OmiumError as error:
        return error.outcome
    except asyncio.CancelledError:  # its verdict went to `on_attempt`
        return "unknown" if any(attempt.outcome_unknown for attempt in attempts) else "not_applied"
    return "applied"


async def repeat(omium: om.AsyncOmium, schedule: Schedule) -> str:
    """What a careful program does: again after `not_applied`, and never otherwise."""
    outcome = "not_applied"
    for turns in schedule.cancelled_after:
        attempts: list[om.Attempt] = []
        client = omium.with_options(on_attempt=attempts.append, max_retries=schedule.retries)
        outcome = await once(WRITES[schedule.write](client), attempts, turns)
        if outcome != "not_applied":
            break
    return outcome


class Bench:
    """A service of bytes and a client of it, for many schedules one after the other."""

    def __init__(self, omium: om.AsyncOmium, service: Service) -> None:
        self.omium = omium
        self.service = service

    async def judge(self, schedule: Schedule) -> None:
        """Meet one schedule, and compare what was told with what was done."""
        self.service.faults = list(schedule.faults)
        self.service.applied.clear()
        outcome = await repeat(self.omium, schedule)
        self.service.faults = []
        await self.omium.executions.get("exec_1")  # whatever was under way has arrived
        applied = sum(self.service.applied.values())
        assert applied <= 1, (applied, schedule)
        if outcome != "unknown":
            assert applied == (outcome == "applied"), (applied, outcome, schedule)


@contextlib.asynccontextmanager
async def bench() -> AsyncGenerator[Bench]:
    service = Service()
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, om.AsyncOmium("k" * 20, base_url=url, attempt_timeout=0.5, backoff=(0, 0)) as omium:
        yield Bench(omium, service)
    await asyncio.sleep(0)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schedules=st.lists(SCHEDULES, min_size=1, max_size=5))
def test_nothing_is_done_twice(schedules: list[Schedule]) -> None:
    async def main() -> None:
        async with bench() as one:
            for schedule in schedules:
                await one.judge(schedule)

    asyncio.run(main())


LOCAL_FAULTS = st.one_of(
    st.builds(
        LocalFault,
        when=st.just("before"),
        action=st.sampled_from(["drop", "truncate", "status"]),
        status=st.sampled_from([status for status in STATUSES if status >= 400]),
    ),
    st.builds(
        LocalFault,
        when=st.just("after"),
        action=st.sampled_from(["drop", "truncate", "garbage", "status"]),
        status=st.sampled_from(AFTER_STATUSES),
    ),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.lists(LOCAL_FAULTS, max_size=4), min_size=1, max_size=4), st.integers(0, 2))
def test_an_omium_of_ones_own_has_no_more_executions_than_intents(intents, retries: int) -> None:
    async def main() -> None:
        async with (
            LocalOmium() as local,
            om.AsyncOmium(
                local.api_key, base_url=local.url, attempt_timeout=5, backoff=(0, 0), max_retries=retries
            ) as omium,
        ):
            for number, to_come in enumerate(intents):
                await local.reset()
                for fault in to_come:
                    local.inject(attrs.evolve(fault, method="POST", path="/executions"))
                schedule = Schedule("create", (), retries, (None,) * MOST)
                outcome = await repeat(omium, schedule)
                done = await omium.executions.count()
                assert done <= 1, (number, to_come)
                if outcome != "unknown":
                    assert done == (outcome == "applied"), (number, to_come)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omium_async._transport.allowance._FIRST_BLOCK", 0.001)
    monkeypatch.setattr("omium_async._transport.allowance._LONGEST_BLOCK", 0.001)

"""Calling again after `not_applied` never applies a write twice, under any schedule of faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import omium_async as om
from omium_async.local import Fault as LocalFault
from omium_async.local import LocalOmium
from omium_sync import Omium
from omium_sync._portal import LoopThread

from .test_truth import AFTER_STATUSES, STATUSES, Fault, Service, faults

Write = Callable[[Any, float | None], Any]  # with a client of either package, in so many seconds where it takes a bound

WRITES: dict[str, Write] = {
    "create": lambda omium, _: omium.executions.create("wf", {"a": 1}),
    "run": lambda omium, seconds: omium.executions.run("wf", {"a": 1}, timeout=seconds),
    "start": lambda omium, _: omium.workflow("wf").start({"a": 1}),
    "execute": lambda omium, seconds: omium.workflow("wf").execute({"a": 1}, timeout=seconds),
    "replay": lambda omium, _: omium.executions.replay("exec_1", "c1"),
    "replay the latest": lambda omium, _: omium.executions.replay("exec_1"),
    "replay by name": lambda omium, _: omium.executions.replay("exec_1", checkpoint_name="a"),
    "replay a handle": lambda omium, _: omium.workflow("wf").handle("exec_1").replay(),
    "rollback": lambda omium, _: omium.executions.rollback("exec_1", "c1"),
    "rollback by name": lambda omium, _: omium.executions.rollback("exec_1", checkpoint_name="a"),
    "rollback a handle": lambda omium, _: omium.workflow("wf").handle("exec_1").rollback("c1"),
    "request": lambda omium, _: omium.request("POST", "/elsewhere", json={}),
}
WAITS = ("run", "execute")
EXAMPLES = settings.default.max_examples // 3
MOST = 5  # times that the wrapper calls


@attrs.frozen
class Schedule:
    """One intent, and what meets it."""

    write: str
    faults: tuple[Fault | None, ...]  # of each request; None: it is served
    retries: int
    cancelled_after: tuple[int | None, ...]  # turns of the loop, of each call; None: it is not
    seconds: float | None = None
    patience: float = 0.0


SCHEDULES = st.builds(
    Schedule,
    st.sampled_from(sorted(WRITES)),
    st.lists(st.none() | faults(), max_size=6).map(tuple),
    st.integers(0, 2),
    st.lists(st.none() | st.integers(0, 60), min_size=MOST, max_size=MOST).map(tuple),
    st.sampled_from([None, 0.001, 0.05]),
    st.sampled_from([0.0, 0.05]),
)


def reported(write: str, error: BaseException, attempts: list[om.Attempt]) -> str:
    """The outcome of a write, as the end of the call reports it."""
    if isinstance(error, om.OmiumError):
        if error.outcome == "applied":
            assert error.execution_id is not None
        return error.outcome
    if any(attempt.outcome_unknown for attempt in attempts):
        return "unknown"
    # It was interrupted: the verdict went to `on_attempt`, and a note says what was created.
    if not any(attempt.method == "POST" and attempt.error is None for attempt in attempts):
        return "not_applied"
    assert write not in WAITS or any("exec_1" in note for note in getattr(error, "__notes__", ()))
    return "applied"


async def once(schedule: Schedule, omium: om.AsyncOmium, attempts: list[om.Attempt], turns: int | None) -> str:
    """Call once, cancelled after so many turns of the loop."""
    task = asyncio.ensure_future(WRITES[schedule.write](omium, schedule.seconds))
    if turns is not None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    try:
        await task
    except (om.OmiumError, asyncio.CancelledError) as error:
        return reported(schedule.write, error, attempts)
    return "applied"


async def repeat(omium: om.AsyncOmium, schedule: Schedule) -> str:
    """What a careful program does: again after `not_applied`, and never otherwise."""
    outcome = "not_applied"
    for turns in schedule.cancelled_after:
        attempts: list[om.Attempt] = []
        client = omium.with_options(
            on_attempt=attempts.append, max_retries=schedule.retries, patience=schedule.patience
        )
        outcome = await once(schedule, client, attempts, turns)
        if outcome != "not_applied":
            break
    return outcome


def once_in_a_thread(schedule: Schedule, omium: Omium, attempts: list[om.Attempt], turns: int | None) -> str:
    """`once` with the facade, whose thread is interrupted after so many turns of the loop."""
    wait, turned = LoopThread.wait, Future[None]()

    def count_down(turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(count_down, turns - 1)
        else:
            turned.set_result(None)

    def interrupted(thread: LoopThread, *futures: Future[Any]) -> None:
        if turns is None or turned.done():
            return wait(thread, *futures)
        thread.call_soon(count_down, turns)
        wait(thread, *futures, turned)
        if not turned.done():
            turned.set_result(None)
        elif not futures[0].done():
            raise KeyboardInterrupt
        return wait(thread, *futures)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(LoopThread, "wait", interrupted)
        try:
            WRITES[schedule.write](omium, schedule.seconds)
        except (om.OmiumError, KeyboardInterrupt) as error:
            return reported(schedule.write, error, attempts)
    return "applied"


def repeat_in_a_thread(omium: Omium, schedule: Schedule) -> str:
    """`repeat` with the facade."""
    outcome = "not_applied"
    for turns in schedule.cancelled_after:
        attempts: list[om.Attempt] = []
        client = omium.with_options(
            on_attempt=attempts.append, max_retries=schedule.retries, patience=schedule.patience
        )
        outcome = once_in_a_thread(schedule, client, attempts, turns)
        if outcome != "not_applied":
            break
    return outcome


@attrs.frozen
class Bench:
    """A service of bytes and clients of it, for many schedules one after the other."""

    service: Service
    omium: om.AsyncOmium
    facade: Omium

    async def judge(self, schedule: Schedule, *, in_a_thread: bool) -> None:
        """Meet one schedule, and compare what was reported with what was done."""
        self.service.faults = list(schedule.faults)
        self.service.applied.clear()
        if in_a_thread:
            outcome = await asyncio.to_thread(repeat_in_a_thread, self.facade, schedule)
        else:
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
    quick: dict[str, Any] = {
        "base_url": url,
        "attempt_timeout": 0.5,
        "backoff": (0, 0),
        "poll_interval": (0.001, 0.001),
    }
    async with server, om.AsyncOmium("k" * 20, **quick) as omium:
        with Omium("k" * 20, **quick) as facade:
            yield Bench(service, omium, facade)
            await asyncio.to_thread(facade.close)  # whose answers come from this loop
    await asyncio.sleep(0)


@pytest.mark.parametrize("in_a_thread", [False, True], ids=["async", "sync"])
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schedules=st.lists(SCHEDULES, min_size=1, max_size=5))
def test_nothing_is_done_twice(schedules: list[Schedule], in_a_thread: bool) -> None:
    async def main() -> None:
        async with bench() as one:
            for schedule in schedules:
                await one.judge(schedule, in_a_thread=in_a_thread)

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

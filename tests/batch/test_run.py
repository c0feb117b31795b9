"""``run_many``: so many executions at a time, results as they end, each once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import threading
import time
from contextlib import aclosing

import attrs
import pytest

from omium_async import (
    APIConnectionError,
    AsyncOmium,
    ExecutionFailedError,
    ExecutionRequest,
    InvalidResponseError,
    JournalError,
    NotFoundError,
    OutputError,
    PaymentRequiredError,
    WaitTimeoutError,
)
from omium_async.local import Fault, LocalOmium
from omium_sync import LocalOmium as SyncLocalOmium
from omium_sync import Omium

from .conftest import applied, collect, ended, numbered, states

POLLS = {"poll_interval": 0.02}


class Work:
    """The workflow "work" of a server.

    :ivar running: executions that run now.
    :ivar most: the most that ran at once.
    :ivar gate: executions end when it is set, except those whose number is not below ``free``.
    """

    def __init__(self, local: LocalOmium, free: int = 0) -> None:
        self.running = self.most = 0
        self.gate = asyncio.Event()
        self.free = free
        self.changed = asyncio.Condition()
        local.workflow("work")(self.work)

    async def work(self, run) -> dict[str, int]:
        number = run.input_data["number"]
        await self._count(1)
        try:
            if number >= self.free:
                await self.gate.wait()
            if run.input_data.get("fails"):
                raise ValueError("this one fails")
            return {"number": number}
        finally:
            await self._count(-1)

    async def _count(self, change: int) -> None:
        self.running += change
        self.most = max(self.most, self.running)
        async with self.changed:
            self.changed.notify_all()

    async def until_running(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.running == count)


def only(local, method, path="/executions"):
    return [request for request in local.requests if request.method == method and request.path == path]


async def test_outcomes_come_as_executions_end_and_never_more_than_so_many_run(omium, local):
    work = Work(local, free=100)
    requests = list(numbered(23))
    outcomes = await collect(omium.executions.run_many(requests, max_running=4, **POLLS))
    assert states(outcomes) == {("completed", False): 23}
    assert {id(outcome.request) for outcome in outcomes} == {id(request) for request in requests}
    assert all(outcome.output == outcome.execution.output_data == outcome.request.input_data for outcome in outcomes)
    assert all(outcome.error is None for outcome in outcomes)
    assert work.most <= 4


async def test_each_state_says_what_happened(omium, local):
    Work(local, free=100)
    requests = [
        ExecutionRequest("work", {"number": 1}),
        ExecutionRequest("work", {"number": 2, "fails": True}),
        ExecutionRequest("work", {"number": {1, 2}}),
    ]
    found = {o.request.input_data["number"]: o for o in await collect(omium.executions.run_many(requests[:2], **POLLS))}
    (rejected,) = await collect(omium.executions.run_many(requests[2:], **POLLS))
    assert found[1].state == "completed"
    assert found[2].state == "failed"
    assert found[2].execution.status == "failed"
    assert isinstance(found[2].error, ExecutionFailedError)
    assert "this one fails" in str(found[2].error)
    assert (rejected.state, rejected.execution) == ("rejected", None)
    assert isinstance(rejected.error, TypeError)


async def test_a_dropped_response_is_unknown_and_frees_the_place(omium, local):
    Work(local, free=100)
    local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
    outcomes = await collect(omium.executions.run_many(numbered(3), max_running=1, **POLLS))
    assert states(outcomes) == {("unknown", False): 1, ("completed", False): 2}


async def test_one_that_is_late_is_timed_out_and_continues(omium, local):
    work = Work(local)
    (outcome,) = await collect(omium.executions.run_many(numbered(1), timeout=0.1, **POLLS))
    assert outcome.state == "timed_out"
    assert isinstance(outcome.error, WaitTimeoutError)
    assert outcome.error.pending == (outcome.execution.id,)
    assert (outcome.error.outcome, outcome.error.execution_id) == ("applied", outcome.execution.id)
    assert outcome.execution.status == "running"
    assert work.running == 1


async def test_one_that_ended_between_two_polls_is_not_timed_out(omium, local):
    Work(local, free=1)
    (outcome,) = await collect(omium.executions.run_many(numbered(1), timeout=0.2, poll_interval=60))
    assert outcome.state == "completed"


async def test_one_that_is_late_is_cancelled_with_cancel_on_exit(omium, local):
    work = Work(local)
    (outcome,) = await collect(omium.executions.run_many(numbered(1), timeout=0.1, cancel_on_exit=True, **POLLS))
    assert outcome.state == "timed_out"
    assert outcome.error.__notes__ == [f"execution {outcome.execution.id} was created before this, and was cancelled"]
    await work.until_running(0)


async def test_one_that_vanishes_is_unknown(omium, local):
    Work(local)
    local.inject(Fault(method="GET", path="/executions/*", status=404, body=b'{"detail": "Execution not found"}'))
    (outcome,) = await collect(omium.executions.run_many(numbered(1), **POLLS))
    assert outcome.state == "unknown"
    assert isinstance(outcome.error, NotFoundError)
    assert (outcome.error.outcome, outcome.error.execution_id) == ("applied", outcome.execution.id)


async def test_details_that_cannot_be_understood_concern_one_execution(omium, local):
    Work(local, free=100)
    local.inject(Fault(method="GET", path="/executions/*", status=200, body=b'{"id": 7}'))
    outcomes = await collect(omium.executions.run_many(numbered(4), **POLLS))
    assert states(outcomes) == {("unknown", False): 1, ("completed", False): 3}
    assert any(isinstance(outcome.error, InvalidResponseError) for outcome in outcomes)


async def test_an_id_that_cannot_be_used_is_unknown(omium, local):
    local.inject(Fault(method="POST", path="/executions", status=201, body=b'{"id": ".."}'))
    (outcome,) = await collect(omium.executions.run_many(numbered(1), **POLLS))
    assert outcome.state == "unknown"
    assert "cannot be used" in str(outcome.error)


async def test_an_end_frees_the_place_before_the_consumer_takes_the_outcome(omium, local):
    work = Work(local, free=1000)
    outcomes = omium.executions.run_many(numbered(500), max_running=2, **POLLS)
    async with aclosing(outcomes):
        await anext(outcomes)
        async with asyncio.timeout(20):  # all that may wait for the consumer
            while (await applied(omium)).total() < 4 * 2 + 64:  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.01)
    assert (await applied(omium)).total() <= 4 * 2 + 64 + 1
    assert work.most <= 2


async def test_ends_are_found_by_pages(omium, local):
    work = Work(local)
    outcomes = asyncio.create_task(collect(omium.executions.run_many(numbered(40), max_running=40, **POLLS)))
    await work.until_running(40)
    work.gate.set()
    assert states(await outcomes) == {("completed", False): 40}
    assert len([request for request in local.requests if request.path.startswith("/executions/exec_")]) == 40


async def test_arguments_are_checked_at_once(omium):
    for wrong in ({"max_running": 0}, {"timeout": 0}, {"timeout": -1}, {"poll_interval": 0}, {"settle": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            omium.executions.run_many([], **wrong)
    with pytest.raises(TypeError, match="requests"):
        omium.executions.run_many(ExecutionRequest("work"))
    with pytest.raises(TypeError, match="cancel_on_exit"):
        omium.executions.run_many([], cancel_on_exit=1)


# -- early ends --------------------------------------------------------------------------------------------------------


async def test_a_refusal_ends_the_batch_and_says_how_many_continue(omium, local):
    work = Work(local)
    outcomes = asyncio.create_task(ended(omium.executions.run_many(endless(), max_running=3, **POLLS)))
    await work.until_running(3)
    local.inject(Fault(method="POST", path="/executions", status=402, body=b'{"detail": "no credits"}', times=None))
    work.free = 1
    work.gate.set()
    found, error = await outcomes
    assert isinstance(error, PaymentRequiredError)
    assert error.outcome == "applied"
    assert {outcome.state for outcome in found} <= {"completed", "rejected"}


def endless():
    return (ExecutionRequest("work", {"number": number}) for number in itertools.count())


async def test_the_note_names_what_continues(omium, local):
    work = Work(local)
    running = asyncio.create_task(collect(omium.executions.run_many(numbered(7), max_running=6, **POLLS)))
    await work.until_running(6)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await running
    (note,) = raised.value.__notes__
    assert note.startswith("6 executions of run_many had not ended, and continue: exec_")
    assert work.running == 6


async def test_the_outcome_of_the_error_counts_executions_that_run(omium, local):
    work = Work(local)
    outcomes = asyncio.create_task(ended(omium.executions.run_many(numbered(2), max_running=2, **POLLS)))
    await work.until_running(2)
    local.inject(Fault(method="GET", status=403, body=b'{"detail": "no"}', times=None))
    found, error = await outcomes
    assert found == []
    assert error.outcome == "applied"
    assert "2 executions of run_many had not ended, and continue" in error.__notes__[-1]


async def test_a_refusal_while_creates_are_in_flight_ends_the_batch(omium, local):
    Work(local)
    local.inject(Fault(method="POST", path="/executions", status=402, body=b'{"detail": "no credits"}'))
    local.inject(Fault(method="POST", path="/executions", when="after", action="delay", delay=0.2, times=None))
    found, error = await ended(omium.executions.run_many(numbered(4), max_running=4, **POLLS))
    assert [outcome.state for outcome in found] == ["rejected"]
    assert error.outcome == "applied"
    assert "3 executions of run_many had not ended" in error.__notes__[-1]


async def test_a_vanished_execution_that_is_late_is_unknown(omium, local):
    Work(local)
    local.inject(Fault(method="GET", path="/executions/*", status=404, body=b'{"detail": "no such execution"}'))
    (outcome,) = await collect(omium.executions.run_many(numbered(1), timeout=0.1, poll_interval=60))
    assert outcome.state == "unknown"
    assert isinstance(outcome.error, NotFoundError)


async def test_a_slow_source_costs_no_reads_of_single_executions(omium, local):
    work = Work(local)

    async def slow():
        for number, request in enumerate(numbered(20)):
            yield request
            await work.until_running(number + 1)

    outcomes = asyncio.create_task(collect(omium.executions.run_many(slow(), max_running=20, **POLLS)))
    await work.until_running(20)
    pages = local.counts.get("GET /executions", 0)
    single = local.counts.get("GET /executions/*", 0)
    while local.counts.get("GET /executions", 0) < pages + 5:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0.01)
    assert local.counts.get("GET /executions/*", 0) - single <= 2
    work.gate.set()
    await outcomes


async def test_an_outage_longer_than_patience_ends_the_batch(local, patient):
    async with AsyncOmium(local.api_key, base_url=local.url, patience=0.3, backoff=(0.01, 0.02)) as omium:
        work = Work(local)
        outcomes = asyncio.create_task(ended(omium.executions.run_many(numbered(9), max_running=2, **POLLS)))
        await work.until_running(2)
        local.inject(Fault(action="drop", times=None))
        found, error = await outcomes
    assert found == []
    assert isinstance(error, APIConnectionError)
    assert error.outcome == "applied"


@pytest.mark.parametrize("way", ["time-out", "closed", "error"])
async def test_cancel_on_exit_cancels_what_has_not_ended(omium, local, way):
    work = Work(local, free=1)
    outcomes = omium.executions.run_many(numbered(9), max_running=3, cancel_on_exit=True, **POLLS)
    async with aclosing(outcomes):
        assert (await anext(outcomes)).state == "completed"
        await work.until_running(3)
        if way == "time-out":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(outcomes)
        elif way == "error":
            local.inject(Fault(method="GET", path="/executions", status=403, body=b'{"detail": "no"}', times=1))
            _, error = await ended(outcomes)
            assert error.__notes__[-1] == "3 executions of run_many had not ended, and no longer run"
    await work.until_running(0)
    rows = await collect(omium.executions.list())
    assert sorted(row.status for row in rows) == ["cancelled"] * 3 + ["completed"]


async def test_cancel_on_exit_waits_for_a_create_in_flight(omium, local):
    work = Work(local)
    local.inject(Fault(method="POST", path="/executions", when="after", action="delay", delay=0.3))
    running = asyncio.create_task(collect(omium.executions.run_many(numbered(1), cancel_on_exit=True, **POLLS)))
    await work.until_running(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await work.until_running(0)
    (row,) = await collect(omium.executions.list())
    assert row.status == "cancelled"


async def test_a_cancel_that_fails_is_a_note_and_a_warning(omium, local, caplog):
    work = Work(local)
    running = asyncio.create_task(collect(omium.executions.run_many(numbered(1), cancel_on_exit=True, **POLLS)))
    await work.until_running(1)
    local.inject(Fault(method="PATCH", path="*", status=403, body=b'{"detail": "no"}', times=None))
    await until_seen(local, "GET")
    running.cancel()
    with caplog.at_level(logging.WARNING, "omium_async"), pytest.raises(asyncio.CancelledError) as raised:
        await running
    assert "could not be cancelled" in raised.value.__notes__[0]
    assert "and continue" in raised.value.__notes__[1]
    assert any("could not be cancelled" in record.message for record in caplog.records)


async def until_seen(local, method):
    while not any(request.method == method for request in local.requests):  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0.01)


# -- with a journal ----------------------------------------------------------------------------------------------------


async def test_a_finished_batch_comes_back_without_a_request(omium, local, tmp_path):
    Work(local, free=100)
    requests = [*numbered(9), ExecutionRequest("work", {"number": 9, "fails": True})]
    first = await collect(omium.executions.run_many(requests, journal=tmp_path / "j", **POLLS))
    before = len(local.requests)
    again = await collect(omium.executions.run_many(requests, journal=tmp_path / "j", **POLLS))
    assert len(local.requests) == before
    assert states(again) == {("completed", True): 9, ("failed", True): 1}
    assert {o.execution.id: o.execution for o in again} == {o.execution.id: o.execution for o in first}
    assert {o.execution.id: o.output for o in again} == {o.execution.id: o.output for o in first}


@pytest.mark.parametrize("named", [False, True])
async def test_what_ended_comes_first_and_what_runs_keeps_its_place(omium, local, tmp_path, named):
    work = Work(local, free=5)
    requests = [attrs.evolve(each, key=f"n{n}" if named else None) for n, each in enumerate(numbered(30))]
    outcomes = omium.executions.run_many(requests, max_running=4, journal=tmp_path / "j", **POLLS)
    async with aclosing(outcomes):
        done = [await anext(outcomes) for _ in range(5)]
        await work.until_running(4)
        while (await omium.executions.count(status="running")) < 4:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.01)
    if named:  # new ones before those of the first run
        requests = requests[15:] + requests[:15]
    work.free = 100
    outcomes = omium.executions.run_many(requests, max_running=4, journal=tmp_path / "j", **POLLS)
    async with aclosing(outcomes):
        first = [await anext(outcomes) for _ in range(5)]
        assert {o.execution.id for o in first} == {o.execution.id for o in done}
        assert all(outcome.resumed for outcome in first)
        before = len(local.requests)
        while len(local.requests) < before + 5:  # noqa: ASYNC110 - reads of the wait, or creates that came too early
            await asyncio.sleep(0.01)
        assert work.most == 4
        work.gate.set()
        rest = await collect(outcomes)
    assert states(rest) == {("completed", True): 4, ("completed", False): 21}
    assert await applied(omium) == dict.fromkeys(range(30), 1)
    assert work.most <= 4


async def test_items_of_an_earlier_run_that_never_come_do_not_stop_the_batch(omium, local, tmp_path):
    Work(local, free=1000)
    requests = [attrs.evolve(each, key=f"n{n}") for n, each in enumerate(numbered(300))]
    await collect(omium.executions.run_many(requests[:3], max_running=1, journal=tmp_path / "j", **POLLS))
    rest = await collect(omium.executions.run_many(requests[3:], max_running=1, journal=tmp_path / "j", **POLLS))
    assert len(rest) == 297


async def test_more_earlier_executions_than_places_do_not_stop_the_batch(omium, local, tmp_path):
    Work(local)
    requests = [attrs.evolve(each, key=f"n{n}") for n, each in enumerate(numbered(200))]
    first = omium.executions.run_many(requests[:5], max_running=5, timeout=0.1, journal=tmp_path / "j", **POLLS)
    assert states(await collect(first)) == {("timed_out", False): 5}
    again = omium.executions.run_many(requests[1:7], max_running=1, timeout=0.1, journal=tmp_path / "j", **POLLS)
    assert states(await collect(again)) == {("timed_out", True): 4, ("timed_out", False): 2}


async def test_a_bad_item_ends_a_batch_that_waits_for_earlier_items(omium, local, tmp_path):
    Work(local, free=1000)
    requests = [attrs.evolve(each, key=f"n{n}") for n, each in enumerate(numbered(40))]
    await collect(omium.executions.run_many(requests[:2], journal=tmp_path / "j", **POLLS))
    with pytest.raises(TypeError, match="'bad' is not an ExecutionRequest"):
        await collect(omium.executions.run_many([*requests[2:], "bad"], max_running=1, journal=tmp_path / "j", **POLLS))


async def test_executions_of_an_earlier_run_are_cancelled_too(omium, local, tmp_path):
    work = Work(local)
    for limit in (3, 1):
        outcomes = omium.executions.run_many(
            numbered(9), max_running=limit, journal=tmp_path / "j", cancel_on_exit=limit == 1, **POLLS
        )
        running = asyncio.create_task(collect(outcomes))
        await work.until_running(3)
        seen = local.counts.get("GET /executions", 0)
        while local.counts.get("GET /executions", 0) < seen + 2:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await running
    assert raised.value.__notes__ == ["3 executions of run_many had not ended, and no longer run"]
    await work.until_running(0)


@pytest.mark.parametrize("named", [False, True])
async def test_the_outcome_of_the_error_counts_executions_of_an_earlier_run(omium, local, tmp_path, named):
    work = Work(local)
    requests = [attrs.evolve(each, key=f"n{n}" if named else None) for n, each in enumerate(numbered(2))]
    first = asyncio.create_task(collect(omium.executions.run_many(requests, journal=tmp_path / "j", **POLLS)))
    await work.until_running(2)
    await until_seen(local, "GET")
    first.cancel()
    await asyncio.wait([first])
    local.inject(Fault(method="GET", status=403, body=b'{"detail": "no"}', times=None))
    found, error = await ended(omium.executions.run_many(requests, journal=tmp_path / "j", **POLLS))
    assert (found, error.outcome) == ([], "applied")


async def test_a_source_that_waits_for_outcomes_does_not_stop_the_batch(omium, local, tmp_path):
    Work(local, free=1000)
    requests = [attrs.evolve(each, key=f"n{n}") for n, each in enumerate(numbered(5))]
    await collect(omium.executions.run_many(requests[:2], journal=tmp_path / "j", **POLLS))
    taken = asyncio.Queue()

    async def one_by_one():
        for request in requests[2:]:
            yield request
            await taken.get()

    found = []
    async for outcome in omium.executions.run_many(one_by_one(), journal=tmp_path / "j", **POLLS):
        found.append(outcome)
        taken.put_nowait(None)
    assert states(found) == {("completed", False): 3}


async def test_a_journal_belongs_to_the_call_that_began_it(omium, local, tmp_path):
    Work(local, free=100)
    await collect(omium.executions.run_many(numbered(1), journal=tmp_path / "run", **POLLS))
    await collect(omium.executions.create_many(numbered(1), journal=tmp_path / "create"))
    with pytest.raises(JournalError, match="a batch of run_many, not of create_many"):
        await collect(omium.executions.create_many(numbered(1), journal=tmp_path / "run"))
    with pytest.raises(JournalError, match="a batch of create_many, not of run_many"):
        await collect(omium.executions.run_many(numbered(1), journal=tmp_path / "create"))
    with pytest.raises(JournalError, match="a batch of run_many, not of replay_many"):
        await collect(omium.executions.replay_many(journal=tmp_path / "run"))


async def test_a_refused_run_continues_when_the_account_works_again(omium, local, tmp_path):
    Work(local, free=100)
    local.inject(Fault(method="POST", path="/executions", status=402, body=b'{"detail": "no credits"}', times=None))
    found, error = await ended(omium.executions.run_many(numbered(20), journal=tmp_path / "j", **POLLS))
    assert {outcome.state for outcome in found} == {"rejected"}
    assert error.outcome == "not_applied"
    local.clear_faults()
    outcomes = await collect(omium.executions.run_many(numbered(20), journal=tmp_path / "j", **POLLS))
    assert states(outcomes) == {("completed", False): 20}
    assert await applied(omium) == dict.fromkeys(range(20), 1)


async def test_a_create_without_a_response_is_looked_up_and_waited_for(omium, local, tmp_path):
    Work(local, free=100)
    local.inject(Fault(method="POST", path="/executions", when="after", action="drop", times=3))
    outcomes = await collect(omium.executions.run_many(numbered(9), journal=tmp_path / "j", settle=0.1, **POLLS))
    assert states(outcomes) == {("completed", False): 9}
    assert await applied(omium) == dict.fromkeys(range(9), 1)


# -- typed workflows and sync code -------------------------------------------------------------------------------------


@attrs.frozen
class Number:
    number: int


@attrs.frozen
class Text:
    text: str


async def test_a_typed_workflow_gives_typed_outputs(omium, local):
    Work(local, free=100)
    work = omium.workflow("work", Number, Number)
    outcomes = await collect(work.run_many([Number(1), Number(2), Text("x")], **POLLS))
    assert {outcome.output for outcome in outcomes} == {Number(1), Number(2), None}
    assert states(outcomes) == {("completed", False): 2, ("rejected", False): 1}


async def test_an_output_of_another_type_is_failed(omium, local):
    Work(local, free=100)
    (outcome,) = await collect(omium.workflow("work", Number, Text).run_many([Number(1)], **POLLS))
    assert (outcome.state, outcome.output) == ("failed", None)
    assert outcome.execution.status == "completed"
    assert isinstance(outcome.error, OutputError)


def test_the_sync_facade_gives_a_plain_iterator():
    with SyncLocalOmium() as local:

        @local.workflow("work")
        async def work(_run, data: Number) -> Number:
            return data

        with Omium(local.api_key, base_url=local.url) as omium:
            requests = [ExecutionRequest("work", {"number": number}) for number in range(5)]
            outcomes = list(omium.executions.run_many(requests, max_running=2, **POLLS))
            assert states(outcomes) == {("completed", False): 5}
            typed = omium.workflow("work", Number, Number)
            assert sorted(outcome.output.number for outcome in typed.run_many([Number(1), Number(2)], **POLLS)) == [
                1,
                2,
            ]


def test_leaving_the_sync_iterator_cancels_with_cancel_on_exit():
    with SyncLocalOmium() as local:

        @local.workflow("work")
        async def work(_run, data: Number) -> None:
            if data.number:
                await asyncio.Event().wait()

        with Omium(local.api_key, base_url=local.url) as omium:
            requests = [ExecutionRequest("work", {"number": number}) for number in range(5)]
            outcomes = omium.executions.run_many(requests, max_running=2, cancel_on_exit=True, **POLLS)
            assert next(iter(outcomes)).state == "completed"
            outcomes.close()
            assert omium.executions.count(status="running") == 0


def test_ctrl_c_in_the_sync_iterator_says_what_continues():
    with SyncLocalOmium() as local:

        @local.workflow("work")
        async def work(_run) -> None:
            await asyncio.Event().wait()

        def interrupt() -> None:
            while local.counts.get("GET /executions/*", 0) < 2:  # the client has the id then
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

        with Omium(local.api_key, base_url=local.url) as omium, pytest.raises(KeyboardInterrupt) as raised:
            threading.Thread(target=interrupt).start()
            next(omium.executions.run_many(iter(numbered(1)), **POLLS))
        assert any(note.startswith("1 execution of run_many had not ended") for note in raised.value.__notes__)

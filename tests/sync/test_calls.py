"""Each call of the sync client with a local server."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sqlite3
import threading

import aiohttp
import pytest

from omium_async.local import LocalOmium as AsyncLocalOmium
from omium_sync import (
    APIConnectionError,
    ConfigurationError,
    ExecutionRequest,
    Fault,
    MissingExecutionsError,
    NotFoundError,
    Omium,
    PermissionDeniedError,
    WaitTimeoutError,
)
from omium_sync._portal import LoopThread


def test_the_life_of_an_execution(client, local):
    done = client.executions.run("double", 21, metadata={"by": "test"}, agent_id="me", poll_interval=0.01)
    assert (done.status, done.output_data, done.metadata["by"], done.agent_id) == ("completed", 42, "test", "me")
    assert client.executions.get(done.id).latest_checkpoint.name == "twice"
    failed = client.executions.create("fails once", idempotency_key="once")
    assert client.executions.create("fails once", idempotency_key="once").id == failed.id
    assert client.executions.wait(failed.id, poll_interval=0.01).status == "failed"
    local.repaired.append(True)
    replayed = client.executions.replay(failed.id, checkpoint_name="first")
    assert client.executions.wait(replayed.execution_id, poll_interval=0.01).output_data == "repaired"
    assert client.executions.rollback(done.id, checkpoint_name="twice").status
    assert [detail.status for detail in client.executions.watch(done.id)] == ["paused"]


def test_lists(client):
    outcomes = list(client.executions.create_many(ExecutionRequest("listed", number) for number in range(250)))
    ids = {outcome.execution.id for outcome in outcomes}
    assert len(ids) == client.executions.count(workflow_id="listed") == 250
    assert [row.id for row in client.executions.list(workflow_id="listed")] == [
        row.id for page in client.executions.pages(workflow_id="listed", page_size=30) for row in page
    ]
    assert {row.id for row in client.executions.list(workflow_id="listed", page_size=20, prefetch=0)} == ids
    assert len(list(client.executions.list(limit=7))) == 7
    page = client.executions.page(2, 100, workflow_id="listed")
    assert (len(page), page.page, page.total) == (100, 2, 250)


def test_many(client, local):
    created = [outcome.execution.id for outcome in client.executions.create_many([ExecutionRequest("double", 4)] * 20)]
    waited = list(client.executions.wait_many(created, poll_interval=0.01))
    assert sorted(detail.id for detail in waited) == sorted(created)
    assert {detail.output_data for detail in waited} == {8}
    with pytest.raises(MissingExecutionsError) as missing:
        list(client.executions.wait_many([created[0], "exec_unknown"], poll_interval=0.01))
    assert missing.value.missing == ("exec_unknown",)
    for outcome in list(client.executions.create_many([ExecutionRequest("fails once")] * 3)):
        client.executions.wait(outcome.execution.id, poll_interval=0.01)
    planned = list(client.executions.replay_many(workflow_id="fails once", dry_run=True))
    assert {outcome.state for outcome in planned} == {"planned"}
    local.repaired.append(True)
    replayed = list(client.executions.replay_many(workflow_id="fails once"))
    assert {outcome.state for outcome in replayed} == {"replayed"}


def test_a_batch_takes_its_requests_in_the_thread_of_the_caller(client):
    database = sqlite3.connect(":memory:")  # refuses every other thread
    database.execute("CREATE TABLE work (number)")
    database.executemany("INSERT INTO work VALUES (?)", [(number,) for number in range(300)])
    ahead, given = [], []

    def requests():
        for taken, (number,) in enumerate(database.execute("SELECT number FROM work"), 1):
            ahead.append(taken - len(given))
            if number % 100 == 0:
                client.executions.count()  # what is read may come from the same client
            yield ExecutionRequest("from a cursor", number)

    for outcome in client.executions.create_many(requests(), concurrency=3):
        given.append(outcome.request.input_data)  # noqa: PERF401 - read by `requests` meanwhile
    database.close()
    assert sorted(given) == list(range(300))
    assert max(ahead) <= 4 * 3 + 64
    assert threading.active_count() < 100  # none for each item


@pytest.mark.parametrize("closes", [True, False])
def test_a_generator_of_requests_is_closed_by_the_thread_that_leaves_the_batch(client, closes):
    closed = []

    def requests():
        try:
            while True:
                yield ExecutionRequest("left")
        finally:
            closed.append(threading.current_thread())

    outcomes = client.executions.create_many(requests(), concurrency=1)
    next(outcomes)
    if closes:
        outcomes.close()
    else:
        del outcomes  # as a `break` does
    assert closed == [threading.current_thread()]


def test_a_batch_from_an_async_iterable(client):
    async def requests():
        for number in range(30):
            yield ExecutionRequest("async", number)

    assert len({outcome.execution.id for outcome in client.executions.create_many(requests())}) == 30


def test_an_item_goes_out_while_the_next_is_long_in_coming(client, local):
    def requests():
        yield ExecutionRequest("first of all")
        while not client.executions.count(workflow_id="first of all"):
            pass
        yield ExecutionRequest("second")

    assert len(list(client.executions.create_many(requests()))) == 2


def test_what_the_requests_of_a_batch_raise(client):
    def requests():
        yield ExecutionRequest("w")
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        list(client.executions.create_many(requests()))
    assert client.executions.count(workflow_id="w") <= 1


def test_bad_arguments_raise_at_the_call(client):
    for call in (
        lambda: client.executions.list(page_size=0),
        lambda: client.executions.pages(prefetch=-1),
        lambda: client.executions.watch(""),
        lambda: client.executions.wait_many(["a", ".."]),
        lambda: client.executions.replay_many(checkpoint_name=""),
        lambda: client.executions.create_many([], concurrency=0),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (
        lambda: client.executions.create_many("text"),
        lambda: client.executions.create_many(None),
        lambda: client.executions.create_many([], requests=[]),
        lambda: client.executions.create_many([], concurrency="x"),
        lambda: client.executions.wait_many(1),
        lambda: client.with_options(base_url="http://x"),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ConfigurationError):
        client.with_options(timeout=0)


def test_errors_are_those_of_the_core(client, local):
    with pytest.raises(NotFoundError) as missing:
        client.executions.get("exec_unknown")
    assert missing.value.request_id
    assert str(pickle.loads(pickle.dumps(missing.value))) == str(missing.value)
    with pytest.raises(WaitTimeoutError):
        client.executions.run("nobody", timeout=0.05, poll_interval=0.01)
    local.inject(Fault(method="GET", path="/executions", action="garbage", times=1))
    assert client.with_options(max_retries=1).executions.count() >= 0


def test_copies_and_requests(client):
    attempts = []
    copy = client.with_options(timeout=5, on_attempt=attempts.append)
    assert copy.request("GET", "/executions", params={"page_size": 1}).status == 200
    assert len(attempts) == 1
    assert repr(copy) == repr(client)
    assert repr(client).startswith("<Omium http://127.0.0.1:")


def test_no_request_is_made_without_a_call(client, local):
    list(client.executions.create_many([ExecutionRequest("asked")] * 100))
    before = local.counts.get("GET /executions", 0)
    rows = client.executions.list(workflow_id="asked", page_size=20, prefetch=0)
    assert local.counts.get("GET /executions", 0) == before
    for _ in range(20):
        next(rows)
    assert local.counts["GET /executions"] == before + 1
    rows.close()


def test_a_client_and_its_methods_cannot_be_pickled(client):
    for given in (client, client.executions.get, client.checkpoints, client.executions.list()):
        with pytest.raises(TypeError, match="Omium cannot be pickled"):
            pickle.dumps(given)


async def test_a_session_of_ones_own_is_refused_at_its_use():
    async with aiohttp.ClientSession() as session:
        with (
            Omium("a-key-of-tests", session=session) as client,
            pytest.raises(RuntimeError, match="another event loop"),
        ):
            client.executions.get("a")


async def test_a_server_on_the_loop_that_a_call_blocks_is_reported_at_once():
    async with AsyncLocalOmium() as server:
        with Omium(server.api_key, base_url=server.url.replace("127.0.0.1", "localhost")) as client:
            for call in (client.executions.count, lambda: next(client.executions.list(), None)):
                with pytest.raises(RuntimeError, match="event loop of this"):
                    call()
            assert await asyncio.to_thread(client.executions.count) == 0
            assert server.counts == {"GET /executions": 1}
        elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")  # nothing serves the port at this address
        with Omium("a-key-of-tests", base_url=elsewhere, max_retries=0) as other, pytest.raises(APIConnectionError):
            other.executions.count()


def test_a_server_on_a_loop_that_does_not_run_meanwhile_is_reported_at_once():
    with asyncio.Runner() as runner:
        server = AsyncLocalOmium()
        runner.run(server.start())
        with Omium(server.api_key, base_url=server.url) as client:
            with pytest.raises(RuntimeError, match="event loop of this"):
                client.executions.count()
            runner.run(server.stop())
            with pytest.raises(APIConnectionError):  # it may be another's port by now
                client.with_options(max_retries=0).executions.count()


def test_a_server_whose_loop_runs_in_another_thread_by_now_is_called():
    runner = asyncio.Runner()
    server = AsyncLocalOmium()
    runner.run(server.start())
    done = asyncio.Event()
    thread = threading.Thread(target=runner.run, args=[done.wait()])
    thread.start()
    with Omium(server.api_key, base_url=server.url) as client:
        while not runner.get_loop().is_running():
            pass
        assert client.executions.count() == 0
    runner.get_loop().call_soon_threadsafe(done.set)
    thread.join()
    runner.run(server.stop())
    runner.close()


def test_closing_with_the_context_manager_of_the_standard_library(client):
    with contextlib.closing(client.executions.list()) as rows:
        next(rows, None)
    assert list(rows) == []


def test_on_created_is_called_in_the_callers_thread_before_the_wait(client, local):
    seen = []

    def on_created(execution):
        client.executions.get(execution.id)  # it may call the client itself
        seen.append((threading.current_thread(), execution.id))

    done = client.executions.run("double", 21, poll_interval=0.01, on_created=on_created)
    assert (done.output_data, seen) == (42, [(threading.current_thread(), done.id)])


@pytest.mark.parametrize("error", [LookupError("mine"), StopIteration("mine"), KeyboardInterrupt("mine")], ids=repr)
def test_an_exception_of_on_created_ends_the_run_with_a_note_of_the_execution(client, error):
    created = []

    def on_created(execution):
        created.append(execution.id)
        raise error

    with pytest.raises(type(error), match="mine") as raised:
        client.executions.run("double", 1, on_created=on_created)
    assert raised.value is error
    assert created[0] in "".join(raised.value.__notes__)


def test_an_on_created_that_is_no_plain_function_is_rejected_before_anything_is_sent(client, local):
    async def on_created(execution): ...

    before = local.counts.get("POST /executions", 0)
    for bad in (on_created, 1):
        with pytest.raises(TypeError, match="on_created"):
            client.executions.run("double", on_created=bad)
    assert local.counts.get("POST /executions", 0) == before


@pytest.mark.parametrize("kind", ["create", "start", "execute", "replay"])
def test_an_interrupt_just_after_the_end_of_a_call_has_a_note_of_the_execution(client, local, monkeypatch, kind):
    failed = client.executions.run("fails once", poll_interval=0.01)
    flow = client.with_options(poll_interval=(0.01, 0.05)).workflow("double")
    calls = {
        "create": lambda: client.executions.create("double", 2),
        "start": lambda: flow.start(2),
        "execute": lambda: flow.execute(2),
        "replay": lambda: client.executions.replay(failed.id),
    }
    wait = LoopThread.wait
    interrupts = [KeyboardInterrupt()]

    def interrupted(thread, *futures):
        wait(thread, *futures)
        if interrupts:
            raise interrupts.pop()

    monkeypatch.setattr(LoopThread, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        calls[kind]()
    newest = client.executions.page(1, 1).items[0].id
    assert (failed.id if kind == "replay" else newest) in "".join(raised.value.__notes__)


def test_a_client_closed_during_the_wait_of_a_run_names_the_execution(local):
    polls = []

    def close_after_a_poll(attempt):
        polls.append(attempt)
        if len(polls) == 2:
            threading.Timer(0.1, client.close).start()

    client = Omium(local.api_key, base_url=local.url, on_attempt=close_after_a_poll)
    created = []
    with pytest.raises(RuntimeError, match="closed") as raised:
        client.executions.run("waits", poll_interval=60, on_created=created.append)
    assert created[0].id in raised.value.__notes__[0]


def test_closing_the_client_lets_an_async_iterable_of_the_user_clean_up(local):
    cleaned = []

    async def requests():
        try:
            while True:
                yield ExecutionRequest("double", 1)
        finally:
            await asyncio.sleep(0)
            cleaned.append("all")

    with Omium(local.api_key, base_url=local.url) as client:
        kept = requests()
        next(client.executions.create_many(kept, concurrency=2))
    assert cleaned == ["all"]


@pytest.mark.parametrize("call", ["list", "create_many"])
def test_an_iterator_never_ends_early_because_its_client_is_closed(client, local, monkeypatch, call):
    client.executions.create("w")  # and this client keeps the loop
    with Omium(local.api_key, base_url=local.url) as other:
        rows = other.executions.list() if call == "list" else other.executions.create_many([ExecutionRequest("w")])
        connect = rows._dispatcher.connect

        def connect_too_late():
            thread = connect()
            if rows._thread is not None:
                other.close()
            return thread

        monkeypatch.setattr(rows._dispatcher, "connect", connect_too_late)
        with pytest.raises(RuntimeError, match="closed"):
            next(rows, None)


def test_rows_before_an_error_are_yielded_first(client, local):
    list(client.executions.create_many([ExecutionRequest("double", 1)] * 100))
    rows = client.executions.list(page_size=20)
    first = [next(rows)]
    local.inject(Fault(method="GET", path="/executions", status=403, times=100))
    with pytest.raises(PermissionDeniedError):
        first += rows
    local.clear_faults()
    assert len(first) >= 1
    assert list(rows) == []


def test_cancel_and_delete(client):
    waiting = client.executions.create("waits")
    assert client.executions.cancel(waiting.id).cancelled
    assert not client.executions.cancel(waiting.id).cancelled
    assert client.executions.delete(waiting.id) is None
    with pytest.raises(NotFoundError):
        client.executions.get(waiting.id)
    ids = [client.executions.create("waits").id for _ in range(3)]
    assert {outcome.state for outcome in client.executions.cancel_many(ids)} == {"cancelled"}
    run = client.workflow("waits").start()
    assert run.cancel().cancelled
    assert list(client.workflow("waits").cancel_many(limit=0)) == []


def test_checkpoints_and_workflows(client):
    done = client.executions.run("double", 2, poll_interval=0.01)
    (listed,) = client.checkpoints.list(done.id)
    assert client.checkpoints.get(listed.id).state["result"] == 4
    assert {each.id for each in client.workflows.list()} >= {"double", "fails once"}
    assert client.workflows.get("double").name == "double"

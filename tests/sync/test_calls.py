"""Each call of the facade against a server of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sqlite3
import subprocess
import sys
import threading

import aiohttp
import pytest

from omium_async.local import LocalOmium as AsyncLocalOmium
from omium_sync import (
    APIConnectionError,
    ConfigurationError,
    ExecutionRequest,
    MissingExecutionsError,
    NotFoundError,
    Omium,
    WaitTimeoutError,
)
from omium_sync._local import Fault


def test_the_life_of_an_execution(client, local):
    done = client.executions.run("double", 21, metadata={"by": "test"}, agent_id="me", poll_interval=0.01)
    assert (done.status, done.output_data, done.metadata["by"], done.agent_id) == ("completed", 42, "test", "me")
    assert client.executions.get(done.id).latest_checkpoint.name == "twice"
    failed = client.executions.create("fails once", idempotency_key="once")
    assert client.executions.create("fails once", idempotency_key="once").id == failed.id
    assert client.executions.wait(failed.id, poll_interval=0.01).status == "failed"
    local.mended.append(True)
    replayed = client.executions.replay(failed.id, checkpoint_name="first")
    assert client.executions.wait(replayed.execution_id, poll_interval=0.01).output_data == "mended"
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
    local.mended.clear()
    for outcome in list(client.executions.create_many([ExecutionRequest("fails once")] * 3)):
        client.executions.wait(outcome.execution.id, poll_interval=0.01)
    planned = list(client.executions.replay_many(workflow_id="fails once", dry_run=True))
    assert {outcome.state for outcome in planned} == {"planned"}
    local.mended.append(True)
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


def test_no_request_is_made_that_nobody_asked_for(client, local):
    list(client.executions.create_many([ExecutionRequest("asked")] * 100))
    before = local.counts.get("GET /executions", 0)
    rows = client.executions.list(workflow_id="asked", page_size=20, prefetch=0)
    assert local.counts.get("GET /executions", 0) == before
    for _ in range(20):
        next(rows)
    assert local.counts["GET /executions"] == before + 1
    rows.close()


def test_a_client_is_not_pickled(client):
    with pytest.raises(TypeError, match="Omium cannot be pickled"):
        pickle.dumps(client)


async def test_a_session_of_ones_own_is_refused_at_its_use():
    async with aiohttp.ClientSession() as session:
        with (
            Omium("a-key-of-tests", session=session) as client,
            pytest.raises(RuntimeError, match="another event loop"),
        ):
            client.executions.get("a")


async def test_a_server_on_the_loop_that_a_call_blocks_is_told_of_at_once():
    async with AsyncLocalOmium() as server:
        with Omium(server.api_key, base_url=server.url.replace("127.0.0.1", "localhost")) as client:
            for call in (client.executions.count, lambda: next(client.executions.list(), None)):
                with pytest.raises(RuntimeError, match="served by the event loop of this very thread"):
                    call()
            assert await asyncio.to_thread(client.executions.count) == 0
            assert server.counts == {"GET /executions": 1}


def test_a_server_on_a_loop_that_does_not_run_meanwhile_is_told_of_at_once():
    with asyncio.Runner() as runner:
        server = AsyncLocalOmium()
        runner.run(server.start())
        with Omium(server.api_key, base_url=server.url) as client:
            with pytest.raises(RuntimeError, match="served by the event loop of this very thread"):
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


def test_import_stays_small():
    program = """
import sys, omium_sync
heavy = {"aiohttp", "anyio", "sqlite3", "uvloop", "click", "rich", "omium_async.local", "omium_sync._local"}
print(sorted(heavy & set(sys.modules)))
assert "LocalOmium" in omium_sync.__all__
"""
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    out = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert out == "[]\n"

"""The journal of create_many: resumed items, look-ups, keys, and files that cannot be used."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from omium_async import (
    APIConnectionError,
    AsyncOmium,
    AuthenticationError,
    ExecutionRequest,
    Journal,
    JournalError,
    ServerError,
    UnprocessableEntityError,
)
from omium_async.local import Fault

from .conftest import applied, collect, ended, numbered, states

CREATE = {"method": "POST", "path": "/executions"}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "batch.journal"


async def test_a_second_start_sends_nothing(omium, local, path):
    first = await collect(omium.executions.create_many(numbered(100), journal=path))
    assert states(first) == {("created", False): 100}
    sent = local.counts["POST /executions"]
    second = await collect(omium.executions.create_many(numbered(100), journal=str(path)))
    assert states(second) == {("created", True): 100}
    assert local.counts["POST /executions"] == sent
    ids = {outcome.request.input_data["number"]: outcome.execution for outcome in first}
    for outcome in second:
        execution = ids[outcome.request.input_data["number"]]
        assert (outcome.execution.id, outcome.execution.workflow_id) == (execution.id, "work")
        assert outcome.execution.created_at == execution.created_at
        assert outcome.execution.status == "pending"


async def test_a_later_run_may_have_more_requests_or_fewer(omium, path):
    await collect(omium.executions.create_many(numbered(20), journal=path))
    more = await collect(omium.executions.create_many(numbered(30), journal=path))
    assert states(more) == {("created", True): 20, ("created", False): 10}
    fewer = await collect(omium.executions.create_many(numbered(5), journal=path))
    assert states(fewer) == {("created", True): 5}
    assert await applied(omium) == dict.fromkeys(range(30), 1)


async def test_final_refusals_come_back_and_others_are_sent_again(omium, local, path):
    quick = omium.with_options(backoff=(0, 0))
    local.inject(
        Fault(**CREATE, action="status", status=422, body=b'{"detail": "never"}', headers={"x-why": "because"})
    )
    local.inject(Fault(**CREATE, action="status", status=501))
    local.inject(Fault(**CREATE, action="status", status=403, body=b"<html>"))
    local.inject(Fault(**CREATE, action="status", status=429))
    first = await collect(quick.executions.create_many(numbered(6), concurrency=1, journal=path))
    assert states(first) == {("rejected", False): 3, ("created", False): 3}
    statuses = {outcome.error.status: outcome.request.input_data["number"] for outcome in first if outcome.error}
    assert set(statuses) == {422, 501, 403}
    again = await collect(omium.executions.create_many(numbered(6), concurrency=1, journal=path))
    by_number = {outcome.request.input_data["number"]: outcome for outcome in again}
    assert {number for number in range(6) if not by_number[number].resumed} == {statuses[501]}
    error = by_number[statuses[422]].error
    assert isinstance(error, UnprocessableEntityError)
    assert (error.status, error.message, error.body) == (422, "never", b'{"detail": "never"}')
    assert error.headers["x-why"] == "because"
    assert error.method == "POST"
    assert error.url.endswith("/executions")
    assert not error.outcome_unknown
    assert await applied(omium) == {number: 1 for number in range(6) if number not in {statuses[422], statuses[403]}}


async def test_items_of_a_refused_key_are_sent_again(omium, local, path):
    local.inject(Fault(**CREATE, action="status", status=401))
    with pytest.raises(AuthenticationError):
        await collect(omium.executions.create_many(numbered(1), journal=path))
    assert states(await collect(omium.executions.create_many(numbered(1), journal=path))) == {("created", False): 1}


async def test_items_that_waited_for_their_turn_when_the_batch_ended_are_sent_without_a_look_up(omium, local, path):
    local.inject(Fault(**CREATE, status=401))
    async with AsyncOmium(local.api_key, base_url=local.url, rate_limit=1, timeout=None) as slow:
        _, error = await ended(slow.executions.create_many(numbered(5), journal=path))
    assert isinstance(error, AuthenticationError)
    again = await collect(omium.executions.create_many(numbered(5), journal=path))
    assert states(again) == {("created", False): 5}
    assert "GET /executions" not in local.counts


async def test_the_error_that_ends_a_batch_counts_what_earlier_runs_sent(omium, local, path):
    def create(key: str):
        return omium.executions.create_many([ExecutionRequest("work", key=key)], journal=path)

    async def outcome_of_a_refused_run() -> str:
        local.inject(Fault(**CREATE, status=401))
        _, error = await ended(create("refused"))
        return error.outcome

    assert await outcome_of_a_refused_run() == "not_applied"
    await collect(create("created"))
    assert await outcome_of_a_refused_run() == "applied"
    local.inject(Fault(**CREATE, when="after", action="stall"))
    interrupted = asyncio.create_task(collect(create("interrupted")))
    while local.counts["POST /executions"] < 4:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    interrupted.cancel()
    await asyncio.wait([interrupted])
    assert await outcome_of_a_refused_run() == "unknown"


async def test_dropped_responses_are_looked_up_before_the_end(omium, local, path):
    for when in ("after", "before", "after", "before"):
        local.inject(Fault(**CREATE, when=when, action="drop"))
    started = time.monotonic()
    outcomes = await collect(omium.executions.create_many(numbered(50), journal=path, settle=0.5))
    assert time.monotonic() - started >= 0.5  # absent items were sent after `settle`
    assert states(outcomes) == {("created", False): 50}
    assert await applied(omium) == dict.fromkeys(range(50), 1)
    again = await collect(omium.executions.create_many(numbered(50), journal=path))
    assert {o.execution.id for o in again} == {o.execution.id for o in outcomes}


async def test_items_whose_look_up_is_not_answered_are_unknown_until_the_next_run(omium, local, path):
    local.inject(Fault(**CREATE, when="after", action="drop"))
    local.inject(Fault(method="GET", path="/executions", action="status", status=503, times=None))
    impatient = omium.with_options(max_retries=0, backoff=(0, 0), patience=0.3)
    outcomes = impatient.executions.create_many(numbered(3), concurrency=1, journal=path, settle=0.3)
    found, error = await ended(outcomes)
    assert isinstance(error, ServerError)
    assert found[-1].state == error.outcome == "unknown"
    local.clear_faults()
    again = await collect(omium.executions.create_many(numbered(3), journal=path, settle=0))
    assert {outcome.state for outcome in again} == {"created"}
    assert await applied(omium) == dict.fromkeys(range(3), 1)


async def test_an_item_that_an_earlier_run_created_is_adopted_at_once(omium, local, path):
    local.inject(Fault(**CREATE, when="after", action="stall"))
    interrupted = asyncio.create_task(collect(omium.executions.create_many(numbered(1), journal=path)))
    while not local.counts.get("POST /executions"):  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    interrupted.cancel()
    await asyncio.wait([interrupted])
    async with asyncio.timeout(30):
        again = await collect(omium.executions.create_many(numbered(1), journal=path, settle=600))
    assert states(again) == {("created", True): 1}
    assert await applied(omium) == {0: 1}


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_the_key_is_sent_in_metadata_and_header(omium, local, path):
    request = ExecutionRequest("work", {"number": 1}, metadata={"mine": 1}, key="order 17")
    (outcome,) = await collect(omium.executions.create_many([request], journal=path))
    detail = await omium.executions.get(outcome.execution.id)
    assert (detail.metadata["mine"], detail.metadata["omium_batch_key"]) == (1, "order 17")
    assert local.requests[-2].idempotency_key == "order 17"
    assert request.metadata == {"mine": 1}


async def test_key_field_names_the_key_in_the_metadata(omium, path):
    journal = Journal(path, key_field="batch")
    (outcome,) = await collect(omium.executions.create_many([ExecutionRequest("work", key="k")], journal=journal))
    assert (await omium.executions.get(outcome.execution.id)).metadata["batch"] == "k"
    with pytest.raises(JournalError, match="its key_field is 'batch'"):
        await collect(omium.executions.create_many([], journal=path))


async def test_metadata_under_the_name_of_the_key_rejects_the_item(omium, local, path):
    request = ExecutionRequest("work", metadata={"omium_batch_key": "mine"})
    (outcome,) = await collect(omium.executions.create_many([request], journal=path))
    assert outcome.state == "rejected"
    assert "key_field" in str(outcome.error)
    assert "POST /executions" not in local.counts


async def test_items_with_keys_may_come_in_another_order(omium, path):
    def requests(*numbers):
        return [ExecutionRequest("work", {"number": n}, key=f"n{n}") for n in numbers]

    await collect(omium.executions.create_many(requests(1, 2, 3), journal=path))
    again = await collect(omium.executions.create_many(requests(4, 3, 1, 5), journal=path))
    assert {o.request.key: o.resumed for o in again} == {"n4": False, "n3": True, "n1": True, "n5": False}
    assert await applied(omium) == dict.fromkeys(range(1, 6), 1)


@pytest.mark.parametrize("apart", [1, 200])
async def test_an_item_with_the_key_of_another_is_rejected(omium, path, apart):
    requests = [ExecutionRequest("work", {"number": n}, key=f"k{n}") for n in range(apart)]
    requests.append(ExecutionRequest("work", {"number": 0}, key="k0"))
    for _ in range(2):  # also when the first of them comes from the journal
        outcomes = await collect(omium.executions.create_many(requests, concurrency=4, journal=path))
        (rejected,) = [outcome for outcome in outcomes if outcome.state == "rejected"]
        assert isinstance(rejected.error, ValueError)
        assert f"items 0 and {apart} have the same key" in str(rejected.error)
    assert await applied(omium) == dict.fromkeys(range(apart), 1)


async def test_a_key_with_other_content_ends_the_batch(omium, path):
    await collect(omium.executions.create_many([ExecutionRequest("work", {"number": 1}, key="k")], journal=path))
    with pytest.raises(JournalError, match="belongs to another batch") as caught:
        await collect(omium.executions.create_many([ExecutionRequest("work", {"number": 2}, key="k")], journal=path))
    assert caught.value.outcome == "applied"  # by the earlier run


async def test_the_same_requests_in_another_journal_are_another_batch(omium, local, path):
    local.honor_idempotency = True
    await collect(omium.executions.create_many(numbered(5), journal=path))
    await collect(omium.executions.create_many(numbered(5), journal=path.with_name("tomorrow")))
    assert await applied(omium) == dict.fromkeys(range(5), 2)


# -- the file ----------------------------------------------------------------------------------------------------------


def execute(path, statement):
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


MISUSES = {
    "of another format": ("PRAGMA user_version = 99", "newer omium-async"),
    "with a foreign trigger": (
        "CREATE TRIGGER theirs AFTER INSERT ON runs BEGIN DELETE FROM outcomes; END",
        "not as omium-async made it",
    ),
    "with an answer that is cut off": ("UPDATE outcomes SET answer = '{'", "another program has changed it"),
    "with an answer of another type": ("UPDATE outcomes SET answer = 5", "another program has changed it"),
    "with a time that is text": ("UPDATE items SET sent_at = 'soon'", "another program has changed it"),
}


@pytest.mark.parametrize("change", MISUSES)
async def test_a_journal_that_was_changed_is_rejected_and_its_items_are_not_sent(omium, local, path, change):
    statement, message = MISUSES[change]
    await collect(omium.executions.create_many(numbered(3), journal=path))
    execute(path, statement)
    with pytest.raises(JournalError, match=message) as caught:
        await collect(omium.executions.create_many(numbered(3), journal=path))
    assert local.counts["POST /executions"] == 3
    assert caught.value.outcome in ("applied", "not_applied")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: execute(path, "CREATE TABLE theirs (x)"), "another program"),
        (lambda path: path.write_text("number,query\n" * 100), "not a SQLite database"),
        (lambda path: path.mkdir(), "not a file"),
    ],
)
async def test_a_path_that_is_no_journal_is_rejected_and_left_unchanged(omium, local, path, make, message):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(JournalError, match=message):
        await collect(omium.executions.create_many(numbered(3), journal=path))
    assert "POST /executions" not in local.counts
    assert before is None or path.read_bytes() == before


async def test_a_journal_of_another_kind_of_batch_is_rejected(omium, path):
    await collect(omium.executions.replay_many(journal=path))
    with pytest.raises(JournalError, match="belongs to a batch of"):
        await collect(omium.executions.create_many(numbered(3), journal=path))


async def test_a_journal_in_use_is_rejected_or_waited_for(omium, local, path):
    local.inject(Fault(**CREATE, action="delay", delay=0.01, times=None))
    outcomes = omium.executions.create_many(numbered(60), journal=path)
    await anext(outcomes)
    with pytest.raises(JournalError, match="in use"):
        await anext(omium.executions.create_many(numbered(3), journal=path))
    waiting = omium.executions.create_many(numbered(60), journal=Journal(path, wait=20))
    task = asyncio.create_task(collect(waiting))
    await asyncio.sleep(0.05)
    await collect(outcomes)
    assert states(await task) == {("created", True): 60}


async def test_only_the_owner_can_read_the_file(omium, path):
    path.touch(0o664)
    await collect(omium.executions.create_many(numbered(1), journal=path))
    assert path.stat().st_mode & 0o077 == 0
    assert not path.with_name(path.name + "-wal").exists()
    assert omium._caller.shared.settings.api_key.encode() not in path.read_bytes()


@pytest.mark.parametrize("full_after", [0, 50])
async def test_a_full_disk_ends_the_batch_and_a_later_run_continues(omium, path, limit_files, full_after):
    found = []
    wal = path.with_name(f"{path.name}-wal")
    if not full_after:
        limit_files(1000)
    with pytest.raises(JournalError, match="cannot be written"):
        async for outcome in omium.executions.create_many(numbered(300), concurrency=4, journal=path, settle=0.2):
            found.append(outcome)
            if len(found) == full_after:
                limit_files(wal.stat().st_size)
    limit_files(resource.RLIM_INFINITY)
    assert {outcome.request.input_data["number"] for outcome in found} == set(await applied(omium))
    assert full_after <= len(found) < 300
    outcomes = await collect(omium.executions.create_many(numbered(300), journal=path, settle=0.2))
    assert {outcome.state for outcome in outcomes} == {"created"}
    assert await applied(omium) == dict.fromkeys(range(300), 1)


async def test_the_outcome_of_a_full_disk_counts_the_writes_of_an_earlier_run(omium, path, limit_files):
    await collect(omium.executions.create_many(numbered(3), journal=path))
    later = omium.executions.create_many([ExecutionRequest("work", key="new"), *numbered(3)], journal=path)
    limit_files(path.stat().st_size)
    _, error = await ended(later)
    assert isinstance(error, JournalError)
    assert error.outcome == "applied"


async def test_a_service_that_is_down_at_the_start_applies_and_rejects_nothing(path, local):
    async with AsyncOmium("omium_some_key", base_url="http://127.0.0.1:9", patience=0.2, backoff=(0, 0)) as omium:
        found, error = await ended(omium.executions.create_many(numbered(3), journal=path))
    assert found == []
    assert isinstance(error, APIConnectionError)
    assert error.outcome == "not_applied"
    async with AsyncOmium(local.api_key, base_url=local.url) as omium:
        assert states(await collect(omium.executions.create_many(numbered(3), journal=path))) == {("created", False): 3}
    assert "GET /executions" not in local.counts


async def test_each_outcome_is_in_the_file_before_it_is_yielded(omium, path, tmp_path):
    copy = tmp_path / "copy"
    async for outcome in omium.executions.create_many(numbered(40), concurrency=4, journal=path):
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
        connection = sqlite3.connect(copy)
        query = "SELECT state, execution_id FROM outcomes WHERE id = ?"
        found = connection.execute(query, (outcome.request.input_data["number"],)).fetchone()
        connection.close()
        assert found == ("created", outcome.execution.id)

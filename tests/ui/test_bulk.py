"""Bulk replay: a dry run, then a replay of exactly the listed executions, with an outcome for each."""

from __future__ import annotations

import asyncio

import pytest

from omium_async import AsyncOmium
from omium_async.ui.bulk import CONCURRENCY

from .conftest import KEY, fields, ids, row, served


async def plan(page, query="", limit=100):
    """The path of a dry run that has begun."""
    form = fields(await page.get(f"/bulk{query}")) | {"limit": str(limit)}
    first, again = await page.post(f"/bulk{query}", form), await page.post(f"/bulk{query}", form)
    assert first.headers["Location"] == again.headers["Location"]
    return "/" + first.headers["Location"]


async def begin(page, count, query=""):
    """The path of a bulk replay of so many that was confirmed."""
    path = await plan(page, query)
    await page.wait_for(path, f"Replay {count} execution")
    assert (await page.post(path, {})).status == 303
    return path


async def sent(service, count):
    """Wait until the service has received so many writes."""
    async with asyncio.timeout(20):
        while len(service.writes) < count:
            service.written.clear()
            await service.written.wait()


async def test_a_dry_run_writes_nothing_and_lists_what_it_found(page, service):
    service.rows = [row(n, "failed" if n % 2 else "paused", error="boom") for n in range(20, 0, -1)]
    assert ids(await page.wait_for(await plan(page), "Replay 10 executions?")) == [
        f"exec_{n}" for n in range(19, 0, -2)
    ]
    assert ids(await page.wait_for(await plan(page, "?status=paused"), "Replay 10")) == [
        f"exec_{n}" for n in range(20, 0, -2)
    ]
    assert "Nothing to replay" in await page.wait_for(await plan(page, "?workflow_id=none"), "Nothing to replay")
    assert "will refuse those that are completed" in await page.get("/bulk?status=completed")
    assert service.writes == []


async def test_what_was_found_is_replayed_once(page, service):
    service.fill(10)
    path = await plan(page)
    await page.wait_for(path, "Replay 10 executions?")
    service.rows.insert(0, row(11, "failed"))  # after the dry run
    await asyncio.gather(*(page.post(path, {}) for _ in range(4)))
    text = await page.wait_for(path, "Done: 10 of 10 replayed")
    await page.post(path, {})
    await page.post(f"{path}/stop", {})  # too late
    assert "Done: 10 of 10 replayed" in await page.get(path)
    assert sorted(name for name, _ in service.writes) == sorted(f"exec_{n}/replay" for n in range(1, 11))
    assert text.count(">replayed</span>") == 10
    service.fill(1)
    service.replay_answer = {"replay_execution_id": "exec_2"}
    text = await page.wait_for(await begin(page, 1), "Done: 1 of 1 replayed")
    for name in ("exec_2", "exec_1"):
        assert f'href="../executions/{name}"' in text


async def test_two_bulk_replays_at_once_replay_each_execution_once(page, service):
    service.fill(3)
    paths = [await plan(page) for _ in range(2)]
    for path in paths:
        await page.wait_for(path, "Replay 3 executions?")
    service.held = asyncio.Event()
    await page.post(paths[0], {})
    await sent(service, 3)
    for each in service.rows:
        each["status"] = "failed"  # as a service shows that replays in a new execution
    late = await plan(page)
    text = await page.wait_for(late, "replaying 3 of these right now")
    assert text.count("being sent</span>") == 3
    single = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    writing = asyncio.create_task(page.post("/executions/exec_1/replay", single))
    await page.post(paths[1], {})
    await page.wait_for(paths[1], "Done: 0 of 3")
    service.held.set()
    await page.wait_for(paths[0], "Done: 3 of 3")
    assert (await writing).status == 409
    await page.post(late, {})
    assert "since the dry run" in await page.wait_for(late, "Done: 0 of 3")
    assert len(service.writes) == 3


@pytest.mark.parametrize(("trouble", "outcome"), [(409, "rejected"), ("drop", "unknown"), (401, "rejected")])
async def test_each_outcome_is_the_truth(page, service, trouble, outcome):
    service.fill(10)
    path = await plan(page)
    await page.wait_for(path, "Replay 10 executions?")
    service.write_trouble = trouble
    await page.post(path, {})
    text = await page.wait_for(path, f">{outcome}</span>")
    assert "<b>really" not in text
    assert len(service.writes) <= (10 if trouble == "drop" else 0)


async def test_an_outage_shows_and_is_waited_out(page, service):
    service.fill(10)
    path = await plan(page)
    await page.wait_for(path, "Replay 10 executions?")
    service.trouble = 503
    await page.post(path, {})
    await page.wait_for(path, "The rest waits for it")
    service.trouble = None
    assert "The rest waits" not in await page.wait_for(path, "Done: 10 of 10 replayed")


async def test_a_refused_key_hides_no_write_whose_outcome_is_unknown(service):
    service.fill(1)
    options = {"base_url": service.url, "max_retries": 1, "retry_ambiguous_writes": True, "backoff": (0.01, 0.02)}
    async with AsyncOmium(KEY, **options) as omium, served(omium) as page:
        path = await plan(page)
        await page.wait_for(path, "Replay 1 execution?")
        service.write_trouble = "drop"
        await page.post(path, {})
        await sent(service, 1)
        service.write_trouble = 401  # of the second attempt
        assert ">unknown</span>" in await page.wait_for(path, "Ended early: 0 of 1 replayed")


@pytest.mark.parametrize("is_closed", [False, True])
async def test_once_stopped_it_sends_no_more(page, service, is_closed, caplog):
    service.fill(60)
    held = service.held = asyncio.Event()
    path = await begin(page, 60)
    await sent(service, CONCURRENCY)
    if is_closed:
        asyncio.get_running_loop().call_later(0.1, held.set)
        await page.client.close()
        assert "of 60 executions: 16 were replayed, 0 rejected, 0 are unknown, 44 were not sent" in caplog.text
    else:
        await page.post(f"{path}/stop", {})
        assert "waiting for the outcomes" in await page.get(path)
        held.set()
        text = await page.wait_for(path, "Stopped: 16 of 60 replayed")
        assert text.count(">not sent</span>") == 60 - CONCURRENCY
    assert len(service.writes) == CONCURRENCY


async def test_rows_keep_their_places_and_failures_come_first_on_pages_of_a_hundred(page, service):
    service.fill(250)
    for each in service.rows[-2:]:
        each["checkpoints"] = []  # so the replay is rejected
    path = await plan(page, limit=500)
    await page.wait_for(path, "Replay 250 executions?")
    before = ids(await page.get(path))
    assert before == [f"exec_{n}" for n in range(250, 150, -1)]
    service.held = asyncio.Event()
    await page.post(path, {})
    await sent(service, CONCURRENCY)
    assert ids(await page.get(path)) == before
    service.held.set()
    await page.wait_for(path, "Done: 248 of 250 replayed")
    pages = [ids(await page.get(f"{path}?page={number}")) for number in (1, 2, 3)]
    assert pages[0] == ["exec_2", "exec_1", *before[:98]]
    assert [len(each) for each in pages] == [100, 100, 50]


async def test_old_bulk_replays_are_forgotten_when_they_take_too_much_memory(page, service, monkeypatch):
    monkeypatch.setattr("omium_async.ui.bulk._KEPT_BYTES", 100_000)
    service.fill(100)
    paths = []
    for _ in range(4):
        paths.append(await plan(page))
        await page.wait_for(paths[-1], "Replay 100 executions?")
    await page.get(paths[0], 404)
    await page.get(paths[-1])


async def test_invalid_filters_and_unknown_names(page, service):
    assert (await page.post("/bulk?since=soon", {})).status == 400
    assert (await page.post("/bulk", {"token": "x"})).status == 409
    for path in ("/bulk/none", "/bulk/none/stop"):
        assert (await page.post(path, {})).status == 404
    assert service.requests == []
    form = fields(await page.get("/bulk"))
    service.trouble = 401
    path = "/" + (await page.post("/bulk", form)).headers["Location"]
    assert "OMIUM_API_KEY" in await page.wait_for(path, "The dry run ended early")

"""Bulk replay: a dry run, then exactly what it found, with a verdict for each."""

from __future__ import annotations

import asyncio
import re

import pytest

from omium_async.ui.bulk import AT_ONCE

from .conftest import row
from .test_forms import asked, fields, post

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def failures(service):
    service.rows = [row(n, "failed" if n % 2 else "completed", error="boom") for n in range(20, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    return service


async def planned(page, query=""):
    """The address of a dry run that has ended."""
    form = fields(await asked(page, f"/bulk{query}"))
    answer = await post(page, f"/bulk{query}", form | {"limit": "100"})
    assert answer.status == 303
    again = await post(page, f"/bulk{query}", form | {"limit": "100"})
    assert again.headers["Location"] == answer.headers["Location"]
    return "/" + answer.headers["Location"]


async def shown(page, path, wanted):
    async with asyncio.timeout(20):
        while wanted not in (text := await asked(page, path)):  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    return text


def ids(text):
    return re.findall(r'id="row-(exec_\d+)"', text)


async def test_a_dry_run_writes_nothing_and_lists_what_it_found(page, failures):
    text = await shown(page, await planned(page), "Replay 10 executions?")
    assert ids(text) == [f"exec_{n}" for n in range(19, 0, -2)]
    assert failures.writes == []


async def test_what_was_found_is_replayed_once_and_gets_its_verdict(page, failures):
    path = await planned(page, "?workflow_id=report&metadata=")
    await shown(page, path, "Replay 10 executions?")
    failures.rows.insert(0, row(21, "failed"))  # after the dry run: nobody has seen it
    answers = await asyncio.gather(*(post(page, path, {}) for _ in range(4)))
    assert {answer.status for answer in answers} == {303}
    text = await shown(page, path, "Done: 10 of 10 replayed")
    await post(page, path, {})
    assert sorted(failures.writes) == sorted((f"exec_{n}/replay", {"checkpoint_id": "chk_1"}) for n in range(1, 20, 2))
    assert text.count(">replayed</span>") == 10


async def test_new_executions_are_linked_with_their_origins(page, failures):
    failures.rows = [row(1, "failed"), row(2)]
    failures.checkpoints("exec_1", "read")
    failures.replay_answer = {"replay_execution_id": "exec_2"}
    path = await planned(page)
    await shown(page, path, "Replay 1 execution?")
    await post(page, path, {})
    text = await shown(page, path, "Done: 1 of 1 replayed")
    for name in ("exec_2", "exec_1"):
        assert f'href="../executions/{name}"' in text
    assert re.findall(r'data-copy="([^"]*)"', text) == ["exec_2"]  # what stands before the button
    assert "Replay of" in await asked(page, "/executions/exec_2")


async def test_each_verdict_is_the_truth(page, failures):
    path = await planned(page)
    await shown(page, path, "Replay 10 executions?")
    failures.write_trouble = 409
    for number in (1, 3):
        failures.find(f"exec_{number}")["checkpoints"] = []
    await post(page, path, {})
    text = await shown(page, path, "Done: 0 of 10 replayed")
    assert text.count(">rejected</span>") == 10
    assert "it is refused, &lt;b&gt;really" in text
    assert failures.writes == []


async def test_a_dropped_answer_is_unknown(page, failures):
    path = await planned(page)
    await shown(page, path, "Replay 10 executions?")
    failures.write_trouble = "drop"
    await post(page, path, {})
    await shown(page, path, ">unknown</span>")


async def test_a_batch_that_is_refused_says_what_was_not_sent(page, failures):
    path = await planned(page)
    await shown(page, path, "Replay 10 executions?")
    failures.write_trouble = 401
    await post(page, path, {})
    text = await shown(page, path, "Ended early: 0 of 10 replayed")
    assert "It ended before all were sent" in text
    assert ">not sent</span>" in text


async def test_an_outage_meanwhile_is_told_and_sat_out(page, failures):
    path = await planned(page)
    await shown(page, path, "Replay 10 executions?")
    failures.trouble = 503
    await post(page, path, {})
    await shown(page, path, "What is left waits for it")
    failures.trouble = None
    assert "What is left" not in await shown(page, path, "Done: 10 of 10 replayed")
    assert len(failures.writes) == 10


async def test_once_stopped_it_begins_nothing_more(page, service):
    service.rows = [row(n, "failed") for n in range(60, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    service.held = asyncio.Event()
    await post(page, path, {})
    async with asyncio.timeout(20):
        while len(service.writes) < AT_ONCE:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    assert (await post(page, f"{path}/stop", {})).status == 303
    assert "are waited for" in await asked(page, path)
    service.held.set()
    text = await shown(page, path, "Stopped: 16 of 60 replayed")
    assert len(service.writes) == AT_ONCE
    assert text.count(">not sent</span>") == 60 - AT_ONCE


async def test_a_console_that_is_stopped_begins_nothing_more_and_logs_the_verdicts(page, service, caplog):
    service.rows = [row(n, "failed") for n in range(60, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    held = service.held = asyncio.Event()
    await post(page, path, {})
    async with asyncio.timeout(20):
        while len(service.writes) < AT_ONCE:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    asyncio.get_running_loop().call_later(0.3, held.set)  # while it closes
    await page.close()
    assert len(service.writes) == AT_ONCE
    assert "of 60 executions: 16 were replayed, 0 rejected, 0 are unknown, 44 have no verdict" in caplog.text


async def test_filters_decide_what_is_found(page, failures):
    failures.rows[0]["status"] = "paused"
    text = await shown(page, await planned(page, "?status=paused"), "Replay 1 execution?")
    assert ids(text) == ["exec_20"]
    assert "Nothing to replay" in await shown(page, await planned(page, "?workflow_id=none"), "Nothing to replay")
    assert "will refuse those that are completed" in await asked(page, "/bulk?status=completed")


async def test_a_service_away_ends_the_dry_run_in_words(page, failures):
    form = fields(await asked(page, "/bulk"))
    failures.trouble = 401
    answer = await post(page, "/bulk", form)
    assert "The dry run ended early" in await shown(page, "/" + answer.headers["Location"], "The dry run ended early")


async def test_bad_filters_and_unknown_names(page, failures):
    assert (await page.get("/bulk?since=soon")).status == 400
    assert (await post(page, "/bulk?since=soon", {})).status == 400
    assert (await post(page, "/bulk", {"token": "x"})).status == 409
    for path in ("/bulk/none", "/bulk/none/stop"):
        assert (await post(page, path, {})).status == 404
    assert failures.requests == []

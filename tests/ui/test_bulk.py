"""Bulk replay: a dry run, then exactly what it found, with a verdict for each."""

from __future__ import annotations

import asyncio
import re

import pytest

from omium_async import AsyncOmium
from omium_async import _endpoints as endpoints
from omium_async.ui import bulk
from omium_async.ui.bulk import AT_ONCE
from omium_async.ui.site import SITE

from .conftest import KEY, row, served
from .tab import Tab
from .test_forms import asked, fields, post

pytestmark = pytest.mark.timeout(60)

FATE = r'(replayed|rejected|unknown|not sent|no verdict yet)</span></td>.*?id="row-(exec_\d+)"'


@pytest.fixture
def failures(service):
    service.rows = [row(n, "failed" if n % 2 else "completed", error="boom") for n in range(20, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    return service


@pytest.fixture
def sixty(service):
    service.rows = [row(n, "failed") for n in range(60, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    return service


async def planned(page, query="", limit=100):
    """The address of a dry run that has ended."""
    form = fields(await asked(page, f"/bulk{query}"))
    answer = await post(page, f"/bulk{query}", form | {"limit": str(limit)})
    assert answer.status == 303
    again = await post(page, f"/bulk{query}", form | {"limit": str(limit)})
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
    await post(page, f"{path}/stop", {})  # too late
    assert "Done: 10 of 10 replayed" in await asked(page, path)
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


class AllButTheFirst:
    """Holds the answers to all writes but the first, which comes once so many were sent as are at once."""

    def __init__(self, service):
        self.service = service

    async def wait(self):
        first = len(self.service.writes) == 1
        while not first or len(self.service.writes) < AT_ONCE:
            self.service.written.clear()
            await self.service.written.wait()


async def test_what_was_under_way_when_the_console_itself_failed_is_unknown(page, sixty, monkeypatch, caplog):
    def fail(*_):
        raise LookupError("a <defect> of the console")

    monkeypatch.setattr(page.server.app[SITE].bulks, "_replayed", fail)
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    sixty.held = AllButTheFirst(sixty)
    await post(page, path, {})
    text = await shown(page, path, "Ended early: 1 of 60 replayed")
    assert "a &lt;defect&gt; of the console" in text
    assert "a <defect> of the console" in caplog.text
    begun = {name.partition("/")[0] for name, _ in sixty.writes}
    assert len(begun) == AT_ONCE
    assert set(ids(text)[: AT_ONCE - 1]) < begun  # which stand first
    assert text.count(">unknown</span>") == text.count("it may have been replayed") == AT_ONCE - 1
    assert text.count(">not sent</span>") == 60 - AT_ONCE
    assert re.search(rf"<strong>{AT_ONCE - 1}</strong> unknown", text)
    assert f"<strong>{60 - AT_ONCE}</strong> not sent" in text


async def test_after_a_defect_of_the_client_nothing_that_was_written_is_called_not_sent(page, sixty, monkeypatch):
    real = endpoints.replay

    def replay(caller, execution_id, *more):
        if execution_id == "exec_50":
            raise TypeError("a defect of the client")
        return real(caller, execution_id, *more)

    monkeypatch.setattr(endpoints, "replay", replay)
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    await post(page, path, {})
    text = await shown(page, path, "Ended early")
    fates = {name: fate for fate, name in re.findall(FATE, text, re.DOTALL)}
    assert len(fates) == 60
    assert fates["exec_50"] == "unknown"
    assert {fates[name.partition("/")[0]] for name, _ in sixty.writes} <= {"replayed", "unknown"}
    assert list(fates.values()).count("unknown") <= AT_ONCE
    assert fates["exec_1"] == "not sent"


async def test_a_refused_key_hides_no_write_of_which_nobody_knows(service, monkeypatch):
    """Where the client sends writes again, a refusal may come after an attempt whose answer was lost."""
    service.rows = [row(1, "failed")]
    service.checkpoints("exec_1", "read")
    options = {"base_url": service.url, "max_retries": 1, "retry_ambiguous_writes": True, "backoff": (0.01, 0.02)}
    async with AsyncOmium(KEY, **options) as omium, served(omium) as page:
        path = await planned(page)
        await shown(page, path, "Replay 1 execution?")
        service.write_trouble = "drop"
        await post(page, path, {})
        async with asyncio.timeout(20):
            await service.written.wait()
        service.write_trouble = 401
        text = await shown(page, path, "Ended early: 0 of 1 replayed")
    assert text.count(">unknown</span>") == 1


async def test_a_dry_run_that_a_defect_ended_says_so_and_what_it_found_can_be_replayed(page, failures, monkeypatch):
    moves = page.server.app[SITE].moves
    real = moves.sent

    def sent(execution_id):
        if execution_id == "exec_17":
            raise LookupError("a defect")
        return real(execution_id)

    monkeypatch.setattr(moves, "sent", sent)
    path = await planned(page)
    text = await shown(page, path, "The dry run ended early")
    assert ids(text) == ["exec_19"]
    await post(page, path, {})
    assert "ended early" not in await shown(page, path, "Done: 1 of 1 replayed")


async def test_once_stopped_it_begins_nothing_more(page, sixty):
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    sixty.held = asyncio.Event()
    await post(page, path, {})
    async with asyncio.timeout(20):
        while len(sixty.writes) < AT_ONCE:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    assert (await post(page, f"{path}/stop", {})).status == 303
    assert "are waited for" in await asked(page, path)
    sixty.held.set()
    text = await shown(page, path, "Stopped: 16 of 60 replayed")
    assert len(sixty.writes) == AT_ONCE
    assert text.count(">not sent</span>") == 60 - AT_ONCE


async def test_a_console_that_is_stopped_begins_nothing_more_and_logs_the_verdicts(page, sixty, caplog):
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    held = sixty.held = asyncio.Event()
    await post(page, path, {})
    async with asyncio.timeout(20):
        while len(sixty.writes) < AT_ONCE:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    asyncio.get_running_loop().call_later(0.3, held.set)  # while it closes
    await page.close()
    assert len(sixty.writes) == AT_ONCE
    assert "of 60 executions: 16 were replayed, 0 rejected, 0 are unknown, 44 were not sent" in caplog.text


async def test_rows_keep_their_places_while_verdicts_come(page, sixty):
    answered, wait = asyncio.Event(), asyncio.Event()

    class AllButOne:
        async def wait(self):
            if sixty.writes[-1][0] == "exec_55/replay":  # the one that asks
                answered.set()
            else:
                await wait.wait()

    path = await planned(page)
    places = ids(await shown(page, path, "Replay 60 executions?"))
    sixty.held = AllButOne()
    await post(page, path, {})
    text = await shown(page, path, "Replaying 1 of 60")
    assert answered.is_set()
    assert ids(text) == places
    assert re.findall(FATE, text, re.DOTALL)[5] == ("replayed", "exec_55")
    wait.set()
    await shown(page, path, "Done: 60 of 60")


async def test_a_look_gets_a_page_of_verdicts_and_every_verdict_stands_on_one(page, service):
    service.rows = [row(n, "failed") for n in range(250, 0, -1)]
    for each in service.rows[:-2]:
        service.checkpoints(each["id"], "read")  # without one it is rejected
    path = await planned(page, limit=500)
    await shown(page, path, "Replay 250 executions?")
    tab = Tab(page, 1, path)
    await tab.open()
    assert ids(tab.texts["bulk_items"]) == [f"exec_{n}" for n in range(250, 150, -1)]
    service.held = asyncio.Event()
    await post(page, path, {})
    await tab.look_until("Replaying 0 of 250", "bulk_state")
    rows, links = ids(tab.texts["bulk_items"]), tab.texts["bulk_pages"]
    assert re.findall(r'href="([^"]*)"', links) == [f"../{path[1:]}?page=2"]
    service.held.set()
    await tab.look_until("Done: 248 of 250 replayed", "bulk_state")
    assert ids(tab.texts["bulk_items"]) == ["exec_2", "exec_1", *rows[:98]]  # all others keep their places
    pages = [await asked(page, f"{path}?page={number}") for number in (1, 2, 3)]
    assert [len(ids(text)) for text in pages] == [100, 100, 50]
    fates = {name: fate for text in pages for fate, name in re.findall(FATE, text, re.DOTALL)}
    assert fates == {f"exec_{n}": "rejected" if n < 3 else "replayed" for n in range(1, 251)}
    for beyond in ("4", "99999999999", "-1", "x"):
        assert len(ids(await asked(page, f"{path}?page={beyond}"))) in (50, 100)


async def test_what_a_stopped_console_cuts_off_is_logged_as_unknown(page, sixty, monkeypatch, caplog):
    monkeypatch.setattr(bulk, "_LAST_VERDICTS", 0.01)
    path = await planned(page)
    await shown(page, path, "Replay 60 executions?")
    sixty.held = asyncio.Event()  # which is never set
    await post(page, path, {})
    async with asyncio.timeout(20):
        while len(sixty.writes) < AT_ONCE:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)
    await page.close()
    assert "0 were replayed, 0 rejected, 16 are unknown, 44 were not sent" in caplog.text


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

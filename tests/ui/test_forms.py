"""Forms that write: the first press asks, the second writes once, and the page says the outcome."""

from __future__ import annotations

import asyncio
import html
import re

import pytest
from yarl import URL

from omium_async import WriteOutcome
from omium_async.ui.writes import Forms, Result

from .conftest import fields, row

ACTIONS = {
    "replay": ("exec_1/replay", {"checkpoint_id": "chk_2"}),
    "rollback": ("exec_1/rollback", {"checkpoint_id": "chk_2"}),
    "cancel": ("exec_1/status", {"status": "cancelled"}),
}


@pytest.fixture
def paused(service):
    service.rows = [row(1, "paused", error="boom")]
    service.checkpoints("exec_1", "read", "count", "send")
    return service


@pytest.mark.parametrize("action", ACTIONS)
async def test_the_first_press_writes_nothing_and_the_second_writes_once(page, paused, action):
    path = f"/executions/exec_1/{action}"
    text = await page.get(f"{path}?checkpoint=chk_2")
    assert re.findall(r"<li>(\w+)</li>", text) == ([] if action == "cancel" else ["send"])
    assert paused.writes == []
    answers = await asyncio.gather(*(page.post(path, fields(text)) for _ in range(5)))
    answers.append(await page.post(path, fields(text)))
    assert {answer.status for answer in answers} == {303}
    assert paused.writes == [ACTIONS[action]]
    other = await page.post("/executions/exec_2/rollback", fields(text))  # the same form, for something else
    assert (other.status, len(paused.writes)) == (409, 1)
    target = answers[0].headers["Location"]
    assert target.startswith("../exec_1?done=")
    result = "It was cancelled" if action == "cancel" else f"{action} taken"
    assert result in await page.get(f"/executions/{target[3:]}")


async def test_only_what_has_not_ended_can_be_cancelled(page, service):
    for status, is_offered in (("running", True), ("pending", True), ("failed", False)):
        service.rows = [row(1, status)]
        assert ('id="cancel"' in await page.get("/executions/exec_1")) == is_offered
        text = await page.get("/executions/exec_1/cancel", 200 if is_offered else 409)
        assert ("Nothing was written" in text) != is_offered


async def test_a_replay_keeps_the_earlier_error_in_sight(page, paused):
    form = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    await page.post("/executions/exec_1/replay", form)
    paused.rows[0].update(status="completed", error=None, started_at="2026-01-01T12:00:01Z")
    paused.rows[0].update(completed_at="2100-01-01T12:00:09Z")
    text = await page.get("/executions/exec_1")
    assert re.search(r"Earlier error.*?paused before.*?<pre[^>]*>boom</pre>", text, re.DOTALL)
    assert "since its replay" in text


async def test_a_replay_that_makes_a_new_execution_leads_to_it(page, paused):
    paused.rows.insert(0, row(2, "running"))
    paused.replay_answer = {"replay_execution_id": "exec_2"}
    form = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    target = (await page.post("/executions/exec_1/replay", form)).headers["Location"]
    text = await page.get("/executions/" + target.removeprefix("../"))
    assert 'it is a replay of <a href="../executions/exec_1">' in text
    assert "replay taken" not in await page.get(f"/executions/exec_none?{target.partition('?')[2]}", 404)


@pytest.mark.parametrize("name", ["../../evil", "//evil.example/", "a\r\nSet-Cookie: x=y"])
async def test_a_service_that_names_another_place_for_a_replay_leads_nowhere_else(page, paused, name):
    paused.replay_answer = {"replay_execution_id": name}
    form = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    answer = await page.post("/executions/exec_1/replay", form)
    target = answer.url.join(URL(answer.headers["Location"], encoded=True))
    assert (target.origin(), target.raw_path.rpartition("/")[0]) == (answer.url.origin(), "/executions")
    assert "Set-Cookie" not in answer.headers


async def test_what_changed_since_the_first_press_is_asked_again(page, paused):
    path = "/executions/exec_1/rollback"
    form = fields(await page.get(f"{path}?checkpoint=chk_2"))
    paused.rows[0]["checkpoints"].append({"id": "chk_4", "name": "archive", "created_at": "2026-01-01T12:00:09Z"})
    answer = await page.post(path, form)
    text = await answer.text()
    assert (answer.status, "changed since you looked" in text, "<li>archive</li>" in text) == (409, True, True)
    assert paused.writes == []
    assert (await page.post(path, fields(text))).status == 303
    form = fields(await page.get(f"{path}?checkpoint=chk_2"))
    paused.rows[0]["checkpoints"].clear()
    assert "The checkpoint is gone" in await (await page.post(path, form)).text()
    assert len(paused.writes) == 1


async def test_two_pages_do_not_both_replay_an_execution_that_the_service_shows_unchanged(page, paused):
    paused.replay_answer = {"replay_execution_id": "exec_2"}
    paths = ["/executions/exec_1/replay"] * 3
    forms = [fields(await page.get(f"{path}?checkpoint=chk_1")) for path in paths]
    paused.held = asyncio.Event()
    sending = [asyncio.create_task(page.post(path, form)) for path, form in zip(paths, forms, strict=True)]
    await paused.written.wait()
    assert "writing to it right now" in await page.get("/executions/exec_1/replay?checkpoint=chk_1")
    paused.rows[0]["status"] = "paused"
    paused.held.set()
    assert sorted([(await each).status for each in sending]) == [303, 409, 409]
    assert len(paused.writes) == 1


@pytest.mark.parametrize(
    ("trouble", "status", "outcome"),
    [(409, 409, "not_applied"), ("drop", 502, "unknown"), (500, 502, "unknown")],
)
async def test_the_page_says_the_outcome_also_if_the_form_is_sent_again(page, paused, trouble, status, outcome):
    form = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    for paused.write_trouble in (trouble, None):
        answer = await page.post("/executions/exec_1/replay", form)
        text = await answer.text()
        assert (answer.status, f'data-outcome="{outcome}"' in text) == (status, True)
        assert "<b>really" not in text
    assert len(paused.writes) == (1 if trouble == "drop" else 0)


async def test_a_form_that_this_console_did_not_make_is_not_sent(page, paused):
    form = fields(await page.get("/executions/exec_1/replay?checkpoint=chk_1"))
    for token in ("", "a.1.b", "ü.1.x"):
        answer = await page.post("/executions/exec_1/replay", form | {"token": token})
        assert (answer.status, "too old" in await answer.text()) == (409, True)
        assert (await page.post("/new", {"workflow_id": "report", "token": token})).status == 409
    assert paused.writes == []


async def test_a_create_sends_the_value_that_was_typed(page, service):
    form = fields(await page.get("/new"))
    form |= {"workflow_id": " report ", "input_data": f'{{"n": {10**30}, "x": [1.5, "<b>"]}}', "metadata": '{"a": "b"}'}
    first, again = await page.post("/new", form), await page.post("/new", form)
    assert (first.status, first.headers["Location"]) == (again.status, again.headers["Location"])
    data = {"workflow_id": "report", "input_data": {"n": 10**30, "x": [1.5, "<b>"]}, "metadata": {"a": "b"}}
    assert service.writes == [("", data)]
    assert "was created" in await page.get("/" + first.headers["Location"])
    answer = await page.post("/new", form | {"workflow_id": "other"})
    assert (answer.status, "other values" in await answer.text()) == (409, True)
    assert len(service.writes) == 1


INVALID = {
    "input_data": ["{", "NaN", "0.30000000000000004441", '{"a": 1, "a": 2}'],
    "metadata": ["[]"],
    "workflow_id": ["  "],
}


@pytest.mark.parametrize("field", INVALID)
async def test_an_invalid_create_is_rejected_and_keeps_its_content(page, service, field):
    form = fields(await page.get("/new")) | {"workflow_id": "report", "metadata": "{}", "agent_id": "me"}
    for text in INVALID[field]:
        answer = await page.post("/new", form | {field: text})
        shown = html.unescape(await answer.text())
        assert answer.status == 422
        assert f'id="problem-{field}"' in shown
        assert text in shown
        assert 'value="me"' in shown
    assert service.requests == []


@pytest.mark.parametrize(("trouble", "status", "outcome"), [(422, 422, "not_applied"), ("drop", 502, "unknown")])
async def test_a_create_that_failed_can_be_corrected(page, service, trouble, status, outcome):
    form = fields(await page.get("/new")) | {"workflow_id": "report", "input_data": '{"a": 1}'}
    for service.write_trouble in (trouble, None):
        answer = await page.post("/new", form)
        text = await answer.text()
        assert (answer.status, f'data-outcome="{outcome}"' in text) == (status, True)
        assert '{"a": 1}' in html.unescape(text)
    corrected = fields(text) | {"workflow_id": "report", "input_data": '{"a": 2}'}
    assert (await page.post("/new", corrected)).status == 303


async def test_a_write_continues_if_the_browser_does_not_wait():
    forms, may_end, calls = Forms(), asyncio.Event(), []

    async def write(key):
        calls.append(key)
        await may_end.wait()
        return Result(WriteOutcome.APPLIED, "x" * 5_000)

    token = forms.token()
    sending = asyncio.create_task(forms.send(token, 1, write))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sending.cancel()
    may_end.set()
    result = await forms.send(token, 1, write)
    assert (len(calls), len(result.message)) == (1, 2_000)
    assert forms.result(forms.receipt(token)) == result

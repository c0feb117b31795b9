"""What writes: asked first, done once, told truthfully."""

from __future__ import annotations

import asyncio
import html
import io
import re
from urllib.parse import urlencode

import pytest

from omium_async.ui.site import SITE

from .conftest import row

pytestmark = pytest.mark.timeout(60)


def fields(text):
    """The hidden fields of the form that posts."""
    form = re.search(r'<form method="post".*?</form>', text, re.DOTALL)
    assert form is not None, text
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])}


async def post(page, path, data, **more):
    body = io.BytesIO(urlencode(data).encode())
    headers = {"Origin": f"http://{page.host}:{page.port}", "Content-Type": "application/x-www-form-urlencoded"}
    return await page.post(path, data=body, headers=headers, allow_redirects=False, **more)


async def asked(page, path):
    answer = await page.get(path)
    assert answer.status == 200, await answer.text()
    return await answer.text()


@pytest.fixture
def failed(service):
    service.rows = [row(1, "failed")]
    service.checkpoints("exec_1", "read", "count", "send")
    return service


async def test_the_first_press_writes_nothing_and_names_what_runs_again(page, failed):
    text = await asked(page, "/executions/exec_1/replay?checkpoint=chk_1")
    listed = re.search(r"<ol.*?</ol>", text, re.DOTALL)
    assert re.findall(r"<li>(\w+)</li>", listed[0]) == ["count", "send"]
    text = await asked(page, "/executions/exec_1/rollback?checkpoint=chk_2")
    assert "discarded" in text
    assert "<li>send</li>" in text
    assert failed.writes == []


@pytest.mark.parametrize("action", ["replay", "rollback"])
async def test_the_second_press_does_it_once_however_often_it_is_sent(page, failed, action):
    form = fields(await asked(page, f"/executions/exec_1/{action}?checkpoint=chk_2"))
    path = f"/executions/exec_1/{action}"
    answers = await asyncio.gather(*(post(page, path, form) for _ in range(5)))
    answers.append(await post(page, path, form))
    assert {answer.status for answer in answers} == {303}
    assert failed.writes == [(f"exec_1/{action}", {"checkpoint_id": "chk_2"})]
    target = answers[0].headers["Location"]
    assert target.startswith("../exec_1?done=")
    told = await asked(page, f"/executions/{target[3:]}")
    assert f"{action} taken" in told


async def test_after_a_replay_that_makes_a_new_execution_the_page_leads_to_it(page, failed):
    failed.rows.insert(0, row(2, "running"))
    failed.replay_answer = {"replay_execution_id": "exec_2"}
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
    answer = await post(page, "/executions/exec_1/replay", form)
    assert answer.headers["Location"].startswith("../exec_2?done=")
    text = await asked(page, "/executions/" + answer.headers["Location"][3:])
    assert "You are looking at the new execution" in text
    assert "Replay of" in text
    assert "Replayed as" in await asked(page, "/executions/exec_1")


async def test_a_checkpoint_gone_meanwhile_is_no_write(page, failed):
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_3"))
    failed.rows[0]["checkpoints"].pop()
    for _ in range(2):
        answer = await post(page, "/executions/exec_1/replay", form)
        assert answer.status == 409
        assert "The checkpoint is gone" in await answer.text()
    assert failed.writes == []
    assert (await page.get("/executions/exec_1/replay?checkpoint=chk_3")).status == 404
    assert (await page.get("/executions/exec_1/replay")).status == 404


async def test_what_would_do_something_else_by_now_is_asked_again(page, failed):
    form = fields(await asked(page, "/executions/exec_1/rollback?checkpoint=chk_2"))
    failed.rows[0]["checkpoints"].append({"id": "chk_4", "name": "archive", "created_at": "2026-01-01T12:00:09Z"})
    answer = await post(page, "/executions/exec_1/rollback", form)
    text = await answer.text()
    assert answer.status == 409
    assert "It changed since you looked" in text
    assert "<li>archive</li>" in text
    assert failed.writes == []
    assert (await post(page, "/executions/exec_1/rollback", fields(text))).status == 303
    assert len(failed.writes) == 1


@pytest.mark.parametrize(
    ("trouble", "status", "outcome"),
    [(409, 409, "not_applied"), (422, 409, "not_applied"), ("drop", 502, "unknown"), (500, 502, "unknown")],
)
async def test_the_verdict_is_the_truth_also_when_it_is_sent_again(page, failed, trouble, status, outcome):
    failed.write_trouble = trouble
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
    for _ in range(2):
        answer = await post(page, "/executions/exec_1/replay", form)
        text = await answer.text()
        assert (answer.status, f'data-outcome="{outcome}"' in text) == (status, True)
        assert "<b>really" not in text
        failed.write_trouble = None  # it is not sent again
    assert len(failed.writes) == (1 if trouble == "drop" else 0)


@pytest.mark.parametrize("token", ["", "x", "a.1.b", "ü.1.x"])
async def test_a_form_that_the_console_did_not_make_is_not_sent(page, failed, token):
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1")) | {"token": token}
    answer = await post(page, "/executions/exec_1/replay", form)
    assert answer.status == 409
    assert "too old" in await answer.text()
    assert (await post(page, "/new", {"workflow_id": "report", "token": token})).status == 409
    assert failed.writes == []


async def test_a_form_of_before_a_restart_is_not_sent(page, failed):
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
    page.server.app[SITE].once._secret = b"of another process"
    assert (await post(page, "/executions/exec_1/replay", form)).status == 409
    assert failed.writes == []


async def test_a_create_is_sent_as_the_value_that_was_typed(page, service):
    form = fields(await asked(page, "/new"))
    form |= {
        "workflow_id": " report ",
        "input_data": '{"n": 123456789012345678901234567890, "x": [1.5, "<b>"]}',
        "metadata": '{"user": "ada"}',
    }
    first, again = await post(page, "/new", form), await post(page, "/new", form)
    assert first.status == again.status == 303
    assert first.headers["Location"] == again.headers["Location"]
    assert service.writes == [
        (
            "",
            {
                "workflow_id": "report",
                "input_data": {"n": 123456789012345678901234567890, "x": [1.5, "<b>"]},
                "metadata": {"user": "ada"},
            },
        )
    ]
    assert "It was created" in await asked(page, "/" + first.headers["Location"])


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("input_data", "{"),
        ("input_data", "NaN"),
        ("input_data", "0.30000000000000004441"),
        ("metadata", "[]"),
        ("metadata", "{'a': 1}"),
        ("input_data", '{"a": 1, "a": 2}'),
        ("workflow_id", "  "),
    ],
)
async def test_a_create_that_cannot_be_sent_as_it_stands_is_kept(page, service, field, text):
    form = fields(await asked(page, "/new")) | {
        "workflow_id": "report",
        "input_data": "[1]",
        "metadata": "{}",
        "agent_id": "me",
    }
    answer = await post(page, "/new", form | {field: text})
    shown = html.unescape(await answer.text())
    assert answer.status == 422
    assert f'id="problem-{field}"' in shown
    assert text in shown
    assert 'value="me"' in shown
    assert service.requests == []


@pytest.mark.parametrize(
    ("trouble", "status", "outcome"), [(422, 422, "not_applied"), (401, 422, "not_applied"), ("drop", 502, "unknown")]
)
async def test_a_create_that_is_refused_is_kept_and_can_be_mended(page, service, trouble, status, outcome):
    service.write_trouble = trouble
    form = fields(await asked(page, "/new")) | {"workflow_id": "report", "input_data": '{"a": 1}'}
    for _ in range(2):
        answer = await post(page, "/new", form)
        text = await answer.text()
        assert (answer.status, f'data-outcome="{outcome}"' in text) == (status, True)
        assert '{"a": 1}' in html.unescape(text)
        service.write_trouble = None
    mended = fields(text) | {"workflow_id": "report", "input_data": '{"a": 2}'}
    assert mended["token"] != form["token"]
    assert (await post(page, "/new", mended)).status == 303
    assert len(service.writes) == (2 if trouble == "drop" else 1)


async def test_a_form_sent_again_with_other_values_is_not_taken_for_sent(page, service):
    form = fields(await asked(page, "/new")) | {"workflow_id": "report"}
    await post(page, "/new", form)
    answer = await post(page, "/new", form | {"workflow_id": "other"})
    text = await answer.text()
    assert answer.status == 409
    assert "other values" in text
    assert 'value="other"' in text
    assert len(service.writes) == 1


async def test_a_write_goes_on_when_the_browser_does_not_wait(page, service):
    service.write_trouble = "stall"
    form = fields(await asked(page, "/new")) | {"workflow_id": "report"}
    sending = asyncio.create_task(post(page, "/new", form))
    await service.written.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    waiting = asyncio.create_task(post(page, "/new", form))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    assert len(service.writes) == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_form_of_some_megabytes_is_taken(page, service):
    form = fields(await asked(page, "/new")) | {"workflow_id": "report", "input_data": '"' + "x" * 3_000_000 + '"'}
    assert (await post(page, "/new", form)).status == 303
    assert len(service.writes[0][1]["input_data"]) == 3_000_000


async def test_a_form_is_filled_with_what_another_was_created_with(page, service):
    service.rows = [row(1, metadata={"user": "ada"}, input_data={"n": 10**30})]
    text = html.unescape(await asked(page, "/new?like=exec_1"))
    assert f'"n": {10**30}' in text
    assert '"user": "ada"' in text
    assert "could not be filled" in await asked(page, "/new?like=exec_none")

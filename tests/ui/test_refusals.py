"""Each refusal of the service, on each page and action of the console: what it means, and what to do."""

from __future__ import annotations

import html
import re

import pytest

from .conftest import Refusal, fields

KEY_REFUSED = ("The service refuses the console&#39;s key", "Set OMIUM_API_KEY")
NO_CREDITS = ("The account is out of credits", "Top up the account")
NO_RIGHT = ("The console&#39;s key may not do this", "Use a key that may")
EDGE = ("A gateway in front of the service refuses the request", "It may refuse only this one")
NO_ITEM = ("The service refuses the request", "The service does not have it")
NO_ROUTE = ("The address does not serve this call", "Check the base URL (OMIUM_API_URL", "the base URL is http://127")
INVALID = ("The service refuses the request", "workflow_id: it is not registered")
TOO_MANY = ("The service asks for fewer requests", "The service asked for a pause")

REFUSALS = {
    "401": (Refusal(401, '{"detail": "Invalid API key"}'), KEY_REFUSED),
    "402": (Refusal(402, '{"detail": "Insufficient credits"}'), NO_CREDITS),
    "403 JSON": (Refusal(403, '{"detail": "Forbidden"}'), NO_RIGHT),
    "403 HTML": (Refusal(403, "<html><title>Blocked</title></html>", "text/html"), EDGE),
    "404 item": (Refusal(404, '{"detail": "Execution not found"}'), NO_ITEM),
    "404 gateway": (Refusal(404, '{"message": "no Route matched with those values"}'), NO_ROUTE),
    "405": (Refusal(405, '{"detail": "Method Not Allowed"}'), NO_ROUTE),
    "422": (
        Refusal(422, '{"detail": [{"loc": ["body", "workflow_id"], "msg": "it is not registered", "type": "x"}]}'),
        INVALID,
    ),
    "429": (Refusal(429, '{"detail": "Too many requests"}'), TOO_MANY),
}
OUTAGE = "does not respond as it should"

ONE = "/executions/exec_1"
PAGES = {
    "the list": "/",
    "a search": "/?metadata=user%3Dada",
    "an execution": ONE,
    "a replay": f"{ONE}/replay?checkpoint=chk_1",
    "a cancel": f"{ONE}/cancel",
    "a part of an execution": f"{ONE}/json?part=input",
    "a file": f"{ONE}/raw?part=input",
    "a form like an execution": "/new?like=exec_1",
}
ACTIONS = {
    "replay": ("failed", f"{ONE}/replay", "?checkpoint=chk_1", {}),
    "rollback": ("failed", f"{ONE}/rollback", "?checkpoint=chk_1", {}),
    "cancel": ("running", f"{ONE}/cancel", "", {}),
    "create": ("failed", "/new", "", {"workflow_id": "report"}),
}

parametrize_refusals = pytest.mark.parametrize(("refusal", "said"), REFUSALS.values(), ids=REFUSALS)


def check(text: str, said: tuple[str, ...]) -> None:
    for each in said:
        assert each in text or html.unescape(each) in text
    assert OUTAGE not in text


@parametrize_refusals
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
async def test_a_page_says_which_refusal_it_met_and_what_to_do(page, service, refusal, said, path):
    service.trouble = refusal
    answer = await page.client.get(path)
    text = await answer.text()
    names_an_item = path.startswith(ONE)
    if refusal.text == REFUSALS["404 item"][0].text and names_an_item:
        assert answer.status == 404
        assert "whose key the console uses" in text
        return
    assert answer.status == (200 if path.startswith("/new") else 502)
    check(text, said)


@parametrize_refusals
async def test_a_page_that_is_open_says_which_refusal_it_met(page, service, refusal, said):
    service.fill(1)
    for path in ("/", ONE):
        service.trouble = None
        await page.get(path)
        service.trouble = refusal
        text = await page.look(path, "rows", as_of="2026-01-01T12:00:00Z")
        check(text, said)
        assert "The data below was read" in text


@parametrize_refusals
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_says_which_refusal_it_met_and_that_nothing_was_written(page, service, refusal, said, action):
    status, path, query, values = ACTIONS[action]
    service.fill(1, status)
    form = fields(await page.get(path + query))
    service.write_trouble = refusal
    answer = await page.post(path, form | values)
    text = await answer.text()
    assert answer.status == (422 if action == "create" else 409)
    assert 'data-outcome="not_applied"' in text
    check(text, said)


@parametrize_refusals
async def test_a_dry_run_of_a_bulk_replay_says_which_refusal_it_met(page, service, refusal, said):
    service.trouble = refusal
    name = (await page.post("/bulk", fields(await page.get("/bulk")))).headers["Location"]
    waits = refusal.status == 429  # as in an outage
    text = await page.wait_for(f"/{name}", "asks for fewer requests" if waits else "The dry run ended early.")
    check(text, said[:1] if waits else said)


@parametrize_refusals
async def test_a_bulk_replay_ends_at_a_refusal_of_the_account_and_goes_on_after_one_of_an_item(
    page, service, refusal, said
):
    service.fill(40)
    name = (await page.post("/bulk", fields(await page.get("/bulk")))).headers["Location"]
    await page.wait_for(f"/{name}", "Replay 40 executions?")
    service.write_trouble = refusal
    await page.post(f"/{name}", {})
    if refusal.status == 429:
        check(await page.wait_for(f"/{name}", "asks for fewer requests"), said[:1])
        return
    text = await page.wait_for(f"/{name}", "of 40 replayed")
    tally = {
        what: int(count) for count, what in re.findall(r"<strong>(\d+)</strong> (rejected|unknown|not sent)", text)
    }
    assert tally["unknown"] == 0
    if said in (KEY_REFUSED, NO_CREDITS, NO_RIGHT, NO_ROUTE):
        check(text, said)
        assert 0 < tally["rejected"] < 40
    else:
        assert tally["rejected"] == 40
    assert OUTAGE not in text
    assert service.writes == []


@parametrize_refusals
async def test_after_a_refusal_of_the_account_a_page_looks_less_often(page, service, refusal, said):
    service.trouble = refusal
    (every,) = re.findall(r'data-look="rows" data-every="([\d.]+)"', await (await page.client.get("/")).text())
    ends = said in (KEY_REFUSED, NO_CREDITS, NO_RIGHT, NO_ROUTE)
    assert float(every) == (30.0 if ends else 10.0)

"""What an impatient user, another tab, another site or a strange service may do to it."""

from __future__ import annotations

import asyncio
import json

import pytest
from yarl import URL

from .conftest import row
from .test_forms import asked, fields, post

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def failed(service):
    service.rows = [row(1, "failed"), row(2)]
    service.checkpoints("exec_1", "read", "count", "send")
    service.replay_answer = {"status": "failed", "replay_execution_id": "exec_2"}  # the first one stays as it was
    return service


def stays_failed(service):
    """As a service does that replays in an execution of its own."""

    class Same(dict):
        def __setitem__(self, name, value):
            if name != "status":
                super().__setitem__(name, value)

    service.rows[0] = Same(service.rows[0])


async def test_two_tabs_do_it_once(page, failed):
    stays_failed(failed)
    forms = [fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1")) for _ in range(3)]
    answers = await asyncio.gather(*(post(page, "/executions/exec_1/replay", form) for form in forms))
    assert sorted(answer.status for answer in answers) == [303, 409, 409]
    assert len(failed.writes) == 1
    (asked_again, *_) = [await answer.text() for answer in answers if answer.status == 409]
    assert "It changed since you looked" in asked_again
    assert (await post(page, "/executions/exec_1/replay", fields(asked_again))).status == 303  # who insists may
    assert len(failed.writes) == 2


async def test_after_an_unknown_outcome_another_tab_is_asked_again(page, failed):
    stays_failed(failed)
    first, other = [fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1")) for _ in range(2)]
    failed.write_trouble = "drop"
    assert (await post(page, "/executions/exec_1/replay", first)).status == 502
    failed.write_trouble = None
    assert (await post(page, "/executions/exec_1/replay", other)).status == 409
    assert len(failed.writes) == 1
    assert "has sent a replay or rollback of it" in await asked(page, "/executions/exec_1/replay?checkpoint=chk_1")


async def test_a_bulk_replay_passes_over_what_was_replayed_since_its_dry_run(page, failed):
    stays_failed(failed)
    bulk = (await post(page, "/bulk", fields(await asked(page, "/bulk")))).headers["Location"]
    while "Replay 1 execution?" not in await asked(page, f"/{bulk}"):  # noqa: ASYNC110 - it is looked at from outside
        await asyncio.sleep(0.02)
    await post(
        page, "/executions/exec_1/replay", fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
    )
    await post(page, f"/{bulk}", {})
    while "Done: 0 of 1 replayed" not in (text := await asked(page, f"/{bulk}")):  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.02)
    assert "since the dry run" in text
    assert len(failed.writes) == 1


async def test_a_form_that_was_sent_for_something_else_is_not_told_as_done(page, failed):
    form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
    await post(page, "/executions/exec_1/replay", form)
    answer = await post(page, "/executions/exec_2/rollback", form)
    assert answer.status == 409
    assert "nothing was sent now" in await answer.text()
    assert len(failed.writes) == 1


async def test_a_receipt_is_shown_on_the_page_that_it_is_about(page, failed):
    form = fields(await asked(page, "/executions/exec_1/rollback?checkpoint=chk_1"))
    receipt = (await post(page, "/executions/exec_1/rollback", form)).headers["Location"].partition("?")[2]
    assert "rollback taken" in await asked(page, f"/executions/exec_1?{receipt}")
    assert "rollback taken" not in await asked(page, f"/executions/exec_2?{receipt}")


async def test_the_receipt_of_what_was_not_sent_says_nothing(page, failed):
    form = fields(await asked(page, "/executions/exec_1/rollback?checkpoint=chk_1"))
    failed.rows[0]["checkpoints"].pop()
    assert (await post(page, "/executions/exec_1/rollback", form)).status == 409
    receipt = form["token"].partition(".")[0]
    assert "banner good" not in await asked(page, f"/executions/exec_1?done={receipt}")


async def test_another_limit_is_another_dry_run(page, failed):
    form = fields(await asked(page, "/bulk"))
    begun = [await post(page, "/bulk", form | {"limit": limit}) for limit in ("100", "100", "500")]
    assert len({answer.headers["Location"] for answer in begun}) == 2


async def test_an_address_cannot_ask_for_any_number_of_statuses(page, service):
    query = "&".join(f"status=s{number}" for number in range(500))
    assert (await page.get(URL(f"/?{query}", encoded=True))).status == 400
    assert service.requests == []


async def test_another_site_cannot_say_how_far_a_search_goes(page, service):
    lead = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = await page.get("/?metadata=a%3Db&reach=90", headers=lead, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, "./?metadata=a%3Db")
    assert service.requests == []


@pytest.mark.parametrize("depth", [50, 400, 900])
async def test_data_of_any_depth_is_shown(page, service, depth):
    value = json.loads("[" * depth + "1" + "]" * depth)
    service.rows = [row(1, output_data={"deep": value})]
    answer = await page.get("/executions/exec_1")
    assert answer.status in (200, 502)  # which it is where the client cannot read it
    if answer.status == 200:
        for path in ("json?part=output", "json?part=output&find=1", "raw?part=output"):
            assert (await page.get(f"/executions/exec_1/{path}")).status == 200, path


@pytest.mark.parametrize(
    "path", ["/static/../site.py", "/static/..%2fsite.py", "/static/%2e%2e/site.py", "/static//etc/passwd", "/static/"]
)
async def test_no_file_but_its_own_is_served(page, path):
    answer = await page.get(URL(path, encoded=True))
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/", "/client", "/new", "/executions/exec_1", "/static/console.css"])
async def test_a_head_is_answered_like_a_get(page, service, path):
    service.rows = [row(1)]
    answer = await page.head(path)
    assert (answer.status, await answer.read()) == (200, b"")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "host", ["localhost.", "localhost.:8080", "127.0.0.1.", "[::1", "[::ffff:10.0.0.1]", "127.1", "2130706433"]
)
async def test_names_that_only_look_like_this_machine_are_refused(page, service, host):
    assert (await page.get("/client", headers={"Host": host})).status in (400, 403)


async def test_a_service_that_names_another_place_for_a_replay_leads_nowhere_else(page, failed):
    for name in ("../../evil", "//evil.example/", "javascript:alert(1)", "a\r\nSet-Cookie: x=y"):
        failed.replay_answer = {"replay_execution_id": name}
        failed.rows[0]["status"] = "failed"
        form = fields(await asked(page, "/executions/exec_1/replay?checkpoint=chk_1"))
        answer = await post(page, "/executions/exec_1/replay", form)
        target = answer.url.join(URL(answer.headers["Location"], encoded=True))
        assert (target.origin(), target.raw_path.rpartition("/")[0]) == (answer.url.origin(), "/executions")
        assert "Set-Cookie" not in answer.headers

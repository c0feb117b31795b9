"""What an open page costs: one poll for all tabs, less while nothing changes, nothing while nobody looks.

The bounds of a minute are tested in a sixtieth of the time: every pace of the console is that much quicker here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from omium_async.ui import live, site
from omium_async.ui.listing import Listing
from omium_async.ui.view import View

from .conftest import row
from .tab import Tab, quicken

QUICKER = 20  # times; a minute is three seconds
MINUTE = 60 / QUICKER


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    quicken(monkeypatch, QUICKER)


def at_rest(page):
    """Whether all that is looked at has been answered, and has been the same for a while."""
    watches = page.server.app[site.SITE].live.awake()
    return bool(watches) and all(watch.value and watch.interval > watch._pace.slow / 2 for watch in watches)


@pytest.mark.parametrize(
    ("path", "count", "most", "says"),  # rows that the service gives at most, and whether it says that, and a total
    [
        ("/", 200, 1_000, True),
        ("/", 3_000, 1_000, True),
        ("/", 3_000, 20, False),
        ("/", 30, 1_000, False),
        ("/?status=failed", 3_000, 1_000, True),
        ("/?status=failed&status=error&status=paused", 200, 1_000, True),
        ("/?status=failed&status=error&status=paused", 3_000, 1_000, True),
        ("/?status=failed&status=error", 3_000, 20, False),
        ("/?page=2", 3_000, 1_000, True),
        ("/?page=2", 3_000, 20, False),
        ("/?since=2026-01-01T12:00:20Z", 200, 1_000, True),
        ("/?before=2026-01-01T12:00:30Z", 1_200, 1_000, True),
        ("/?metadata=user%3Dada", 1_200, 1_000, True),
        ("/?metadata=user%3Dada", 1_200, 20, True),
        ("/?status=failed&status=error&page=2&metadata=user%3Dada", 1_200, 1_000, True),
        ("/executions/exec_200", 200, 1_000, True),
    ],
)
async def test_a_page_that_stays_the_same_costs_twelve_requests_a_minute(page, service, path, count, most, says):
    service.most, service.totals, service.sizes = most, says, says
    service.rows = [
        row(n, ["failed", "completed", "running"][n % 3], metadata={"user": "ada"} if n % 60 == 0 else {"user": "bob"})
        for n in range(count, 0, -1)
    ]
    tab = Tab(page, QUICKER, path)
    await tab.open()
    while not at_rest(page):  # noqa: ASYNC110 - as the page's script does
        await asyncio.sleep(await tab.look() / QUICKER)
    await tab.look_for(MINUTE / 2)
    before = len(service.requests)
    await tab.look_for(MINUTE)
    assert 4 <= len(service.requests) - before <= 13  # a scaled minute may begin just before one and end just after


async def test_what_has_ended_is_read_once_or_twice_a_minute_and_anew_when_somebody_comes(page, service):
    service.rows = [row(1, "completed", output_data="word " * 1_000)]
    tab = Tab(page, QUICKER, "/executions/exec_1")
    await tab.open()
    await tab.look_for(2 * MINUTE)
    before = len(service.requests)
    await tab.look_for(MINUTE)
    assert len(service.requests) - before <= 2
    await asyncio.sleep(10 / QUICKER)
    service.rows[0]["status"] = "rolled_back"  # by somebody else
    again = Tab(page, QUICKER, "/executions/exec_1")
    await again.open()
    assert "is-rolled_back" in again.texts["summary"]


@pytest.mark.parametrize(
    ("path", "most", "says"),
    [
        ("/", 1_000, True),
        ("/?status=failed&status=error", 1_000, True),
        ("/?since=2020-01-01", 1_000, True),
        ("/?metadata=user%3Dada", 1_000, True),
        ("/", 20, True),
        ("/", 20, False),
        ("/?status=failed&status=error", 20, False),
    ],
)
async def test_a_page_on_which_all_changes_costs_sixty_at_most(page, service, path, most, says):
    service.most, service.totals, service.sizes = most, says, says
    service.rows = [row(n, "failed", error="boom") for n in range(3_000, 0, -1)]

    async def change():
        for number in range(3_001, 9_000):
            service.rows.insert(0, row(number, ["failed", "running", "completed", "error"][number % 4]))
            await asyncio.sleep(0.02)

    changing = asyncio.create_task(change())
    tab = Tab(page, QUICKER, path)
    await tab.open()
    await tab.look_for(MINUTE / 3)
    before = len(service.requests)
    await tab.look_for(2 * MINUTE)
    changing.cancel()
    assert len(service.requests) - before <= 2 * 60


async def test_tabs_share_what_is_asked(page, service):
    service.rows = [row(n) for n in range(20, 0, -1)]
    tabs = [Tab(page, QUICKER) for _ in range(8)]
    await asyncio.gather(*(tab.open() for tab in tabs))
    assert len(service.requests) == 1
    await asyncio.gather(*(tab.look_for(MINUTE) for tab in tabs))
    assert len(service.requests) <= 14


async def test_a_page_that_nobody_looks_at_costs_nothing(page, service):
    service.rows = [row(1)]
    tab = Tab(page, QUICKER)
    await tab.open()
    await tab.look_for(0.5)
    await asyncio.sleep(live.LOOK + 0.2)
    before = len(service.requests)
    await asyncio.sleep(1)
    assert len(service.requests) == before
    service.rows.insert(0, row(2))
    await tab.look_until("row-exec_2", "rows")


async def test_a_question_under_way_is_given_up_when_nobody_looks(page, service):
    service.trouble = "stall"
    watch = page.server.app[site.SITE].execution("exec_1")
    assert watch.awake
    async with asyncio.timeout(10):
        while watch.awake:  # noqa: ASYNC110 - a timer ends it
            await asyncio.sleep(0.01)


async def test_changes_show_and_the_rest_is_not_sent_again(page, service):
    service.rows = [row(n, "running" if n == 1 else "completed") for n in range(80, 0, -1)]
    tab = Tab(page, QUICKER)
    await tab.open()
    await tab.look_until(r"count-running.*?1</span>", "counts")
    service.rows[3]["status"] = "failed"
    before = dict(tab.parts)
    await tab.look_until("is-failed", "rows")
    assert tab.parts["outage"] == before["outage"]
    service.rows[-1]["status"] = "paused"  # which no page shows
    await tab.look_until(r"count-paused.*?1</span>", "counts")


async def test_an_outage_shows_and_its_end_too(page, service):
    service.rows = [row(1)]
    tab = Tab(page, QUICKER)
    await tab.open()
    service.trouble = "drop"
    await tab.look_until("What stands here was true", "outage")
    assert "row-exec_1" in tab.texts["rows"]
    service.trouble = None
    await tab.look_until(r'^<div role="status" aria-live="polite">\s*</div>', "outage")


async def test_a_search_that_was_cut_off_goes_on_after_the_outage(page, service, caplog):
    service.rows = [row(n, metadata={"user": "ada" if n % 300 == 0 else "bob"}) for n in range(3_000, 0, -1)]
    tab = Tab(page, QUICKER, "/?metadata=user%3Dada")
    await tab.open()
    await tab.look_for(MINUTE / 2)
    service.trouble = 503
    await tab.look_for(MINUTE)
    service.trouble = None
    service.find("exec_300").update(error="it changed meanwhile")
    await tab.look_until("it changed meanwhile", "rows")
    await tab.look_until(r'^<div role="status" aria-live="polite">\s*</div>', "outage")
    assert "could not read" not in caplog.text


async def test_a_pause_that_the_service_asks_for_is_kept(page, service):
    service.rows = [row(1)]
    service.trouble = 429  # with 40 seconds, which are not scaled
    tab = Tab(page, QUICKER)
    await tab.open()
    before = len(service.requests)
    await tab.look_for(1)
    assert len(service.requests) - before <= 1


async def test_folded_data_stays_as_it_is_while_other_things_change(page, service):
    service.rows = [row(1, "running", output_data=None)]
    service.checkpoints("exec_1", "read")
    tab = Tab(page, QUICKER, "/executions/exec_1")
    await tab.open()
    before = dict(tab.parts)
    service.checkpoints("exec_1", "read", "count")
    await tab.look_until("count", "timeline")
    assert tab.parts["input"] == before["input"]
    service.rows[0]["output_data"] = {"deep": [[[1] * 300]]}
    await tab.look_until("deep", "output")
    known = tab.parts["output"]
    service.rows[0]["output_data"]["deep"][0][0][299] = 2  # nowhere near what is shown
    await tab.look_until("", "output")
    async with asyncio.timeout(10):
        while tab.parts["output"] == known:  # noqa: ASYNC110 - as the page's script does
            await asyncio.sleep(await tab.look() / QUICKER)


async def test_what_is_looked_at_is_not_kept_for_ever(page, service):
    service.rows = [row(n) for n in range(100, 0, -1)]
    for number in range(1, 81):
        await page.get(f"/executions/exec_{number}")
    kept = page.server.app[site.SITE].live._watches
    await asyncio.sleep(live.LOOK + 0.3)
    await page.get("/executions/exec_81")
    assert len(kept) <= 33


async def test_rows_that_no_single_look_sees_say_how_old_they_are(page, service):
    service.rows = [row(n, metadata={"user": "ada" if n % 400 == 0 else "bob"}) for n in range(2_400, 0, -1)]
    listing = Listing(page.server.app[site.SITE].questions, View(metadata=("user=ada",)))
    await listing.read()
    all_of_it = await listing.read()  # now it is known that larger windows are worth it
    assert (len(all_of_it.items), all_of_it.looks) == (6, 3)
    begun = datetime.now(UTC)
    service.find("exec_1200")["error"] = "it changed"
    first, second, third = [await listing.read() for _ in range(3)]
    assert [sum(each.error is not None for each in rows.items) for rows in (first, second, third)] == [0, 1, 1]
    assert all_of_it.as_of == first.as_of == second.as_of < begun < third.as_of
    assert first == all_of_it  # for nothing that is shown has changed
    tab = Tab(page, QUICKER, "/?metadata=user%3Dada")
    await tab.open()
    await tab.look_until("it takes 3 to see all", "freshness")
    assert "each look sees a part" in tab.texts["freshness"]


async def test_rows_of_several_statuses_are_as_old_as_the_status_that_was_asked_for_first(page, service):
    service.rows = [row(n, ["failed", "error"][n % 2]) for n in range(1_200, 0, -1)]
    listing = Listing(page.server.app[site.SITE].questions, View(statuses=("failed", "error")))
    both = await listing.read()
    begun = datetime.now(UTC)
    first, second = await listing.read(), await listing.read()
    assert both.as_of <= first.as_of < begun < second.as_of

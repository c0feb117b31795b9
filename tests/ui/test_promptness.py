"""How soon a page shows what changed, with a service that answers at once and with one that takes two seconds.

Each page is at rest, when it looks most rarely, and the change comes just after an answer that does not show it:
nothing takes longer. A second is a fifth of one here, so that what a busy machine adds counts five times: the bounds
leave room for two seconds of that.
"""

from __future__ import annotations

import asyncio

import pytest

from omium_async.ui import site

from .conftest import row
from .tab import Tab, quicken

pytestmark = pytest.mark.timeout(90)

QUICKER = 5


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    quicken(monkeypatch, QUICKER)


async def seconds_until(page, service, path, asked, change, part, wanted):
    """From a change, just after the answer to such a question, until a tab shows it; in seconds of the real console."""
    tab = Tab(page, QUICKER, path)
    await tab.open()
    loop = asyncio.get_running_loop()
    changed = loop.create_future()

    def now():
        change()
        changed.set_result(loop.time())

    service.then = (asked, now)
    console = page.server.app[site.SITE]
    console.questions._heard.clear()
    for watch in console.live.awake():
        watch.interval = watch._pace.slow
    console.live.soon()
    await tab.look_until(wanted, part)
    return (loop.time() - await changed) * QUICKER


@pytest.mark.parametrize(
    ("path", "asked", "delay"),
    [
        ("/", "page_size=50&", 0),
        ("/", "page_size=50&", 2),
        ("/?status=failed&status=completed", "page_size=1000&", 2),
        ("/?since=2026-01-01T12:00:01Z", "page_size=250&", 2),
        ("/?metadata=user%3Dada", "page_size=500&", 0),
        ("/?workflow_id=report&page=2", "page=2&", 2),
    ],
)
async def test_rows_within_ten_seconds(page, service, path, asked, delay):
    service.rows = [row(n, metadata={"user": "ada" if n > 380 or n < 60 else "bob"}) for n in range(400, 0, -1)]
    service.delay = delay / QUICKER
    number = 340 if "page=2" in path else 390

    def change():
        service.find(f"exec_{number}").update(error="changed")

    taken = await seconds_until(page, service, path, asked, change, "rows", "changed")
    assert taken < 12


@pytest.mark.parametrize(("count", "delay"), [(300, 2), (2_000, 0), (2_000, 2)])
async def test_counts_within_sixty_seconds(page, service, count, delay):
    service.rows = [row(n) for n in range(count, 0, -1)]
    service.delay = delay / QUICKER

    def change():
        for number in range(1, 4):  # which the page does not show
            service.find(f"exec_{number}").update(status="failed", error="boom")

    asked = "page_size=1000&" if count == 300 else "status=paused&"
    taken = await seconds_until(page, service, "/?page=2", asked, change, "counts", r"count-failed.*?3</span>")
    assert taken < 62


async def test_an_outage_within_twenty_seconds(page, service):
    service.rows = [row(n) for n in range(2_000, 0, -1)]

    def change():
        service.trouble = "stall"

    taken = await seconds_until(page, service, "/?metadata=user%3Dada", "page", change, "outage", "banner")
    assert taken < 22


async def test_a_warning_of_a_list_is_told_once_a_view(page, service, caplog):
    service.rows = [row(n) for n in range(300, 0, -1)]
    tab = Tab(page, QUICKER, "/?metadata=user%3Dada")
    await tab.open()
    await tab.look_for(20 / QUICKER)
    assert [record.name for record in caplog.records] == ["omium_async.lists"]
    assert "This list shows no metadata" in tab.texts["rows"]
    assert (await (await page.get("/client")).text()).count("shows any metadata") == 1
    await Tab(page, QUICKER, "/?metadata=user%3Dbob").open()
    assert len(caplog.records) == 2

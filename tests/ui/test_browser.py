"""The console in a real Chromium: each flow, and all that the browser asks for.

Skipped where there is no Chromium; `OMIUM_TEST_CHROMIUM` names one that is not on the path, or is `none`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestServer

from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_async.ui import console

from .conftest import KEY, row, stamp

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed: no browser is driven")

_FOUND = os.environ.get("OMIUM_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM = None if _FOUND == "none" else _FOUND
AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")
NASTY = '"><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"><b>'

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: the console is not tested in a browser"),
]


@attrs.define(slots=False)  # whose methods the driver marks as its own
class Browser:
    """A browser that records what it asks for, and what it complains about."""

    root: str
    key: str
    context: Any
    requests: list[Any] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)

    async def open(self, path: str = "") -> Any:
        page = await self.context.new_page()
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._said)
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        await page.goto(self.root + path)
        return page

    def _asked(self, request: Any) -> None:
        self.requests.append(request)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def checked(self) -> None:
        """None of its requests left the console, or carried the key; nothing was refused by the page's own policy."""
        assert self.complaints == []
        for request in self.requests:
            assert request.url.startswith(self.root), request.url
            told = [request.url, str(request.headers), request.post_data or ""]
            assert not any(self.key in text for text in told)


@contextlib.asynccontextmanager
async def browsing(omium: AsyncOmium, key: str, **options: Any) -> AsyncGenerator[Browser]:
    async with TestServer(console(omium)) as server, playwright.async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = await chromium.new_context(**options)
        context.set_default_timeout(60_000)  # milliseconds
        browser = Browser(str(server.make_url("/")), key, context)
        try:
            yield browser
            browser.checked()
        finally:
            await chromium.close()


@pytest.fixture
async def browser(omium, service):
    """A browser over the service that does what a test wants of it."""
    async with browsing(omium, KEY) as found:
        yield found


@pytest.fixture
async def real():
    """A browser over a LocalOmium, whose workflow fails until it is mended."""
    local = LocalOmium()
    mended = asyncio.Event()

    @local.workflow("report")
    async def report(run):
        await run.step("read", lambda: "text")
        await run.step("count", lambda: 3)
        if run.input_data.get("bad") and not mended.is_set():
            raise ValueError("the ledger does not add up")
        return {"sum": run.input_data["n"] + 1}

    async with (
        local,
        AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.05)) as omium,
        browsing(omium, local.api_key) as found,
    ):
        yield found, omium, mended


async def audited(page, where):
    """axe-core finds nothing of weight."""
    await page.evaluate(f"() => {{ {AXE} }}")  # by the debugger, which no policy of a page holds up
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    heavy = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in heavy] == [], where


async def press_tab_until(page, selector):
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by the keyboard")


async def test_a_failed_execution_is_found_and_replayed_by_the_keyboard_alone(real):
    browser, omium, mended = real
    failed = await omium.executions.run("report", {"bad": True, "n": 41})
    page = await browser.open()
    await press_tab_until(page, "#failure-1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/executions/*")
    assert failed.id in await page.title()
    await press_tab_until(page, "#replay-1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/replay?checkpoint=*")
    assert await page.locator(".named li").all_inner_texts() == ["count"]
    assert (await omium.executions.get(failed.id)).status == "failed"
    mended.set()
    await press_tab_until(page, "#confirm")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/executions/*?done=*")
    await page.locator(".facts .is-completed").wait_for()
    assert "42" in await page.locator("#part-output").inner_text()


async def test_a_rollback_names_what_it_discards(real):
    browser, omium, _ = real
    done = await omium.executions.run("report", {"n": 1})
    page = await browser.open(f"executions/{done.id}")
    await page.click("#rollback-1")
    assert await page.locator(".named li").all_inner_texts() == ["count"]
    await page.dblclick("#confirm")
    await page.locator(".facts .is-paused").wait_for()
    assert [each.name for each in (await omium.executions.get(done.id)).checkpoints] == ["read"]


async def test_a_bulk_replay_ends_with_a_verdict_for_each(real):
    browser, omium, mended = real
    for number in range(5):
        await omium.executions.run("report", {"bad": True, "n": number})
    mended.set()
    page = await browser.open("?status=failed")
    await page.click("text=Bulk replay…")
    await page.click("text=Dry run")
    await page.locator("text=Replay 5 executions?").wait_for()
    await page.click("#confirm")
    await page.locator("text=Done: 5 of 5 replayed").wait_for()
    assert await page.locator("td >> text=replayed").count() == 5
    assert await omium.executions.count(status="failed") == 0


async def replaying(browser, service, count):
    """The page of a bulk replay that has begun, of which the service holds every write until the event is set."""
    service.rows = [row(n, "failed") for n in range(count, 0, -1)]
    for each in service.rows:
        service.checkpoints(each["id"], "read")
    held = service.held = asyncio.Event()
    page = await browser.open("bulk?status=failed")
    await page.click("text=Dry run")
    await page.click("#confirm")
    await page.locator(f"h1:has-text('Replaying 0 of {count}')").wait_for()
    return page, held


async def test_a_slow_press_stops_a_bulk_replay_whose_page_changes_meanwhile(browser, service):
    page, held = await replaying(browser, service, 60)
    await page.hover("#stop")
    await page.mouse.down()
    service.held = asyncio.Event()
    held.set()
    await page.locator("h1:has-text('Replaying 16 of 60')").wait_for()
    await page.mouse.up()
    await page.locator("text=are waited for").wait_for()
    service.held.set()
    await page.locator("h1:has-text('Stopped: 32 of 60 replayed')").wait_for()
    assert len(service.writes) == 32


async def test_pages_of_a_bulk_replay_are_turned_while_its_verdicts_come(browser, service):
    page, held = await replaying(browser, service, 120)
    await page.focus("[id='row-exec_118']")
    service.held = asyncio.Event()
    held.set()
    await page.locator("h1:has-text('Replaying 16 of 120')").wait_for()
    assert await page.evaluate("document.activeElement.id") == "row-exec_118"
    await page.hover("#next")
    await page.mouse.down()
    held, service.held = service.held, asyncio.Event()
    held.set()
    await page.locator("h1:has-text('Replaying 32 of 120')").wait_for()
    await page.mouse.up()
    await page.wait_for_url("**?page=2")
    assert await page.locator(".rows a[id^=row-]").all_inner_texts() == [f"exec_{n}" for n in range(20, 0, -1)]
    held, service.held = service.held, None
    held.set()
    await page.locator("h1:has-text('Done: 120 of 120')").wait_for()
    await press_tab_until(page, "#previous")
    await page.keyboard.press("Enter")
    await page.locator("text=Page 1 of 2").wait_for()


async def test_the_title_says_how_things_stand_now(browser, service):
    service.rows = [row(1, "running")]
    page = await browser.open("executions/exec_1")
    assert await page.title() == "exec_1 running \N{EN DASH} Omium console"
    service.rows[0].update(status="failed", error="</title><b>boom")
    await playwright.expect(page).to_have_title("exec_1 failed \N{EN DASH} Omium console", timeout=60_000)


async def test_an_id_with_a_colon_is_looked_at_again(browser, service):
    service.rows = [row(1, "running", id="exec:1")]
    page = await browser.open("executions/exec:1")
    service.rows[0].update(status="completed")
    await page.locator(".facts .is-completed").wait_for()


async def test_a_page_of_before_a_restart_says_so_and_keeps_what_it_shows(browser, service):
    service.rows = [row(1, "failed")]
    page = await browser.open("bulk?status=failed")
    await page.click("text=Dry run")
    await page.locator("#confirm").wait_for()
    await page.route(f"{page.url}?*", lambda route: route.fulfill(status=404, body="No such bulk replay"))
    await page.locator("text=The console was started anew since").wait_for()
    assert not await page.locator("text=does not answer").is_visible()
    assert await page.locator("#confirm").is_visible()
    assert [text.partition(" from ")[0] for text in browser.complaints] == ["Response Status Error Code 404"]
    browser.complaints.clear()


async def test_a_create_is_refused_kept_mended_and_sent_exactly(real):
    browser, omium, _ = real
    page = await browser.open("new")
    await page.fill("#c-workflow", "report")
    await page.fill("#c-input", '{"n": 123456789012345678901234567890, "x": NaN}')
    await page.click("form.create button")
    await page.locator("#problem-input_data").wait_for()
    assert "NaN" in await page.input_value("#c-input")
    await page.fill("#c-input", '{"n": 123456789012345678901234567890}')
    await page.fill("#c-metadata", '{"user": "ada"}')
    await page.dblclick("form.create button")
    await page.wait_for_url("**/executions/*")
    (made,) = [each async for each in omium.executions.list()]
    assert made.input_data == {"n": 123456789012345678901234567890}
    await page.locator("text=123456789012345678901234567891").wait_for()  # which the workflow has added one to


async def test_changes_come_by_themselves_and_nothing_is_asked_in_a_hidden_tab(browser, service):
    service.rows = [row(n, "running" if n == 3 else "completed") for n in range(80, 0, -1)]
    service.rows[5]["status"] = "running"
    page = await browser.open()
    changed = page.locator("tr", has_text="exec_75").locator(".is-failed")
    await page.focus("[id='row-exec_75']")
    service.rows[5]["status"] = "failed"
    await changed.wait_for()
    assert await page.evaluate("document.activeElement.id") == "row-exec_75"  # as whoever uses the keyboard left it
    await page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange'))"
    )
    await asyncio.sleep(5)
    before = len(service.requests)
    await asyncio.sleep(6)
    assert len(service.requests) == before
    service.rows.insert(0, row(81))
    await page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    await page.locator("[id='row-exec_81']").wait_for()
    await page.close()
    await asyncio.sleep(5)
    before = len(service.requests)
    await asyncio.sleep(5)
    assert len(service.requests) == before


async def test_an_outage_shows_and_what_was_known_stays(browser, service):
    service.rows = [row(1)]
    page = await browser.open()
    service.trouble = "stall"
    await page.locator("#part-outage .banner").wait_for()
    assert "What stands here was true" in await page.locator("#part-outage").inner_text()
    assert await page.locator("[id='row-exec_1']").count() == 1
    service.trouble = None
    await page.locator("#part-outage .banner").wait_for(state="detached")


async def test_what_the_service_injects_stays_text(browser, service):
    service.rows = [
        row(1, "failed", workflow_id=NASTY, error=NASTY, input_data={NASTY: NASTY}, metadata={NASTY: [NASTY]}),
        row(2, NASTY, id=f"x/../{NASTY}"),
    ]
    service.checkpoints("exec_1", NASTY, NASTY)
    page = await browser.open()
    await page.locator(".rows a[id^=row-]").first.click()
    await page.click("#rollback-1")
    await page.click(".crumb a")
    await page.fill("#part-input input[type=search]", "script")
    await page.click("#part-input .find button")
    await page.locator("#finds-input li").first.wait_for()
    await page.goto(browser.root)
    await page.locator(".rows a[id^=row-]").nth(1).click()
    await page.locator("h1 >> text=x/../").wait_for()
    assert await page.title() != "owned"
    assert await page.locator("main script, main img").count() == 0


async def test_data_of_megabytes_unfolds_as_far_as_one_looks(browser, service):
    rows = [{"n": n, "text": "x" * 80} for n in range(50_000)]
    service.rows = [row(1, output_data={"rows": rows, "needle": "here"})]
    page = await browser.open()
    async with responsive(page):
        await page.click("[id='row-exec_1']")
        await page.locator("#part-output summary >> text=rows").click()
        await page.locator("#part-output .more a").wait_for()
        await page.click("#part-output .more a")
        await page.locator("#part-output summary:has-text('199')").wait_for()
        await page.fill("#part-output input[type=search]", "HERE")
        await page.keyboard.press("Enter")
        await page.locator("#finds-output li").wait_for()
    assert await page.locator("#part-output details details details").count() == 200
    assert await page.locator("#finds-output li").all_inner_texts() == ["/needle here"]


async def test_a_clock_of_the_service_that_is_minutes_off_does_not_tell_of_the_future(browser, service):
    ahead = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    service.rows = [row(1, "running", created_at=ahead, started_at=ahead), row(2, created_at=stamp(0))]
    service.rows[0]["checkpoints"] = [{"id": "chk_1", "name": "read", "created_at": ahead}]
    page = await browser.open()
    ago = page.locator("tr", has_text="exec_1").locator("time")
    assert (await ago.inner_text(), (await ago.get_attribute("title"))[-3:]) == ("just now", "UTC")
    assert "ago" in await page.locator("tr", has_text="exec_2").locator("time").inner_text()
    await page.click("[id='row-exec_1']")
    await page.locator(".tail >> text=just now").wait_for()
    assert "in " not in " ".join(await page.locator("time").all_inner_texts())


async def test_ids_are_copied_by_a_click(browser, service):
    await browser.context.grant_permissions(["clipboard-read", "clipboard-write"])
    service.rows = [row(1)]
    page = await browser.open()
    await page.click(".rows .copy")
    await page.locator(".copy.done").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == "exec_1"
    assert await page.locator("#said").inner_text() == "Copied"


@contextlib.asynccontextmanager
async def responsive(page):
    """Chromium's own trace of what is done meanwhile has no task of a page's main thread of over 200 ms."""
    chromium = page.context.browser
    await chromium.start_tracing(
        page=page, categories=["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
    )
    yield
    events = json.loads(await chromium.stop_tracing())["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event
        for event in events
        if "tdur" in event and event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in mains
    ]
    assert len(tasks) > 100, "the trace is not what it was thought to be"
    # By its own time: on a machine of two cores a clock also counts what others do meanwhile.
    longest = max(tasks, key=lambda task: task["tdur"])
    assert longest["tdur"] < 200_000, longest  # microseconds


async def test_the_page_stays_responsive_while_a_thousand_executions_change_a_minute(browser, service):
    service.rows = [row(n, "running", started_at=stamp(n)) for n in range(2_000, 0, -1)]
    page = await browser.open()
    await page.locator("#count-running:has-text('2,000')").wait_for()
    statuses = ["failed", "completed", "paused"]
    async with responsive(page):
        for look in range(6):  # of which one in two seconds shows the changes of two seconds
            for number in range(25):
                service.rows[2 * number]["status"] = statuses[(look + number) % 3]
            for number in range(10):
                service.rows.insert(0, row(2_001 + look * 10 + number, "running"))
            newest = service.rows[0]["id"]
            await page.locator(f"[id='row-{newest}']").wait_for()
    assert await page.locator(".rows tbody tr").count() == 50


PAGES = [
    "",
    "?since=soon",
    "?status=failed&metadata=a%3Db",
    "?workflow_id=none",
    "executions/exec_81",
    "executions/none",
    f"executions/{'x' * 300}",
    "executions/exec_81/json?part=output",
    "executions/exec_81/json?part=output&find=word",
    "executions/exec_81/replay?checkpoint=chk_2",
    "executions/exec_81/rollback?checkpoint=chk_249",
    "executions/exec_81/replay?checkpoint=none",
    "new",
    "bulk?status=failed",
    "client",
]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
async def test_every_page_is_accessible_and_fits(omium, service, scheme, width):
    statuses = ["failed", "error", "paused", "running", "pending", "completed", "cancelled", "rolled_back", "new-one"]
    service.rows = [row(n, statuses[n % 9], error="boom" * n if n % 9 < 2 else None) for n in range(90, 0, -1)]
    service.rows.insert(0, row(91, "failed", id="x" * 300, error="y" * 300, workflow_id="z" * 100))
    service.checkpoints("exec_81", *(f"step {number}" for number in range(250)))
    service.find("exec_81").update(output_data={"text": "word " * 200, "list": [1, None, True, {"a": []}]})
    viewport = {"width": width, "height": 800}
    async with browsing(omium, KEY, color_scheme=scheme, viewport=viewport, reduced_motion="reduce") as browser:
        page = await browser.open()
        for path in PAGES:
            await page.goto(browser.root + path)
            await audited(page, path)
            overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, path
            assert await page.evaluate("document.querySelectorAll('h1').length") == 1, path
        moving = await page.evaluate("getComputedStyle(document.querySelector('a')).transitionDuration")
        assert moving in ("0s", "")
        await page.goto(f"{browser.root}bulk?status=failed")
        await page.click("text=Dry run")
        await page.locator("#confirm").wait_for()
        await audited(page, "dry run")
        await page.click("#confirm")
        await page.locator("h1:has-text('Done')").wait_for()
        await audited(page, "verdicts")
        service.trouble = 401
        await page.goto(f"{browser.root}executions/exec_80")
        await audited(page, "outage")

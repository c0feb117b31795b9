"""The console in a real Chromium: every flow, and everything that the browser requests.

Skipped without a Chromium; `OMIUM_TEST_CHROMIUM` names one that is not on the path, or is `none`. The time of pages is
moved by the test where it waits for looks.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestServer

from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_async.ui import console

from .conftest import KEY, NASTY, row

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

_FOUND = os.environ.get("OMIUM_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM = None if _FOUND == "none" else _FOUND
AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]


@attrs.define(slots=False)  # the driver sets attributes of its methods
class Browser:
    """A browser that records what it requests, and what it complains about."""

    root: str
    key: str
    context: Any
    requests: list[Any] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)

    async def open(self, path: str = "", *, stops_time: bool = False) -> Any:
        page = await self.context.new_page()
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - the driver marks it
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._log)
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        if stops_time:
            await page.clock.install()
        await page.goto(self.root + path)
        return page

    def _log(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def check(self) -> None:
        """No request left the console or carried the key; the page's policy blocked nothing."""
        assert self.complaints == []
        for request in self.requests:
            assert request.url.startswith(self.root), request.url
            sent = [request.url, str(request.headers), request.post_data or ""]
            assert not any(self.key in text for text in sent)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The address by which tests control one browser."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command = [CHROMIUM, *options, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    found = next(filter(None, (re.search(r"DevTools listening on (\S+)", line) for line in process.stderr)))
    reader = threading.Thread(target=process.stderr.read)  # or it would wait for a reader
    reader.start()
    yield found[1]
    process.terminate()
    process.wait()
    reader.join()
    process.stderr.close()


@pytest.fixture
async def browse(chromium):
    """Opens a browser on the console of a client."""
    opened = []

    async def browse(omium: AsyncOmium, key: str, **options: Any) -> Browser:
        server = TestServer(console(omium))
        await server.start_server()
        context = await connected.new_context(**options)
        context.set_default_timeout(30_000)  # milliseconds
        opened.append((Browser(str(server.make_url("/")), key, context), server))
        return opened[-1][0]

    async with playwright.async_playwright() as driver:
        connected = await driver.chromium.connect_over_cdp(chromium)
        yield browse
        for browser, server in opened:
            await browser.context.close()
            await server.close()
            browser.check()


@pytest.fixture
async def browser(browse, omium):
    """A browser over the service in memory."""
    return await browse(omium, KEY)


@pytest.fixture
async def real(browse):
    """A browser over a LocalOmium whose workflow fails until `repaired` is set."""
    local, repaired = LocalOmium(), asyncio.Event()

    @local.workflow("report")
    async def report(run):
        await run.step("load", lambda: {"text": "the state of load"})
        await run.step("parse", lambda: 3)
        if run.input_data.get("waits"):
            await repaired.wait()
        if run.input_data.get("bad") and not repaired.is_set():
            raise ValueError(f"the ledger of {run.input_data['n']} does not add up")
        return {"sum": run.input_data["n"] + 1}

    async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.05)) as omium:
        yield await browse(omium, local.api_key), omium, repaired


async def audit(page, where):
    """Axe-core finds nothing serious, and nothing scrolls sideways."""
    await page.evaluate(f"() => {{ {AXE} }}")  # by the debugger, which the page's policy does not block
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in serious] == [], where
    assert await page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, where
    assert await page.evaluate("document.querySelectorAll('h1').length") == 1, where


async def press_tab_until(page, selector):
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by the keyboard")


async def test_a_failure_is_found_inspected_and_replayed_by_the_keyboard_alone(real):
    browser, omium, repaired = real
    failed = await omium.executions.run("report", {"bad": True, "n": 41})
    page = await browser.open()
    for selector, target in (("#failure-1", "**error=*"), (".rows a[id^=row-]", "**/executions/*")):
        await press_tab_until(page, selector)
        await page.keyboard.press("Enter")
        await page.wait_for_url(target)
    await press_tab_until(page, "#state-1 summary")
    await page.keyboard.press("Enter")
    assert failed.id in await page.title()
    await page.locator("#state-1 >> text=the state of load").wait_for()
    await press_tab_until(page, "#replay-1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/replay?checkpoint=*")
    assert await page.locator(".named li").all_inner_texts() == ["parse"]
    assert (await omium.executions.get(failed.id)).status == "failed"
    repaired.set()
    await press_tab_until(page, "#confirm")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/executions/*?done=*")
    await page.reload()
    await page.locator(".facts .is-completed").wait_for()
    assert "42" in await page.locator("#part-output").inner_text()
    assert "does not add up" in await page.locator(".earlier").inner_text()


async def test_a_running_execution_is_cancelled_and_a_completed_one_rolled_back(real):
    browser, omium, _ = real
    running = await omium.executions.create("report", {"waits": True, "n": 1})
    page = await browser.open(f"executions/{running.id}")
    await page.click("#cancel")
    await page.dblclick("#confirm")
    await page.locator(".facts .is-cancelled").wait_for()
    done = await omium.executions.run("report", {"n": 1})
    await page.goto(f"{browser.root}executions/{done.id}")
    await page.click("#rollback-1")
    await page.dblclick("#confirm")
    await page.locator(".facts .is-paused").wait_for()
    assert [each.name for each in (await omium.executions.get(done.id)).checkpoints] == ["load"]


async def test_changes_appear_within_15_seconds_and_a_hidden_page_requests_nothing(browser, service):
    service.rows = [row(n, "running" if n == 3 else "completed") for n in range(80, 0, -1)]
    page = await browser.open(stops_time=True)
    await page.focus("[id='row-exec_75']")
    service.requests.clear()
    service.find("exec_75")["status"] = "failed"
    await page.clock.run_for(15_000)
    await page.locator("tr", has_text="exec_75").locator(".is-failed").wait_for()
    assert await page.evaluate("document.activeElement.id") == "row-exec_75"
    assert len(service.requests) <= 2
    await page.clock.run_for(55_000)
    await page.locator("#count-failed:has-text('1')").wait_for()
    await page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange'))"
    )
    before = len(service.requests)
    await page.clock.run_for(300_000)
    assert len(service.requests) == before
    service.rows.insert(0, row(81))
    await page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    await page.clock.run_for(100)
    await page.locator("[id='row-exec_81']").wait_for()


async def test_an_outage_shows_while_known_data_stays_with_its_age(browser, service):
    service.rows = [row(1, "running")]
    page = await browser.open(stops_time=True)
    service.trouble = 503
    await page.clock.run_for(12_000)
    await page.locator("#part-outage .banner >> text=The data below was read").wait_for()
    assert await page.locator("[id='row-exec_1']").count() == 1
    service.trouble = None
    await page.clock.run_for(12_000)
    await page.locator("#part-outage .banner").wait_for(state="detached")
    await page.goto(f"{browser.root}executions/exec_1")
    service.rows[0].update(status="failed", error="</title><b>boom")
    await page.clock.run_for(12_000)
    await playwright.expect(page).to_have_title("exec_1 failed \N{EN DASH} Omium console")


async def test_what_the_service_injects_stays_text(browser, service):
    data = {"input_data": {NASTY: NASTY}, "metadata": {NASTY: [NASTY]}}
    service.rows = [row(1, "failed", workflow_id=NASTY, error=NASTY, **data), row(2, NASTY, id=f"x/../{NASTY}")]
    service.checkpoints("exec_1", NASTY, NASTY)
    page = await browser.open()
    await page.locator(".rows a[id^=row-]").first.click()
    await page.click("#rollback-1")
    await page.click(".crumb a")
    await page.goto(browser.root)
    await page.locator(".rows a[id^=row-]").nth(1).click()
    await page.locator("h1 >> text=x/../").wait_for()
    assert await page.title() != "owned"
    assert await page.locator("main script, main img").count() == 0


async def test_data_of_megabytes_is_opened_and_ids_are_copied(browser, service):
    await browser.context.grant_permissions(["clipboard-read", "clipboard-write"])
    rows = [{"n": n, "text": "x" * 80} for n in range(50_000)]
    service.rows = [
        row(1, "running", created_at=datetime.now(UTC).isoformat(), output_data={"rows": rows, "a": "here"})
    ]
    page = await browser.open()
    assert "ago" not in await page.locator(".rows .right time").inner_text()  # it says for how long it runs
    await page.click(".rows .copy")
    await page.locator(".copy.done").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == "exec_1"
    await page.click("[id='row-exec_1']")
    await page.locator("#part-output summary >> text=rows").click()
    await page.click("#part-output .more a")
    await page.locator("#part-output summary:has-text('199')").wait_for()


PAGES = [
    "",
    "?since=soon",
    "?status=failed&metadata=a%3Db",
    "?workflow_id=none",
    "executions/exec_81",
    "executions/none",
]
PAGES += [f"executions/{'x' * 300}", "executions/exec_81/json?part=output", "executions/exec_82/cancel", "new"]
PAGES += ["executions/exec_81/replay?checkpoint=chk_2", "bulk"]
PAGES += ["executions/exec_81/rollback?checkpoint=chk_249", "executions/exec_81/replay?checkpoint=none"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
async def test_every_page_is_accessible_and_fits(browse, omium, service, scheme, width):
    statuses = ["failed", "error", "paused", "running", "pending", "completed", "cancelled", "rolled_back", "new-one"]
    service.rows = [row(n, statuses[n % 9], error="boom" * n if n % 9 < 2 else None) for n in range(90, 0, -1)]
    service.rows.insert(0, row(91, "failed", id="x" * 300, error="y" * 300, workflow_id="z" * 100))
    service.find("exec_82").update(id="exec_82", status="running")
    service.checkpoints("exec_81", *(f"step {number}" for number in range(250)))
    service.find("exec_81").update(output_data={"text": "word " * 200, "list": [1, None, True, {"a": []}]})
    browser = await browse(omium, KEY, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = await browser.open()
    for path in PAGES if width == 400 else PAGES[::3]:
        await page.goto(browser.root + path)
        await audit(page, path)
    await page.goto(f"{browser.root}bulk?status=failed")
    await page.click("text=Dry run")
    await page.locator("#confirm").wait_for()
    await audit(page, "dry run")
    await page.click("#confirm")
    await page.locator("h1:has-text('Done')").wait_for()
    await audit(page, "outcomes")
    service.trouble = 401
    await page.goto(f"{browser.root}executions/exec_80")
    await audit(page, "outage")

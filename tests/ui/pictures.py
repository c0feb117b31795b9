"""Makes the pictures of the console for the documentation, with a hash of what they were made of.

    python tests/ui/pictures.py

They are made of a LocalOmium whose clock the workflow moves, so that the same console gives the same pictures.
`test_pictures.py` says when they are stale.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestServer

import omium_async.ui
from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_async.ui import console

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
HASH = FOLDER / "console.sha256"
SIZE = {"width": 1180, "height": 760}


def inputs() -> str:
    """A hash of all that decides how the pictures look."""
    package = Path(omium_async.ui.__file__).parent
    folders = (package, package / "templates", package / "static")
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()] + [Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


class Clock:
    """A clock that only steps of the workflow move."""

    now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> str:
        self.now += timedelta(seconds=seconds)
        return f"{seconds} s"


def agents(local: LocalOmium, clock: Clock) -> None:
    """Workflows as people have them."""

    @local.workflow("weekly-report")
    async def weekly_report(run: Any) -> dict[str, Any]:
        number = run.input_data["week"]
        for name, seconds in (("collect sources", 12), ("read sources", 47 + number % 5), ("draft", 31), ("check", 9)):
            await run.step(name, clock.pass_, seconds)
        if number % 9 == 4:
            raise ValueError("the ledger of 2026 does not add up: 3 cents are missing")
        if number % 13 == 6:
            raise TimeoutError("the archive did not answer within 30 s")
        return {"pages": 12 + number % 7, "sources": [f"https://example.com/{number}/{n}" for n in range(3)]}


async def fill(omium: AsyncOmium) -> str:
    """Executions of a morning; the id of one that failed."""
    failed = ""
    for number in range(1, 61):
        given = {"week": number, "topic": "trade routes", "budget": 10**20 + number}
        ended = await omium.executions.run("weekly-report", given, metadata={"user": "ada"})
        failed = ended.id if ended.status == "failed" else failed
    return failed


async def make() -> None:
    """All pictures, in light and in dark."""
    from playwright.async_api import async_playwright

    clock = Clock()
    local = LocalOmium(clock=clock)
    agents(local, clock)
    async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.005, 0.01)) as omium:
        failed = await fill(omium)
        async with TestServer(console(omium)) as server, async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                page = await browser.new_page(color_scheme=scheme, viewport=SIZE)
                await page.clock.set_fixed_time(clock.now + timedelta(minutes=2))
                for name, path in (("list", "/"), ("execution", f"/executions/{failed}"), ("create", "/new")):
                    await page.goto(str(server.make_url(path)))
                    await page.wait_for_timeout(300)
                    await page.screenshot(path=FOLDER / f"console-{name}-{scheme}.png")
                await page.goto(str(server.make_url(f"/executions/{failed}")))
                await page.click("#replay-2")
                await page.locator("#confirm").wait_for()
                await page.screenshot(path=FOLDER / f"console-replay-{scheme}.png")
            await browser.close()
    HASH.write_text(inputs() + "\n", encoding="ascii")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    asyncio.run(make())

"""Makes the pictures of the console for the documentation, with the hashes of their inputs beside them.

    python tests/ui/pictures.py [list execution create replay]

They show a LocalOmium with a clock that the workflow moves and with counted ids, so the same console gives the same
pictures. `test_pictures.py` reports stale ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from aiohttp.test_utils import TestServer

import omium_async.ui
from omium_async import AsyncOmium
from omium_async.local import LocalOmium, store
from omium_async.ui import console

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
sys.path.append(str(FOLDER))
import hashes  # noqa: E402

NAMES = ("list", "execution", "create", "replay")
SCHEMES = ("light", "dark")
SIZE = {"width": 1180, "height": 760}
PACKAGE = Path(omium_async.ui.__file__).parent


def picture(name: str, scheme: str) -> Path:
    """Return the path of a picture."""
    return FOLDER / f"console-{name}-{scheme}.png"


@contextmanager
def counted_ids() -> Iterator[None]:
    """Number executions and checkpoints."""
    numbers = map(str, itertools.count(10**6, 317))

    def execution(_: object) -> str:
        return f"exec_019cad{(number := next(numbers)):>010}{_tail(number):.15}"

    def checkpoint() -> str:
        return f"chk_019cad{(number := next(numbers)):>06}{_tail(number):.20}"

    new = {"new_execution_id": execution, "new_checkpoint_id": checkpoint}
    with mock.patch.multiple(store, **new):
        yield


def _tail(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()


class Clock:
    """A clock that only steps of the workflow move."""

    now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> str:
        self.now += timedelta(seconds=seconds)
        return f"{seconds} s"


def agents(local: LocalOmium, clock: Clock) -> None:
    """Register a workflow as users have them."""

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
    """Create the executions of a morning, and return the id of one that failed."""
    failed = ""
    for number in range(1, 61):
        given = {"week": number, "topic": "trade routes", "budget": 10**20 + number}
        ended = await omium.executions.run("weekly-report", given, metadata={"user": "ada"})
        failed = ended.id if ended.status == "failed" else failed
    return failed


async def make(names: list[str]) -> None:
    """Make the pictures of these names, light and dark."""
    from playwright.async_api import async_playwright

    clock = Clock()
    local = LocalOmium(clock=clock, port=8700)  # the port stands at the foot
    agents(local, clock)
    async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.005, 0.01)) as omium:
        failed = await fill(omium)
        paths = dict.fromkeys(NAMES, f"/executions/{failed}") | {"list": "/", "create": "/new"}
        async with TestServer(console(omium)) as server, async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name in names:
                for scheme in SCHEMES:
                    page = await browser.new_page(color_scheme=scheme, viewport=SIZE)
                    await page.clock.set_fixed_time(clock.now + timedelta(minutes=2))
                    await page.goto(str(server.make_url(paths[name])))
                    if name == "execution":
                        await page.click("#state-2 summary")
                    if name == "replay":
                        await page.click("#replay-2")
                        await page.locator("#confirm").wait_for()
                    await page.wait_for_timeout(300)
                    await page.screenshot(path=picture(name, scheme))
                    # A change of the Python code seldom changes the look, and needs no browser before a commit.
                    inputs = [*PACKAGE.glob("templates/*.html"), *PACKAGE.glob("static/console.*")]
                    hashes.write(picture(name, scheme), [*inputs, Path(__file__)])
                    await page.close()
            await browser.close()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with counted_ids():
        asyncio.run(make(sys.argv[1:] or list(NAMES)))

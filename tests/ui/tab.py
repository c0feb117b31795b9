"""A tab without a browser, and a console for which time passes quicker."""

from __future__ import annotations

import asyncio
import re

import attrs
import pytest

from omium_async.ui import live, questions, site


def quicken(monkeypatch, times):
    """Let every pace of the console be so many times quicker."""
    for name in ("_ROWS", "_EXECUTION", "_OVERVIEW"):
        scaled = live.Pace(*(seconds / times for seconds in attrs.astuple(getattr(site, name))))
        monkeypatch.setattr(site, name, scaled)
    monkeypatch.setattr(live, "LOOK", 1.0)  # for what a busy machine takes to answer a look is not scaled
    for module, names in {
        live: ("_AFTER_FAILURE", "_AFTER_REFUSAL", "_ENDED"),
        questions: ("_FRESH", "_LOOK_TIMEOUT", "_SPACED", "_AT_REST", "_ANEW"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) / times)


class Tab:
    """A tab as the page's script makes it: it looks for news as soon as the console says that there may be some.

    :ivar parts: the digest of each part. :ivar texts: the markup of each.
    """

    def __init__(self, page, quicker, path="/"):
        self.page = page
        self.quicker = quicker
        self.path = path
        self.parts = {}
        self.texts = {}

    async def open(self):
        self._take(await (await self.page.get(self.path)).text())

    async def look(self):
        have = ",".join(f"{name}:{digest}" for name, digest in self.parts.items())
        answer = await self.page.get(self.path, params={"have": have}, headers={"HX-Request": "true"})
        assert answer.status in (200, 204)
        self._take(await answer.text())
        return float(answer.headers["X-Next-Look"])

    async def look_for(self, seconds):
        async def looking():
            while True:  # noqa: ASYNC110 - as the page's script does
                await asyncio.sleep(await self.look() / self.quicker)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await looking()

    async def look_until(self, wanted, part):
        async with asyncio.timeout(20):
            while not re.search(wanted, self.texts.get(part, ""), re.DOTALL):  # noqa: ASYNC110 - as the page's script does
                await asyncio.sleep(await self.look() / self.quicker)

    def _take(self, text):
        for name, digest, html in re.findall(
            r'data-part="(\w+)" data-digest="(\w+)"[^>]*>(.*?)(?=<div id="part-|</main>|$)', text, re.DOTALL
        ):
            self.parts[name] = digest
            self.texts[name] = html

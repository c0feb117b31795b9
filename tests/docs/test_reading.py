"""The site in a real Chromium: on a narrow screen, in the dark, without a mouse, without a network."""

from __future__ import annotations

import os
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")

_FOUND = os.environ.get("OMIUM_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM = None if _FOUND == "none" else _FOUND

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: the site is not read in a browser"),
]

#: Of all that is wider than its place: what cannot be reached by the keyboard, to be scrolled.
OUT_OF_REACH = """
    [...document.querySelectorAll("article *")].filter(each => each.scrollWidth > each.clientWidth + 1
        && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
        && each.tabIndex < 0 && !each.querySelector("a, button")).map(each => each.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def context():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
        chromium.close()


def test_every_page_is_for_narrow_screens_and_keyboards(site, context):
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    wrong = []
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 400:
            wrong.append((path.name, f"{width} pixels wide"))
        wrong += [(path.name, found) for found in page.evaluate(OUT_OF_REACH)]
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_pictures_are_those_for_the_dark(site, context):
    page = context.new_page()
    page.goto((site / "explanations" / "unknown-writes.html").as_uri())
    shown = page.locator("article img:visible").evaluate_all("found => found.map(each => each.src)")
    assert [source.rpartition("/")[2] for source in shown] == ["unknown-writes-dark.svg"]


def test_search_finds_without_a_network(site, context):
    page = context.new_page()
    page.goto((site / "search.html").as_uri() + "?q=outcome")
    page.wait_for_selector("#search-results li a")

"""The site in a real Chromium: on narrow screens, in the dark, by keyboard, without network access."""

from __future__ import annotations

import os
import shutil

import pytest

from .conftest import ROOT

playwright = pytest.importorskip("playwright.sync_api")

_FOUND = os.environ.get("OMIUM_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM = None if _FOUND == "none" else _FOUND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

#: A page of each kind, for the audit, which takes seconds. All pages have the same styles.
AUDITED = {
    f"{name}.html" for name in ("index", "start", "search", "guides/batches", "guides/testing", "reference/edges")
}

#: Elements that scroll sideways but cannot be focused by the keyboard.
OUT_OF_REACH = """
    [...document.querySelectorAll("article *")].filter(each => each.scrollWidth > each.clientWidth + 1
        && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
        && each.tabIndex < 0 && !each.querySelector("a, button")).map(each => each.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(chromium):
    """A context with a narrow, dark screen."""
    return chromium.new_context(viewport={"width": 375, "height": 800}, color_scheme="dark")


#: Questions of readers, and the page that answers each.
QUESTIONS = {
    "May I send this again?": "guides/retry-safely.html",
    "Why does my list stop?": "guides/lists.html",
    "How do I test a lost response?": "guides/testing.html",
    "How do I keep the key out of traces?": "guides/telemetry.html",
    "What happens at Ctrl-C?": "guides/sync-code.html",
    "How do I replay only what failed since yesterday?": "guides/replay-failures.html",
    "How do I use it under Celery?": "guides/frameworks.html",
    "What do I do when the service refuses?": "guides/first-day.html",
    "Which promise has which test?": "reference/guarantees.html",
}
#: Words that newcomers type, and the page that answers them.
WORDS = {
    "pagination": "guides/lists.html",
    "429": "guides/request-costs.html",
    "rate limit": "guides/request-costs.html",
    "webhook": "guides/waiting.html",
    "cancel": "guides/stop-and-clean-up.html",
    "retry": "guides/retry-safely.html",
}
AXE = (ROOT / "tests" / "ui" / "axe.min.js").read_text()


def offences(page, **options):
    """Return the violations that axe finds in the open page: (rule, impact, element)."""
    page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)
    return [(each["id"], each["impact"], each["nodes"][0]["html"][:120]) for each in found["violations"]]


def test_every_page_fits_narrow_screens_and_is_accessible(site, context):
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    wrong = []
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 375:
            wrong.append((path.name, f"{width} pixels wide"))
        wrong += [(path.name, found) for found in page.evaluate(OUT_OF_REACH)]
        if path.relative_to(site).as_posix() in AUDITED:
            wrong += [(path.name, found) for found in offences(page)]
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", ["index", "benchmarks", "reference/settings"])
def test_light_pages_on_wide_screens_are_accessible(site, chromium, name):
    page = chromium.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light").new_page()
    page.goto((site / f"{name}.html").as_uri())
    assert offences(page) == []
    page.context.close()


def test_the_pages_are_reached_by_keyboard_on_a_narrow_screen(site, context):
    page = context.new_page()
    page.goto((site / "guides" / "batches.html").as_uri())
    menu = page.get_by_role("button", name="Pages of this site")
    drawer = page.locator(".sidebar-drawer")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    page.keyboard.press("Tab")
    assert menu.evaluate("each => each === document.activeElement")
    assert menu.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert menu.get_attribute("aria-expanded") == "true"
    assert drawer.evaluate("each => each.contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert menu.evaluate("each => each === document.activeElement")
    for _ in range(40):  # Tab skips the closed drawer
        page.keyboard.press("Tab")
        assert not drawer.evaluate("each => each.contains(document.activeElement)")


def test_dark_pages_show_dark_pictures(site, context):
    page = context.new_page()
    page.goto((site / "explanations" / "unknown-writes.html").as_uri())
    shown = page.locator("article img:visible").evaluate_all("found => found.map(each => each.src)")
    assert [source.rpartition("/")[2] for source in shown] == ["unknown-writes-dark.svg"]


def test_the_search_finds_questions_among_three_results_and_words_first(site, chromium):
    page = chromium.new_context(viewport={"width": 1300, "height": 900}).new_page()
    page.goto((site / "index.html").as_uri())
    lost = []
    for question, answer in (QUESTIONS | WORDS).items():
        page.fill(".sidebar-search", question)
        with page.expect_navigation():
            page.press(".sidebar-search", "Enter")
        page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('found')")
        links = page.locator("#search-results ul.search > li > a")
        found = links.evaluate_all("all => all.map(each => each.getAttribute('href').replace(/[?#].*/, ''))")
        best = found[: 1 if question in WORDS else 3]
        lost += [] if answer in best else [(question, best)]
    assert lost == []
    page.context.close()


def test_the_first_page_links_to_every_answer(site, context):
    page = context.new_page()
    for question, answer in QUESTIONS.items():
        page.goto((site / "index.html").as_uri())
        page.locator("article").get_by_role("link", name=question, exact=True).click()
        assert page.url.partition("#")[0] == (site / answer).as_uri()

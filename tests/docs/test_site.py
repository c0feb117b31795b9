"""The site: built without network and without a warning, complete, closed in itself.

What is public is what the public modules export. Each name has an element whose id is its dotted name; each parameter
of what can be called is described in its docstring.
"""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import pytest

from .api import MODULES, exported, fields, is_made_by_users, members, of_errors_above, of_ours
from .conftest import ROOT

pytestmark = pytest.mark.timeout(300)


@attrs.define
class Page(HTMLParser):
    """What a page has and what it refers to."""

    ids: set[str] = attrs.field(factory=set)
    links: list[str] = attrs.field(factory=list)
    loaded: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in {"canonical", "author", "next", "prev", "index", "search"}:
            self.loaded.append(found.get("href", ""))
        elif tag in {"script", "img", "source", "iframe", "embed", "object", "video", "audio", "use"}:
            self.loaded += [found[name] for name in ("src", "href", "data") if name in found]
            self.loaded += [part.split()[0] for part in found.get("srcset", "").split(",") if part.strip()]


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for path in site.rglob("*.html"):
        page = Page()
        page.feed(path.read_text())
        found[path] = page
    return found


def test_every_public_name_has_an_element_of_that_id(pages):
    ids = set().union(*(page.ids for page in pages.values()))
    wanted = [*MODULES]
    for dotted, module, thing in exported():
        wanted.append(dotted)
        if inspect.isclass(thing) and thing.__module__ == module:  # else it leads to where it is described
            # What errors have in common is described once.
            wanted += [f"{dotted}.{name}" for name in {*members(thing), *fields(thing)} - of_errors_above(thing)]
    assert [dotted for dotted in wanted if dotted not in ids] == []


def described(docstring: str) -> set[str]:
    return set(re.findall(r":(?:param|ivar) \*{0,2}(\w+):", docstring))


def callables() -> list[tuple[str, Any, str]]:
    """Whatever can be called: its dotted name, what it is, and the words that describe its parameters."""
    found: list[tuple[str, Any, str]] = []
    for dotted, _, thing in exported():
        if inspect.isclass(thing):
            if is_made_by_users(thing):
                words = [base.__doc__ or "" for base in thing.__mro__ if of_ours(base)]
                found.append((dotted, thing, "\n".join(words)))
            for name, member in members(thing).items():
                function = getattr(member, "__func__", member)
                if inspect.isfunction(function):
                    found.append((f"{dotted}.{name}", function, function.__doc__ or ""))
        elif inspect.isfunction(thing):
            found.append((dotted, thing, thing.__doc__ or ""))
    return found


@pytest.mark.parametrize(("dotted", "thing", "words"), [pytest.param(*each, id=each[0]) for each in callables()])
def test_every_parameter_is_described(dotted, thing, words):
    parameters = set(inspect.signature(thing).parameters) - {"self", "cls"}
    assert parameters - described(words) == set()
    assert words.strip()


def test_nothing_comes_from_another_origin(site, pages):
    foreign = [(path.name, source) for path, page in pages.items() for source in page.loaded if urlsplit(source).netloc]
    for path in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found = re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        foreign += [
            (path.name, source) for source in found if not source.startswith("data:") and urlsplit(source).netloc
        ]
    assert foreign == []


def test_links_within_the_site_lead_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            lost = fragment and target in pages and fragment not in pages[target].ids
            if lost or not target.exists():
                broken.append((path.name, link))
    assert broken == []


def test_the_site_can_be_searched_offline(site):
    assert (site / "searchindex.js").stat().st_size > 10_000


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=str
)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text()
    named = re.findall(r"`((?:tests|benchmarks|docs|examples)/[\w./-]+)`", text)
    if page.parent == ROOT:
        named += re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []

"""The site builds without network access and warnings, has an element for each public name, and no broken links."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
import pytest

from .api import MODULES, exported, fields, members, of_public_bases
from .test_curl import CURL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@attrs.define
class Page(HTMLParser):
    """The ids, links and loaded files of a page."""

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
        if inspect.isclass(thing) and thing.__module__ == module:  # otherwise the entry links to another module's
            # The base class describes the common attributes of errors.
            wanted += [f"{dotted}.{name}" for name in {*members(thing), *fields(thing)} - of_public_bases(thing)]
    assert [dotted for dotted in wanted if dotted not in ids] == []


def test_no_page_loads_a_file_from_another_origin(site, pages):
    foreign = [(path.name, source) for path, page in pages.items() for source in page.loaded if urlsplit(source).netloc]
    for path in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found = re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        foreign += [
            (path.name, source) for source in found if not source.startswith("data:") and urlsplit(source).netloc
        ]
    assert foreign == []


def test_no_link_within_the_site_is_broken(pages):
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


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_llms_txt_has_the_form_of_llmstxt_org_and_names_every_page(site, pages):
    title, about, *sections = (site / "llms.txt").read_text().rstrip().split("\n\n")
    assert title == "# omium-async"
    assert about.startswith("> ")
    assert LINK.findall(sections.pop(0)) == ["llms-full.txt"]
    listed = []
    for heading, links in zip(sections[::2], sections[1::2], strict=True):
        assert re.fullmatch(r"## [\w ]+", heading)
        for line in links.splitlines():
            found = re.fullmatch(r"- \[[^\]]+\]\(([\w/.-]+)\): \S.+", line)
            assert found, line
            listed.append(found[1])
    made = {"index.html", "genindex.html", "search.html", "py-modindex.html", "reference/index.html"}
    assert sorted(listed) == sorted(f"{name}.md" for path in pages if (name := str(path.relative_to(site))) not in made)


def test_the_text_of_each_page_is_in_llms_full_txt(site):
    full = (site / "llms-full.txt").read_text()
    for path in site.rglob("*.html.md"):
        title, _, body = path.read_text().partition("\n\n")
        assert f"{title}\n\nPage: {path.relative_to(site).as_posix().removesuffix('.md')}\n\n" in full
        assert body.strip()
        assert LINK.sub("", body) in LINK.sub("", full)
    assert "timeout: float | None = 120" in full  # the reference, which is built from the code


def test_no_link_of_the_texts_is_broken(site, pages):
    broken = []
    texts = [site / "llms.txt", site / "llms-full.txt", *site.rglob("*.html.md")]
    for path in texts:
        prose = re.sub(r"^( *)(`{3,}).*?^\1\2$|`[^`\n]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in LINK.findall(prose):
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve()
            lost = parts.fragment and unquote(parts.fragment) not in pages[target].ids
            if not parts.netloc and (lost or not target.is_file()):
                broken.append((path.name, link))
    assert broken == []
    assert "](guides/" in (site / "llms-full.txt").read_text()


def test_the_reference_of_each_call_shows_its_curl_command_in_both_packages(site):
    for page in ("async", "sync"):
        text = (site / "reference" / f"{page}.html.md").read_text()
        missing = [name for name, (_, command) in CURL.items() if f"```sh\n{command}\n```" not in text]
        assert missing == []


def test_the_settings_are_shown_with_their_defaults(site):
    text = (site / "reference" / "settings.html.md").read_text()
    shown = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]*)`? \|", text, re.MULTILINE))
    assert (shown["timeout"], shown["max_retries"], shown["backoff"]) == ("120", "3", "(0.5, 8.0)")
    assert (shown["api_key"].strip(), shown["agent_id"]) == ("none", "None")


def test_the_site_can_be_searched_offline(site):
    assert (site / "searchindex.js").stat().st_size > 10_000

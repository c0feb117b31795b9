"""What pages show, over a service that does as it should, and over one that does not."""

from __future__ import annotations

import asyncio
import html
import re
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from omium_async import AsyncOmium
from omium_async.ui import console, live
from omium_async.ui.listing import Listing
from omium_async.ui.site import SITE
from omium_async.ui.view import View

from .conftest import KEY, Service, row, served

pytestmark = pytest.mark.timeout(60)

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'


async def text_of(page, path, status=200):
    answer = await page.get(URL(path, encoded=True))
    text = await answer.text()
    assert answer.status == status, text
    assert KEY not in text
    return text


async def text_with(page, path, wanted):
    """The page, once it shows what is wanted: it does not wait for the service for long."""
    async with asyncio.timeout(30):
        while wanted not in (text := await text_of(page, path)):  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.05)
    return text


async def test_a_list_shows_rows_counts_and_failures(page, service):
    service.rows = [row(3, "failed", error="boom"), row(2, "failed", error="boom"), row(1, "running")]
    text = await text_of(page, "/")
    assert re.findall(r'id="row-(exec_\d)"', text) == ["exec_3", "exec_2", "exec_1"]
    assert "2\N{MULTIPLICATION SIGN}" in text
    assert "<title>Executions – Omium console</title>" in text  # noqa: RUF001
    assert len(service.requests) == 1  # which says all there is to count


async def test_failures_that_differ_in_ids_and_numbers_are_one_group(page, service):
    errors = [f"order ord-{n}f, of {n} in all, was not found (HTTP {404 if n > 2 else 500})" for n in range(1, 7)]
    service.rows = [row(n, "failed", error=errors[n - 1]) for n in range(6, 0, -1)]
    text = await text_of(page, "/")
    groups = re.findall(r'title="(\d) executions">.*?id="failure-\d"[^>]*>(.*?)</a>(.*?)</div>', text, re.DOTALL)
    assert [(count, error) for count, error, _ in groups] == [("4", errors[5]), ("2", errors[1])]
    assert all("ids or numbers differ" in more for *_, more in groups)


async def test_an_error_of_megabytes_holds_up_no_page(page, service):
    service.rows = [row(n, "failed", error="w" * 1_000_000) for n in range(5, 0, -1)]
    begun = asyncio.get_running_loop().time()
    text = await text_of(page, "/")
    assert asyncio.get_running_loop().time() - begun < 3
    assert "ids or numbers differ" not in text


async def test_counts_of_a_long_list_are_asked_for(page, service):
    service.rows = [row(n, "failed" if n % 4 == 0 else "completed", error="boom") for n in range(120, 0, -1)]
    text = await text_of(page, "/")
    assert re.search(r'id="count-failed"[^>]*>.*?30</span>', text)
    assert re.search(r'id="count-completed"[^>]*>.*?90</span>', text)
    assert "30\N{MULTIPLICATION SIGN}" in text
    assert 'rel="next" href="./?page=2"' in text


async def test_pages_go_back_without_end(page, service):
    service.rows = [row(n) for n in range(230, 0, -1)]
    seen = []
    for number in range(1, 6):
        text = await text_of(page, f"/?page={number}")
        seen += re.findall(r'id="row-(exec_\d+)"', text)
        assert ('id="older"' in text) == (number < 5)
    assert seen == [each["id"] for each in service.rows]
    assert "Nothing as far back as page 6" in await text_of(page, "/?page=6")


async def crawled(page, path):
    """The ids of this page and of all that its links to older ones lead to, and which rows each says that it shows."""
    seen, said = [], []
    while path is not None:
        text = await text_of(page, path)
        seen += re.findall(r'id="row-(exec_\d+)"', text)
        said += re.findall(r'<span class="faint">(\d[\d,]*–[\d,]+(?: of [\d,]+)?)</span>', text)  # noqa: RUF001
        older = re.search(r'id="older"[^>]* href="\.(/[^"]*)"', text)
        path = older and html.unescape(older[1])
    return seen, said


@pytest.mark.parametrize("totals", [True, False])
@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("query", ["", "status=failed", "status=failed&status=error"])
async def test_pages_of_a_service_that_gives_fewer_rows_go_back_without_end(page, service, totals, sizes, query):
    service.totals, service.sizes, service.most = totals, sizes, 20
    service.rows = [row(n, ["failed", "error", "failed", "completed"][n % 4]) for n in range(190, 0, -1)]
    seen, said = await crawled(page, f"/?{query}")
    wanted = [each["id"] for each in service.rows if not query or each["status"] in query]
    assert seen == wanted
    size = 50 if query.count("status") == 2 else 20  # several statuses are read by the client, page by page
    ranges = [f"{n + 1}–{min(n + size, len(wanted))}" for n in range(0, len(wanted), size)]  # noqa: RUF001
    assert said == [f"{text} of {len(wanted)}" if totals and size == 20 else text for text in ranges]


@pytest.mark.parametrize("first", [4, 7, 10])
@pytest.mark.parametrize("totals", [True, False])
async def test_a_page_of_fewer_rows_that_is_opened_first_leads_to_the_next(page, service, totals, first):
    service.totals, service.sizes, service.most = totals, False, 20
    service.rows = [row(n) for n in range(1_210, 0, -1)]
    seen, said = await crawled(page, f"/?page={first}")
    assert seen == [each["id"] for each in service.rows[(first - 1) * 20 :]]
    assert said[0].startswith(f"{(first - 1) * 20 + 1}–")  # noqa: RUF001


async def test_the_end_of_a_list_is_asked_for_once_where_nothing_else_tells_it(page, service):
    service.totals = service.sizes = False
    service.rows = [row(n) for n in range(30, 0, -1)]
    assert 'id="older"' not in await text_of(page, "/")
    listing = Listing(page.server.app[SITE].questions, View())
    assert not (await listing.read()).more
    before = len(service.requests)
    assert not (await listing.read()).more
    assert len(service.requests) - before == 1
    service.rows = [row(n) for n in range(60, 0, -1)]
    assert (await listing.read()).more


async def test_a_service_that_knows_no_pages_has_no_older_ones(page, service, monkeypatch):
    service.totals = service.sizes = False
    service.rows = [row(n) for n in range(30, 0, -1)]
    monkeypatch.setattr(Service, "number", staticmethod(lambda _: 1))
    assert 'id="older"' not in await text_of(page, "/")


async def test_several_statuses_are_one_list(page, service):
    service.rows = [row(n, ["failed", "error", "completed"][n % 3]) for n in range(90, 0, -1)]
    text = await text_of(page, "/?status=failed&status=error")
    wanted = [each["id"] for each in service.rows if each["status"] != "completed"]
    assert re.findall(r'id="row-(exec_\d+)"', text) == wanted[:50]


@pytest.mark.parametrize("count", [12, 120, 700])
async def test_a_service_that_does_not_count_is_no_outage(page, service, count):
    service.totals = service.sizes = False
    service.rows = [row(n, "failed" if n % 4 == 0 else "completed", error="boom") for n in range(count, 0, -1)]
    text = await text_of(page, "/")
    assert f'id="row-exec_{count}"' in text
    assert f"{count // 4}\N{MULTIPLICATION SIGN}" in text
    assert "since <time" not in text  # which an outage would say
    assert ("does not say how many" in text) == (count > 50)
    assert ('rel="next"' in text) == (count > 50)


@pytest.mark.parametrize("path", ["/?page=2", "/?metadata=user%3Dada", "/?status=failed&status=error"])
async def test_rows_too_large_to_be_read_many_at_once_are_read_few_at_once(service, monkeypatch, path):
    monkeypatch.setattr(live, "_AFTER_FAILURE", 0.05)
    service.rows = [row(n, "failed", error="boom", output_data="x" * 2_000) for n in range(300, 0, -1)]
    options = {"base_url": service.url, "max_retries": 0, "max_response_bytes": 400_000}
    async with AsyncOmium(KEY, **options) as omium, served(omium) as page:
        await text_with(page, path, "As of")
        assert "300\N{MULTIPLICATION SIGN}" in await text_with(page, path, "What failed")


async def test_a_page_that_holds_fewer_than_were_asked_for_is_not_taken_for_all(page, service):
    service.totals = service.sizes = False
    service.most = 20
    service.rows = [row(n, "failed" if n > 280 else "completed", error="boom") for n in range(300, 0, -1)]
    assert "does not say how many" in await text_of(page, "/")


async def test_counts_and_failures_say_what_they_are_of(page, service):
    service.rows = [row(n, "failed", error="boom") for n in range(3, 0, -1)]
    assert "Counts are of" not in await text_of(page, "/?workflow_id=report&status=failed")
    for query in ("since=1h", "before=1h", "metadata=user%3Dada"):
        text = await text_of(page, f"/?{query}")
        assert "Counts are of all executions: the service does not count by time or metadata." in text
        assert "all 3, by error, of any time and metadata" in text
    assert "Counts are of all of workflow report:" in await text_of(page, "/?workflow_id=report&since=1h")


async def test_a_list_filtered_by_the_client(page, service):
    service.rows = [row(n, metadata={"user": "ada" if n % 2 else "bob"}) for n in range(120, 0, -1)]
    text = await text_of(page, "/?metadata=user%3Dada&since=2026-01-01T12:00:30Z&before=2026-01-01T12:01:00Z")
    assert re.findall(r'id="row-(exec_\d+)"', text) == [f"exec_{n}" for n in range(59, 29, -2)]


async def test_a_search_stops_before_it_costs_too_much_and_goes_on_when_told(page, service):
    service.rows = [row(n, metadata={"user": "ada" if n == 1 else "bob"}) for n in range(6_000, 0, -1)]
    text = await text_of(page, "/?metadata=user%3Dada")
    assert "Search on" in text
    first = len(service.requests)
    assert first <= 40
    await text_with(page, "/?metadata=user%3Dada&reach=9", 'id="row-exec_1"')


@pytest.mark.parametrize("query", ["since=soon", "before=x", "metadata=x", "page=99999999"])
async def test_filters_that_make_no_sense_are_refused_before_anything_is_asked(page, service, query):
    text = await text_of(page, f"/?{query}", 400)
    assert "problem" in text
    assert service.requests == []


async def test_empty_fields_of_a_form_leave_the_address(page):
    answer = await page.get("/?workflow_id=report&since=&before=&metadata=&status=", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, "./?workflow_id=report")


async def test_empty_lists_say_what_to_do_next(page):
    assert "Create the first one" in await text_of(page, "/")
    assert "Show all executions" in await text_of(page, "/?status=failed")


async def test_what_the_service_sends_is_text(page, service):
    service.rows = [
        row(
            1,
            "failed",
            id=f"exec/..{NASTY}",
            workflow_id=NASTY,
            error=NASTY,
            agent_id=NASTY,
            input_data={NASTY: NASTY},
            output_data=[NASTY],
            metadata={NASTY: {NASTY: NASTY}},
            later=NASTY,
        ),
        row(2, NASTY),
    ]
    service.checkpoints(service.rows[0]["id"], NASTY)
    service.rows[0]["checkpoints"][0]["id"] = NASTY
    one = "/executions/" + quote(service.rows[0]["id"], safe="")
    pages = [
        "/",
        "/?workflow_id=" + quote(NASTY),
        one,
        f"{one}/json?part=input",
        f"{one}/json?part=output&find=script",
        f"{one}/replay?checkpoint={quote(NASTY)}",
        f"{one}/rollback?checkpoint={quote(NASTY)}",
        f"/new?like={quote(service.rows[0]['id'])}",
        f"/bulk?workflow_id={quote(NASTY)}",
    ]
    for path in pages:
        text = await text_of(page, path)
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
        assert "49" not in text.replace("{{7*7}}", "") or "{{7*7}}" in text
        for tag in re.findall(r"<[a-z][^>]*>", text):
            assert "onerror=alert" not in tag or "&gt;" in tag or "%3E" in tag, tag


@pytest.mark.parametrize(
    "execution_id", ["a/b", "../x", "a b", "100%", "a?b#c", "x" * 300, "日本", ".hidden", "a;b", "%2F"]
)
async def test_ids_of_any_form_have_a_page(page, service, execution_id):
    service.rows = [row(1, id=execution_id)]
    text = await text_of(page, "/")
    href = re.search(r'<a id="row-[^"]*" href="([^"]*)"', text)
    assert href is not None
    shown = await text_of(page, "/" + href[1].removeprefix("./"))
    assert 'id="h-timeline"' in shown
    assert "No such execution" not in shown


@pytest.mark.parametrize("segment", ["..%2F..", "live", "compare", "%00", "exec_none", "%3Cb%3E"])
async def test_an_execution_that_is_not_there(page, segment):
    assert "No such execution" in await text_of(page, f"/executions/{segment}", 404)


async def test_pages_that_are_not_there(page):
    for path in ("/nothing", "/static/nothing.js", "/static/..%2F__init__.py", "/bulk/none", "/executions/x/y/z"):
        assert (await page.get(URL(path, encoded=True))).status == 404, path


async def test_an_execution_shows_where_it_stopped(page, service):
    service.rows = [row(1, "failed", error="the ledger does not add up", output_data={"pages": [1, 2]})]
    service.checkpoints("exec_1", "read", "count")
    text = await text_of(page, "/executions/exec_1")
    for part in ("the ledger does not add up", "read", "count", "stopped here", "Replay from the latest", "pages"):
        assert part in text
    assert "<title>exec_1 failed" in text


async def test_replay_is_offered_where_the_service_takes_it(page, service):
    service.rows = [row(1, "completed")]
    service.checkpoints("exec_1", "read")
    text = await text_of(page, "/executions/exec_1")
    assert "/replay" not in text
    assert "/rollback" in text


async def test_data_of_five_megabytes_is_shown_as_far_as_it_is_looked_at(page, service):
    service.rows = [row(1, output_data=[{"n": n, "text": "x" * 80, "needle": n == 49_000} for n in range(50_000)])]
    text = await text_of(page, "/executions/exec_1")
    assert len(text) < 200_000
    assert "49,900 more" in text
    fragment = await (
        await page.get("/executions/exec_1/json?part=output&start=100", headers={"HX-Request": "true"})
    ).text()
    assert "49,800 more" in fragment
    assert "<html" not in fragment
    found = await text_of(page, "/executions/exec_1/json?part=output&find=true")
    assert "/49000/needle" in found
    raw = await page.get("/executions/exec_1/raw?part=output")
    assert len(await raw.json()) == 50_000
    assert "attachment" in raw.headers["Content-Disposition"]
    assert [path for _, path in service.requests] == ["/api/v1/executions/exec_1"]


async def test_origins_and_replays_are_linked(page, service):
    service.rows = [row(1, metadata={"replayed_from": "exec_0"}, replay_execution_id="exec_2")]
    text = await text_of(page, "/executions/exec_1")
    assert 'href="../executions/exec_0"' in text
    assert 'href="../executions/exec_2"' in text


@pytest.mark.parametrize("trouble", ["drop", 500, 503, 429, 401, 403, 422])
async def test_a_service_that_fails_is_told_in_words(page, service, trouble):
    service.rows = [row(1)]
    service.trouble = trouble
    text = await text_of(page, "/", 502)
    assert "Nothing is known yet" in text
    assert ("OMIUM_API_KEY" in text) == (trouble == 401)
    await text_of(page, "/executions/exec_1", 502)
    await text_of(page, "/executions/exec_1/replay?checkpoint=x", 502)
    await text_of(page, "/new?like=exec_1")
    assert "Last errors" in await text_of(page, "/client")


@pytest.mark.parametrize("trouble", [401, 429])
async def test_a_page_that_is_refused_is_there_at_once_also_when_it_is_opened_again(page, service, trouble):
    service.trouble = trouble
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await text_of(page, "/", 502)
        await text_of(page, "/executions/exec_1", 502)
    assert loop.time() - begun < 2
    assert len(service.requests) <= 4


async def test_a_long_error_has_a_button_with_a_short_name(page, service):
    service.rows = [row(1, "failed", error="boom " * 1_000)]
    names = re.findall(r'aria-label="(Copy [^"]*)"', await text_of(page, "/executions/exec_1"))
    assert sorted(names) == ["Copy the error", "Copy the id exec_1"]


async def test_what_was_known_stays_shown_with_its_age(page, service):
    service.rows = [row(1)]
    await text_of(page, "/")
    service.trouble = "drop"
    site = page.server.app
    site[SITE].live.soon()
    text = await text_with(page, "/?page=1", "What stands here was true")
    assert 'id="row-exec_1"' in text


async def test_a_slow_service_does_not_hold_up_the_page(page, service):
    service.trouble = "stall"
    loop = asyncio.get_running_loop()
    begun = loop.time()
    text = await text_of(page, "/")
    assert loop.time() - begun < 7
    assert "Reading the list" in text


async def test_it_works_under_a_prefix(omium, service):
    service.rows = [row(1, "failed")]
    service.checkpoints("exec_1", "read")
    app = web.Application()
    app.add_subapp("/tools/omium", console(omium))
    async with TestClient(TestServer(app)) as page:
        answer = await page.get("/tools/omium?status=failed")
        assert answer.url.path_qs == "/tools/omium/?status=failed"
        base = answer.url
        text = await answer.text()
        for link in re.findall(r'(?:href|src|action|hx-get)="([^"#]+)"', text):
            assert (base.join(URL(link))).path.startswith("/tools/omium/"), link
        one = await page.get("/tools/omium/executions/exec_1")
        text = await one.text()
        for link in set(re.findall(r'(?:href|src|action|hx-get)="([^"#]+)"', text)):
            target = one.url.join(URL(link.replace("&amp;", "&"), encoded=True))
            assert target.path.startswith("/tools/omium/"), link
            if "download" not in link:
                assert (await page.get(target.relative())).status in (200, 404), link
        assert (await page.get("/tools/omium/none/such")).status == 404


async def test_htmx_is_the_version_that_the_package_says(page):
    from omium_async.ui import rendering

    version = re.search(r"htmx (\d+\.\d+\.\d+)", rendering.__doc__)[1]
    assert f'version:"{version}"' in await (await page.get("/static/htmx.min.js")).text()
    assert "BSD" in await (await page.get("/static/htmx.LICENSE.txt")).text()


async def test_files_are_kept_by_browsers_for_as_long_as_they_are_the_same(page):
    text = await text_of(page, "/client")
    script = re.search(r'src="\./(static/console\.js\?v=\w+)"', text)
    assert script is not None
    answer = await page.get("/" + script[1])
    assert "immutable" in answer.headers["Cache-Control"]
    assert "immutable" not in (await page.get("/static/console.js")).headers["Cache-Control"]
    assert (await page.get("/")).headers["Cache-Control"] == "no-store"

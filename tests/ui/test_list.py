"""The list: its rows and counts, its requests, and its messages when the service fails."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from omium_async import AsyncOmium
from omium_async.ui.view import STATUSES, View

from .conftest import KEY, NASTY, ids, row, served


async def test_the_list_shows_rows_counts_and_failures_by_error(page, service):
    errors = [f"order ord-{n}f, of {n} in all, was not found (HTTP {404 if n > 2 else 500})" for n in range(1, 7)]
    service.rows = [row(n, "failed", error=errors[n - 1]) for n in range(6, 0, -1)] + [row(0, "running")]
    text = await page.get("/")
    assert ids(text) == [f"exec_{n}" for n in range(6, -1, -1)]
    assert re.search(r'id="count-failed"[^>]*>.*?6</span>', text)
    groups = re.findall(r'title="(\d) executions">.*?id="failure-\d"[^>]*>(.*?)</a>', text, re.DOTALL)
    assert groups == [("4", errors[5]), ("2", errors[1])]


async def test_a_group_of_failures_opens_its_executions_and_replays_them(page, service):
    service.rows = [row(n, "failed", error=f"no order {n}" if n % 2 else "boom") for n in range(9, 0, -1)]
    group = html.unescape(re.search(r'id="failure-1" href="\.(/[^"]*)"', await page.get("/"))[1])
    text = await page.get(group)
    assert ids(text) == [f"exec_{n}" for n in range(9, 0, -2)]
    bulk = html.unescape(re.search(r'href="\.(/bulk[^"]*)">Replay these', text)[1])
    assert "one group of failures" in await page.get(bulk)


async def test_pages_go_back_without_end(page, service):
    for service.counts, service.most in ((True, 1000), (True, 20), (False, 20)):
        service.rows = [row(n) for n in range(190, 0, -1)]
        path, seen = "/", []
        while path:
            text = await page.get(path)
            seen += ids(text)
            older = re.search(r'id="older"[^>]* href="\.(/[^"]*)"', text)
            path = older and html.unescape(older[1])
        assert seen == [each["id"] for each in service.rows]
    assert "There is no page 60" in await page.get("/?page=60")
    service.rows.clear()
    assert "Create the first one" in await page.get("/")
    answer = await page.client.get("/?workflow_id=report&since=&metadata=", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, "./?workflow_id=report")


async def test_filters_of_the_client_find_rows_and_say_how_far_they_searched(page, service):
    service.rows = [row(n, metadata={"user": "ada" if n % 2 else "bob"}) for n in range(120, 0, -1)]
    text = await page.get("/?metadata=user%3Dada&since=2026-01-01T12:00:30Z&before=2026-01-01T12:01:00Z")
    assert ids(text) == [f"exec_{n}" for n in range(59, 29, -2)]
    assert ids(await page.get("/?status=failed&status=completed")) == [f"exec_{n}" for n in range(120, 70, -1)]


async def test_rows_pass_the_filters_of_the_console_as_they_pass_those_of_the_client(page, service, omium):
    values = [[1], [True], {"b": [0]}, {"b": [False]}, 1.0, None]
    service.rows = [row(n, metadata={"a": value}) for n, value in enumerate(values)] + [row(9), row(8, created_at=None)]
    for value in (*values, 1, "1"):
        address = "/?metadata=" + quote(f"a:={json.dumps(value)}", safe="")
        found = [each.id async for each in omium.executions.list(metadata={"a": value})]
        assert ids(await page.get(address)) == found, value
    assert ids(await page.get("/?metadata=a%3A%3D%5Btrue%5D")) == ["exec_1"]
    assert "exec_8" not in ids(await page.get("/?since=2026-01-01T12:00:00Z"))


async def test_since_finds_the_newest_rows_of_a_list_in_ascending_order(page, service):
    service.rows = [row(n) for n in range(700)]
    assert ids(await page.get("/?since=2026-01-01T12:11:00Z")) == [f"exec_{n}" for n in range(660, 700)]
    assert len([path for path in service.requests if "page_size=500" in path]) == 2
    service.rows.reverse()
    service.requests.clear()
    assert len(ids(await page.get("/?since=2026-01-01T12:11:00Z"))) == 40
    assert len([path for path in service.requests if "page_size=500" in path]) == 1  # 100 older rows are enough


async def test_a_search_says_how_far_it_got_and_continues_from_there(page, service):
    service.rows = [row(n, metadata={"user": "ada" if n == 1 else "bob"}) for n in range(8_000, 0, -1)]
    text = await page.get("/?metadata=user%3Dada")
    assert "Searched the newest 6,000 executions, back to 2026-01-01 12:33:21 UTC, with 12 requests" in text
    older = html.unescape(re.search(r'id="search-on" href="\.([^"]*)"', text)[1])
    assert ids(await page.get(older)) == ["exec_1"]


async def test_no_address_makes_the_console_search_further(page, service):
    service.rows = [row(n) for n in range(7_000, 0, -1)]
    await page.look("/?metadata=a%3Db&reach=100&window=2", "rows")
    assert len(service.requests) == 12


async def test_a_service_that_does_not_count_is_not_an_outage(page, service):
    service.counts = False
    service.rows = [row(n, "failed" if n % 4 == 0 else "completed", error="boom") for n in range(120, 0, -1)]
    text = await page.get("/")
    assert "does not say how many" in text
    assert "30\N{MULTIPLICATION SIGN}" in text
    assert 'rel="next"' in text


async def test_rows_too_large_to_be_read_many_at_once_are_read_few_at_once(service):
    large = {"output_data": "x" * 5_000, "metadata": {"user": "ada"}}
    service.rows = [row(n, "failed", error="boom", **large) for n in range(120, 0, -1)]
    options = {"base_url": service.url, "max_retries": 0, "max_response_bytes": 400_000}
    async with AsyncOmium(KEY, **options) as omium, served(omium) as page:
        text = await page.get("/?metadata=none%3Dat-all")
    assert "Nothing matches" in text
    assert "120\N{MULTIPLICATION SIGN}" in text


async def test_a_look_sends_what_changed_and_nothing_else(page, service):
    service.rows = [row(n, "running") for n in range(3, 0, -1)]
    first = await page.get("/")
    have = ",".join(":".join(pair) for pair in re.findall(r'data-part="(\w+)" data-digest="(\w+)"', first))
    service.requests.clear()
    assert await page.look("/", "counts", have) == ""
    assert "data-part" not in (await page.look("/", "rows", have)).replace('data-part="freshness"', "")
    service.rows[0]["status"] = "failed"
    changed = await page.look("/", "rows", have)
    assert set(re.findall(r'data-part="(\w+)"', changed)) == {"rows", "freshness"}
    assert "is-failed" in changed


async def test_an_outage_shows_with_the_age_of_what_was_known(page, service):
    service.rows = [row(1)]
    await page.get("/")
    for service.trouble in ("drop", 503, 401):
        text = await page.look("/", "rows", as_of="2026-01-01T12:00:00Z")
        assert "The data below was read" in text
        assert re.findall(r'data-part="(\w+)"', text) == ["outage"]  # so the rows stay as they were
    assert "OMIUM_API_KEY" in text
    service.trouble = None
    assert "The data below" not in await page.look("/", "rows")


@pytest.mark.parametrize("trouble", ["drop", 429, 401])
async def test_a_page_that_is_opened_in_an_outage_says_what_is_wrong(page, service, trouble):
    service.rows, service.trouble = [row(1)], trouble
    assert "No data has been read yet" in await page.get("/", 502)
    await page.get("/executions/exec_1", 502)
    await page.get("/executions/exec_1/replay?checkpoint=x", 502)
    assert "could not be filled" in await page.get("/new?like=exec_1")


async def test_invalid_filters_are_rejected_before_anything_is_requested(page, service):
    wrong = ["since=soon", "since=999999w", "since=1h&before=2h", "metadata=x", "metadata=a%3A%3Dx"]
    wrong += ["metadata=a%3D1&metadata=a%3D2", "metadata=a%3A%3D%22%5Cud800%22"]
    for query in (*wrong, "page=99999999", "error=x", "status=faild"):
        text = await page.get(f"/?{query}", 400)
        assert f'id="problem-{query.partition("=")[0]}"' in text
        assert 'type="hidden"' not in text  # what cannot be corrected is not sent again
        await page.get(f"/bulk?{query}", 400)
    assert service.requests == []


async def test_a_time_that_utc_cannot_hold_is_shown_as_sent(page, service):
    for moment in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
        service.rows = [row(1, "failed", created_at=moment, started_at=moment, completed_at=moment), row(0)]
        service.rows[0]["checkpoints"] = [{"id": "chk_1", "name": "read", "created_at": moment}]
        await page.get("/executions/exec_1/replay?checkpoint=chk_1")
        for path in ("/", "/executions/exec_1"):
            assert moment.replace("T", " ") in await page.get(path)


async def test_long_names_are_cut_in_the_list_and_whole_on_their_own_page(page, service):
    long = "x" * 300_000
    service.rows = [row(2, long, id=f"y{long}", error=long), row(1, "failed", workflow_id=long, error=long)]
    service.checkpoints("exec_1", long)
    for path in ("/", "/executions/exec_1/replay?checkpoint=chk_1"):
        assert len(await page.get(path)) < 60_000
    assert long in await page.get("/executions/exec_1")


async def test_what_the_service_sends_is_shown_as_text(page, service):
    data = {"input_data": {NASTY: NASTY}, "output_data": [NASTY], "metadata": {NASTY: {NASTY: NASTY}}, "later": NASTY}
    service.rows = [row(1, "failed", id=f"exec/..{NASTY}", workflow_id=NASTY, error=NASTY, agent_id=NASTY, **data)]
    service.rows.append(row(2, NASTY))
    service.checkpoints(service.rows[0]["id"], NASTY)
    service.rows[0]["checkpoints"][0]["id"] = NASTY
    service.state = {NASTY: NASTY}
    one, nasty = "/executions/" + quote(service.rows[0]["id"], safe=""), quote(NASTY)
    pages = ["/", f"/?workflow_id={nasty}", one, f"{one}/json?part=input", f"{one}/json?part=output"]
    pages += [f"{one}/{action}?checkpoint={nasty}" for action in ("replay", "rollback")]
    pages += [f"/new?like={quote(service.rows[0]['id'])}", f"/bulk?workflow_id={nasty}"]
    pages += [f"{one}/json?part=state&checkpoint=chk_1"]
    for path in pages:
        text = await page.get(path)
        assert "<script>document" not in text, path
        assert "<img" not in text, path
        assert "{{7*7}}" in text or "49" not in text


async def test_an_id_of_any_form_has_a_page(page, service):
    names = ["a/b", "../x", "a b", "a?b#c", "x" * 300, "日本", "%2F", "a:b"]
    service.rows = [row(1, id=name) for name in names]
    links = re.findall(r'<a id="row-[^"]*" href="\.([^"]*)"', await page.get("/"))
    assert len(links) == len(names)
    for link in links:
        assert 'id="h-timeline"' in await page.get(link)


texts = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)
pairs = st.builds(lambda key, value: f"{key}={value}".strip(), st.from_regex(r"[a-z/<&]{1,9}", fullmatch=True), texts)


@given(
    st.builds(
        View,
        workflow_id=st.just("") | texts,
        statuses=st.lists(st.sampled_from(STATUSES), unique=True, max_size=3).map(tuple),
        since=st.sampled_from(["", "2h", "30 m", "1.5d", "2026-01-01", "2026-01-01T10:00:00+02:00"]),
        before=st.sampled_from(["", "7d", "2026-01-01T00:00Z"]),
        metadata=st.lists(pairs, unique=True, max_size=3).map(tuple),
        page=st.integers(1, 10_000),
    )
)
def test_an_address_contains_the_whole_view(view):
    query = MultiDict(parse_qsl(view.query().lstrip("?"), keep_blank_values=True))
    assert View.unchecked(query) == view

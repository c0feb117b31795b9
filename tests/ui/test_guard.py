"""Who may ask: foreign hosts, origins, frames and methods are refused, whatever the page."""

from __future__ import annotations

import pytest

from omium_async.ui import console
from omium_async.ui.site import SITE

from .conftest import KEY, row, served

pytestmark = pytest.mark.timeout(30)

PAGES = ["/", "/new", "/client", "/bulk", "/executions/exec_1", "/static/console.js", "/nothing"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_forbids_what_pages_do_not_need(page, service, path):
    service.rows = [row(1)]
    answer = await page.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    text = await answer.text()
    assert KEY not in text
    assert "style=" not in text or path.startswith("/static")
    assert "<script>" not in text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "user@localhost",
        "10.0.0.1",
        "localhost/x",
        "[::2]",
        "0.0.0.0",
        "localhost:notaport",
        "",
    ],
)
async def test_a_foreign_host_is_refused_before_the_service_is_asked(page, service, host):
    answer = await page.get("/", headers={"Host": host})
    assert answer.status in (400, 403)
    assert service.requests == []


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9", "127.0.0.2", "[::1]:80", "LOCALHOST"])
async def test_names_of_this_machine_are_answered(page, host):
    assert (await page.get("/client", headers={"Host": host})).status == 200


async def test_other_origins_are_answered_where_they_are_named(omium):
    async with served(omium, origins=["https://console.example.com", "http://box:8080/"]) as page:
        for host in ("console.example.com", "box:8080", "127.0.0.1"):
            assert (await page.get("/client", headers={"Host": host})).status == 200
        for host in ("box", "example.com", "console.example.com:444"):
            assert (await page.get("/client", headers={"Host": host})).status == 403
        for origin, allowed in (("https://console.example.com", True), ("http://console.example.com", False)):
            headers = {"Host": "console.example.com", "Origin": origin}
            answer = await page.post("/new", data={}, headers=headers)
            # The request came by plain HTTP, from what encrypts in front of it: what was named tells, not the request.
            assert (answer.status != 403) == allowed


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "https://{host}"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/new", "/bulk", "/executions/exec_1/replay", "/bulk/x/stop", "/"])
async def test_a_post_that_is_not_the_consoles_own_is_refused(page, service, path, headers):
    host = f"{page.host}:{page.port}"
    answer = await page.post(path, data={}, headers={name: text.format(host=host) for name, text in headers.items()})
    assert answer.status == 403
    assert service.requests == []


@pytest.mark.parametrize("site", [None, "same-origin", "none"])
async def test_a_post_of_the_consoles_own_pages_is_taken(page, site):
    headers = {"Origin": f"http://{page.host}:{page.port}"} | ({} if site is None else {"Sec-Fetch-Site": site})
    assert (await page.post("/new", data={}, headers=headers)).status == 422  # as an empty form


@pytest.mark.parametrize("kind", ["iframe", "frame", "embed", "object"])
async def test_it_is_not_shown_within_other_pages(page, kind):
    assert (await page.get("/client", headers={"Sec-Fetch-Dest": kind})).status == 403


async def test_another_site_may_lead_here_and_not_make_it_ask(page, service):
    lead = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await page.get("/", headers=lead)).status == 200
    asked = len(service.requests)
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert (await page.get("/?status=failed", headers=image)).status == 403
    assert len(service.requests) == asked


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(page, method):
    assert (await page.request(method, "/")).status == 403


@pytest.mark.parametrize(
    "origin",
    [
        "console.example.com",
        "ftp://x",
        "http://",
        "http://x/path",
        "http://*",
        "http://x:99999",
        "http://a@x",
        "http://x?y",
    ],
)
async def test_what_is_no_origin_is_refused_at_once(omium, origin):
    with pytest.raises(ValueError, match="origin"):
        console(omium, origins=[origin])


async def test_a_defect_is_told_without_its_particulars(page, monkeypatch, caplog):
    from omium_async.ui import client_page

    monkeypatch.setattr(client_page, "statistics", None)
    monkeypatch.setattr(page.server.app[SITE].meter, "elapsed", lambda: [1.0])
    answer = await page.get("/client")
    assert (answer.status, await answer.text()) == (500, "The console has failed; its log says why.\n")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "could not be made" in caplog.text


async def test_wrong_arguments_are_refused_at_once(omium):
    with pytest.raises(TypeError, match="collection"):
        console(omium, origins="http://x")
    with pytest.raises(TypeError, match="AsyncOmium"):
        console("omium_key")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="origin"):
        console(omium, origins=[8080])  # pyright: ignore[reportArgumentType]

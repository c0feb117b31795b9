"""The guard: requests of other hosts, sites, frames and methods are refused before the service is called."""

from __future__ import annotations

import gzip
import importlib
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

import omium_async.ui
from omium_async import AsyncOmium
from omium_async.ui import console

from .conftest import row, served

PAGES = ["/", "/new", "/bulk", "/executions/exec_1", "/static/console.js", "/nothing", "/?since=", "/static/none.js"]
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def is_guarded(answer):
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return answer.headers["Cache-Control"] == "no-store"


async def test_every_response_forbids_what_pages_do_not_need(page, service):
    service.rows = [row(1)]
    for path in PAGES:
        answer = await page.client.get(path, allow_redirects=False)
        assert is_guarded(answer) or path == "/static/console.js"
        text = await answer.text()
        assert "style=" not in text or path.startswith("/static")
        assert "<script>" not in text
        head = await page.client.head(path, allow_redirects=False)
        assert (head.status, await head.read()) == (answer.status, b"")


async def test_a_response_that_aiohttp_makes_itself_is_guarded_too(page):
    answer = await page.client.get("/new", headers={"Expect": "a-miracle"})
    assert answer.status == 417
    assert is_guarded(answer)


HOSTS = ["evil.example:80", "127.0.0.1.evil.example", "user@localhost", "10.0.0.1", "localhost/x", "0.0.0.0", ""]
HOSTS += ["localhost:notaport", "localhost.", "[::1", "[::ffff:10.0.0.1]", "2130706433"]


async def test_a_foreign_host_is_refused(page, service):
    for host in HOSTS:
        assert (await page.client.get("/", headers={"Host": host})).status in (400, 403), host
    assert service.requests == []


async def test_hosts_of_this_machine_and_named_origins_are_answered(omium):
    async with served(omium, origins=["https://console.example.com", "http://box:8080/"]) as page:
        for host in ("localhost:1", "127.0.0.2", "[::1]:80", "LOCALHOST", "console.example.com", "box:8080"):
            assert (await page.client.get("/new", headers={"Host": host})).status == 200
        for host in ("box", "example.com", "console.example.com:444"):
            assert (await page.client.get("/new", headers={"Host": host})).status == 403
        for origin, status in (("https://console.example.com", 422), ("http://console.example.com", 403)):
            answer = await page.post("/new", {}, Host="console.example.com", Origin=origin)
            assert answer.status == status  # the request came by plain HTTP, through a proxy that ends TLS


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_site_is_refused(page, service, headers):
    for path in ("/new", "/bulk", "/executions/exec_1/replay", "/"):
        assert (await page.post(path, {}, **headers)).status == 403
        assert (await page.client.post(path, data={})).status == 403
    assert service.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Upgrade": "websocket", "Connection": "Upgrade"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Dest": "object"},
    ],
)
async def test_another_site_cannot_make_the_console_call_the_service(page, service, headers):
    service.rows = [row(1)]
    for path in ("/?metadata=a%3Db&reach=100", "/executions/exec_1"):
        assert (await page.client.get(path, headers=headers)).status == 403
    assert service.requests == []


async def test_a_link_on_another_site_may_lead_to_the_console_and_other_methods_are_refused(page):
    await page.get("/", **{"Sec-Fetch-Site": "cross-site", **NAVIGATION})
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert (await page.client.request(method, "/")).status == 403


def test_wrong_arguments_are_rejected():
    omium = AsyncOmium("key", base_url="http://127.0.0.1:9")
    for origin in ("console.example.com", "http://x/path", "http://*", "http://x:99999", "http://a@x"):
        with pytest.raises(ValueError, match="origin"):
            console(omium, origins=[origin])
    for wrong in ("http://x", [8080]):
        with pytest.raises(TypeError, match="origins"):
            console(omium, origins=wrong)
    with pytest.raises(TypeError, match="AsyncOmium"):
        console("omium_key")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--y", 415),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=no-such"}, b"a=b", 415),
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({"Content-Encoding": "gzip"}, b"not gzip", 400),
        ({}, b"a=%ff", 400),
        ({}, b"&".join(b"a%d=1" % n for n in range(200)), 400),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"a" * (2**26 + 1), mtime=0), 413),
    ],
    ids=["multipart", "charset", "json", "not gzip", "not utf-8", "many fields", "gzip bomb"],
)
async def test_a_malformed_form_is_refused_and_is_not_a_defect(page, caplog, headers, body, status):
    kind = {"Origin": page.origin, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await page.client.post("/new", data=body, headers=kind | headers)
    assert answer.status == status
    assert is_guarded(answer)
    assert "could not make" not in caplog.text


async def test_a_defect_is_logged_and_its_page_says_little(page, monkeypatch, caplog):
    monkeypatch.setattr("omium_async.ui.create_page._form", None)
    answer = await page.client.get("/new")
    assert (answer.status, await answer.text()) == (500, "The console has failed; its log says why.\n")
    assert is_guarded(answer)
    assert "could not make a page" in caplog.text


async def test_the_console_works_under_a_prefix(omium, service):
    service.rows = [row(1, "failed")]
    service.checkpoints("exec_1", "read")
    app = web.Application()
    app.add_subapp("/tools/omium", console(omium))
    async with TestClient(TestServer(app)) as client:
        first = await client.get("/tools/omium?status=failed")
        assert first.url.path_qs == "/tools/omium/?status=failed"
        for answer in (first, await client.get("/tools/omium/executions/exec_1")):
            assert answer.status == 200
            for link in set(re.findall(r'(?:href|src|action|hx-get)="([^"#]+)"', await answer.text())):
                target = answer.url.join(URL(link.replace("&amp;", "&"), encoded=True))
                assert target.path.startswith("/tools/omium/"), link
                assert (await client.get(target.relative())).status in (200, 404), link
        missing = await client.get("/tools/omium/none/such")
        assert missing.status == 404
        assert is_guarded(missing)


async def test_only_the_consoles_own_files_are_served_and_browsers_keep_them_until_they_change(page):
    for path in ("/static/../site.py", "/static/..%2fsite.py", "/static/%2e%2e/site.py", "/static//etc/passwd"):
        await page.get(path, 404)
    script = re.search(r'src="\.(/static/console\.js\?v=\w+)"', await page.get("/new"))[1]
    assert "immutable" in (await page.client.get(script)).headers["Cache-Control"]
    assert "immutable" not in (await page.client.get("/static/console.js")).headers["Cache-Control"]


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'omium-async\[ui\]'"):
        importlib.reload(omium_async.ui)

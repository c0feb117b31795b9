"""`omiumctl check --probe`: its report on a service contains no secrets and no data of users."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from omium_async import AsyncOmium
from omium_sync.cli.probe import probe

READS = {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_report_has_no_key_no_ids_and_no_data_and_takes_at_most_30_reads(connected, service, form):
    with service.client() as omium:
        for _ in range(3):
            omium.executions.create("nobody", {"secret": "swordfish"}, metadata={"user": "lovelace"})
    before = len(service.local.requests)
    ended = connected("check", "--probe", "-o", form)
    asked = service.local.requests[before:]
    assert (ended.code, ended.err) == (0, "")
    assert (len(asked) <= 30, {request.method for request in asked} <= READS) == (True, True)
    with service.client() as omium:
        ids = [execution.id for execution in omium.executions.list()]
    for private in (*ids, "nobody", "swordfish", "lovelace", service.local.api_key, service.local.url):
        assert private not in ended.out
    if form == "json":
        report = ended.json
        assert report["authentication"] == {"x-api-key": "accepted", "bearer": "accepted"}
        assert (report["largest_page_size"], report["total_given"], report["total_right"]) == (1000, True, True)
        assert (report["lists_show_metadata"], report["order_of_lists"]) == (True, "newest first")
        assert abs(report["clock_skew_seconds"]) < 2
        assert report["requests"] == len(asked)
    else:
        assert "largest page size: 1000\n" in ended.out


class Fake:
    """A service with a list of 250 executions and habits that a test chooses."""

    def __init__(self, **habits) -> None:
        self.habits = {"cap": 1000, "total": True, "echo": True, "rows": 250, "auth": "x-api-key", **habits}
        self.asked = 0

    def page(self, request: web.Request) -> dict[str, object]:
        size = min(int(request.query["page_size"]), self.habits["cap"])
        first = (int(request.query["page"]) - 1) * size
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        rows = [
            {"id": f"exec_{number}", "created_at": (begin + timedelta(hours=number)).isoformat()}
            for number in range(self.habits["rows"])[first : first + size]
        ]
        page: dict[str, object] = {"items": rows}
        if self.habits["total"]:
            page["total"] = self.habits["rows"] + self.habits.get("wrong_by", 0)
        if self.habits["echo"]:
            page["page_size"] = size
        return page

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        headers = {"X-RateLimit-Remaining-Minute": "7", "Date": format_datetime(datetime.now(UTC) + timedelta(hours=1))}
        if self.habits["auth"] == "x-api-key" and "X-API-Key" not in request.headers:
            return web.json_response({"detail": "no key"}, status=401, headers=headers)
        if request.path == "/api/v1/executions":
            return web.json_response(self.page(request), headers=headers)
        if request.path == "/api/v1/workflows":
            return web.json_response({"workflows": []}, headers=headers)
        if request.path.endswith("/logs") and "logs" in self.habits:
            return web.json_response(self.habits["logs"].pop(0), headers=headers)
        if request.path == "/api/v1/failures":
            return web.Response(text="<h1>Sign in</h1>", content_type="text/html", headers=headers)
        if request.path == "/api/v1/checkpoints":
            return web.json_response({"detail": "Execution not found"}, status=404, headers=headers)
        return web.json_response({"message": "no Route matched with those values"}, status=404, headers=headers)


async def report_of(fake: Fake) -> dict[str, object]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        return await probe(lambda **more: AsyncOmium("omium_test_key_12345", base_url=url, **more))


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        ({}, {"largest_page_size": 1000, "total_right": True, "order_of_lists": "oldest first"}),
        ({"cap": 100}, {"largest_page_size": 100, "total_right": True}),
        ({"wrong_by": 3}, {"largest_page_size": 1000, "total_right": False}),
        ({"total": False, "echo": False}, {"largest_page_size": "at least 200", "total_right": "not known"}),
        ({"rows": 0}, {"total_right": True, "lists_show_metadata": "not known", "order_of_lists": "not known"}),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_the_report_shows_the_habits_of_a_service(habits, expected):
    fake = Fake(**habits)
    report = await report_of(fake)
    assert {name: report[name] for name in expected} == expected
    assert report["requests"] == fake.asked <= 30


async def test_the_report_names_endpoints_headers_and_the_skew_of_the_clock():
    report = await report_of(Fake())
    assert report["authentication"] == {"x-api-key": "accepted", "bearer": "refused with 401"}
    assert report["rate_limit_headers"] == ["x-ratelimit-remaining-minute"]
    assert abs(report["clock_skew_seconds"] - 3600) < 2
    answers = report["endpoints"]
    assert answers["GET /workflows?page=1&page_size=1"] == "answers (workflows)"
    assert answers["GET /checkpoints?execution_id={}&limit=1"] == "answers with 404"
    assert answers["GET /failures?limit=1"] == "answers"  # with a page that is not JSON
    assert answers["GET /failures/stats"] == answers[LOGS] == "missing"
    assert "exec_" not in json.dumps(report)


LOGS = "GET /executions/{}/logs?tail=5"


@pytest.mark.parametrize(
    ("logs", "form"),
    [
        (
            [
                {"logs": []},
                {"logs": [{"level": "swordfish", "at": 1.5, "x": None, "context": {"swordfish": 1}}, "no", [{}]]},
            ],
            "answers ({logs: [{at: number, context: object, level: text, x: null} or text or list]})",
        ),
        ([{"logs": []}] * 3, "answers ({logs: []})"),
        ([{"exec_1": "swordfish", "logs": {"swordfish": 1}}], "answers ({logs: object, ...})"),
        (["swordfish"] * 3, "answers ({})"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_the_report_has_the_form_of_logs_and_never_their_content(logs, form):
    report = await report_of(Fake(logs=logs))
    assert (report["endpoints"][LOGS], "swordfish" in json.dumps(report)) == (form, False)
    assert report["requests"] <= 30


def test_a_service_that_does_not_answer_is_one_line(omiumctl):
    omiumctl.environment |= {"OMIUM_API_KEY": "om_key_1234567890", "OMIUM_API_URL": "http://127.0.0.1:9"}
    ended = omiumctl("check", "--probe")
    assert (ended.code, ended.out, ended.lines_of_errors) == (1, "", 1)
    del omiumctl.environment["OMIUM_API_KEY"]
    unusable = omiumctl("check", "--probe")
    assert (unusable.code, unusable.lines_of_errors, "no API key" in unusable.err) == (1, 1, True)
